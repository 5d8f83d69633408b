"""Finding a name people typed, and offering the nearest when there is none."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from itertools import islice

from protocols.errors import NotFound

LOOKED_AT_MAX = 20_000
_ASCII_MARKS = {code: " " for code in range(128) if not chr(code).isalnum()}


def fold(name: str) -> str:
    """A name as it is compared: lower case, no accents, words joined by one hyphen.

    The joints stay, for `iridium-1-11` and `iridium-11-1` are two satellites.
    """
    if name.isascii():  # nearly all names are, and catalogues have thousands
        return "-".join(name.lower().translate(_ASCII_MARKS).split())
    # Some signs are capitals when taken apart, and some capitals come apart when made small.
    plain = _apart(_apart(name).casefold())
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())


def _apart(name: str) -> str:
    """Letters without the accents and other marks that stood on them."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(c for c in parts if not unicodedata.combining(c))


def nearest(name: str, known: Iterable[str], count_max: int = 3) -> list[str]:
    """Up to `count_max` known names that look most like this one, best first.

    Only the first LOOKED_AT_MAX are compared: a million would take minutes.
    """
    by_fold: dict[str, str] = {}
    for item in islice(known, LOOKED_AT_MAX):
        by_fold.setdefault(fold(item), item)
    found = difflib.get_close_matches(fold(name), list(by_fold), n=count_max, cutoff=0.5)
    return [by_fold[item] for item in found]


def not_found(code: str, kind: str, name: str, known: Iterable[str]) -> NotFound:
    """The error for an unknown name, with the nearest known ones in its message."""
    close = nearest(name, known)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return NotFound(code, f"no {kind} is called {name!r}{hint}")
