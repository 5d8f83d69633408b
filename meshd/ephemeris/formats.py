"""Formats of what people bring: which one a text is in, and who reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from meshd.ephemeris.elements import Catalog
from meshd.ephemeris.oem import parse_oem
from meshd.ephemeris.oem_xml import parse_oem_xml
from meshd.ephemeris.omm import parse_omm_csv, parse_omm_json, parse_omm_kvn, parse_omm_xml
from meshd.ephemeris.operator import parse_operator
from meshd.ephemeris.tables import Tabulated
from meshd.ephemeris.tle import parse_tle
from protocols.errors import InputError

HEAD_CHARS = 4_096
"""So much of a text is looked at to tell its format."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that somebody brought, and the name of the file it was in."""

    file: str
    text: str


Found: TypeAlias = Catalog | Tabulated
Reader: TypeAlias = Callable[[Document], Found]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write orbits: how its texts begin (white space stripped), and its reader."""

    name: str
    begins: re.Pattern[str]
    read: Reader


def _elements(parse: Callable[[str], Catalog]) -> Reader:
    return lambda document: parse(document.text)


_CSV = r"[^\n]*\bMEAN_MOTION\b[^\n]*,|[^\n]*,[^\n]*\bMEAN_MOTION\b"
_REMARKS = r"(?:COMMENT[^\n]*\n\s*)*"

# The first that matches is taken; a TLE has nothing to be known by, so it comes last.
FORMATS: tuple[Format, ...] = (
    Format("OMM in JSON", re.compile(r"[\[{]"), _elements(parse_omm_json)),
    Format("OEM in XML", re.compile(r"<(?=.*<oem\b)", re.DOTALL), lambda d: parse_oem_xml(d.text)),
    Format("OMM in XML", re.compile(r"<"), _elements(parse_omm_xml)),
    Format("OEM", re.compile(_REMARKS + r"CCSDS_OEM_VERS\s*="), lambda d: parse_oem(d.text)),
    Format("OMM in CSV", re.compile(_CSV, re.IGNORECASE), _elements(parse_omm_csv)),
    Format("OMM in KVN", re.compile(_REMARKS + r"[A-Z_]+\s*=", re.ASCII), _elements(parse_omm_kvn)),
    Format("operator ephemeris", re.compile(r"created:|ephemeris_start:"),
           lambda d: parse_operator(d.text, d.file)),
    Format("TLE", re.compile(r""), _elements(parse_tle)),
)  # fmt: skip


def format_of(text: str) -> Format:
    """The format a text is in, from its first characters."""
    head = text[:HEAD_CHARS].lstrip("\ufeff \t\r\n")
    return next(format for format in FORMATS if format.begins.match(head))


def read_document(document: Document) -> Found:
    """What a document holds, in whichever of FORMATS it is; raises what that reader raises."""
    return format_of(document.text).read(document)


def parse_catalog(text: str) -> Catalog:
    """The catalogue of a text of elements.

    Raises what its format's reader raises (InputError "empty-catalog", "bad-json" and such), and
    "not-elements" for a table of states.
    """
    found = read_document(Document("", text))
    if isinstance(found, Tabulated):
        raise InputError("not-elements", "this is a table of states, which has no mean elements")
    return found
