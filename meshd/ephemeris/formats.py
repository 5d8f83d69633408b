"""Formats of elements: which one a text is in, and who reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from meshd.ephemeris.elements import Catalog
from meshd.ephemeris.omm import parse_omm_csv, parse_omm_json, parse_omm_kvn, parse_omm_xml
from meshd.ephemeris.tle import parse_tle

HEAD_CHARS = 4_096
"""So much of a text is looked at to tell its format."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write elements: how its texts begin (white space stripped), and its reader."""

    name: str
    begins: re.Pattern[str]
    parse: Callable[[str], Catalog]


# The first that matches is taken; a TLE has nothing to be known by, so it comes last.
FORMATS: tuple[Format, ...] = (
    Format("OMM in JSON", re.compile(r"[\[{]"), parse_omm_json),
    Format("OMM in XML", re.compile(r"<"), parse_omm_xml),
    Format("OMM in CSV", re.compile(r"[^\n]*\bMEAN_MOTION\b[^\n]*,|[^\n]*,[^\n]*\bMEAN_MOTION\b",
                                    re.IGNORECASE), parse_omm_csv),
    Format("OMM in KVN", re.compile(r"(?:COMMENT[^\n]*\n\s*)*[A-Z_]+\s*=", re.ASCII),
           parse_omm_kvn),
    Format("TLE", re.compile(r""), parse_tle),
)  # fmt: skip


def format_of(text: str) -> Format:
    """The format a text is in, from its first characters."""
    head = text[:HEAD_CHARS].lstrip("\ufeff \t\r\n")
    return next(format for format in FORMATS if format.begins.match(head))


def parse_catalog(text: str) -> Catalog:
    """The catalogue of a text in whichever of FORMATS it is.

    Raises what that format's reader raises: InputError "empty-catalog" and "bad-json" and such.
    """
    return format_of(text).parse(text)
