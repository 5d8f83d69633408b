"""Two- and three-line element sets (TLE, 3LE, Alpha-5 numbers) to a Catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshd.ephemeris.elements import Catalog, Elements, Refused, check_elements, make_catalog
from meshd.ephemeris.timescale import DAY, calendar_instant
from protocols.errors import InputError

_LINE_LENGTH = 69
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_EXPONENT = re.compile(r"([+-]?)(\d{1,5})([+-]\d)", re.ASCII)
_ALPHA5 = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I, no O: they read as 1 and 0


def parse_tle(text: str) -> Catalog:
    """The catalogue of a text of TLEs, with or without name lines.

    A malformed set is refused with its line number and a code ("short-line", "bad-checksum",
    "bad-number", "bad-elements", "underground", "line-mismatch", "no-second-line",
    "stray-line"); the rest loads. Raises InputError "empty-catalog" when nothing is usable.
    Format: CelesTrak's NORAD two-line element set page; columns are theirs.
    """
    found: list[tuple[int, Elements]] = []
    refused: list[Refused] = []
    for item in _sets(text):
        if isinstance(item, Refused):
            refused.append(item)
            continue
        try:
            found.append((item.line, item.parse()))
        except _Refusal as refusal:
            refused.append(
                Refused(item.line + refusal.offset, item.name, refusal.code, refusal.reason)
            )
    return make_catalog(found, refused)


def checksum(line: str) -> int:
    """Sum of the digits of columns 1-68, each minus counting one, modulo 10."""
    head = line[: _LINE_LENGTH - 1]
    return (sum(int(c) for c in head if "0" <= c <= "9") + head.count("-")) % 10


def parse_alpha5(field: str) -> int:
    """The catalogue number of a five-column field: `25544`, or `T0002` for 270002.

    Raises InputError "bad-number".
    """
    word = field.strip()
    if word.isascii() and word.isdigit():
        return int(word)
    if len(word) == 5 and word[0] in _ALPHA5 and word[1:].isascii() and word[1:].isdigit():
        return (10 + _ALPHA5.index(word[0])) * 10_000 + int(word[1:])
    raise InputError("bad-number", f"not a catalogue number: {field!r}")


class _Refusal(Exception):
    """Why one set is not taken; `offset` is 0 for its first line, 1 for its second."""

    def __init__(self, offset: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.offset, self.code, self.reason = offset, code, reason


@dataclass(frozen=True, slots=True)
class _Set:
    line: int
    name: str
    line1: str
    line2: str

    def parse(self) -> Elements:
        for offset, line in enumerate((self.line1, self.line2)):
            _check_line(offset, line)
        if self.line1[62] not in " 023":
            raise _Refusal(
                0, "bad-elements", f"ephemeris type {self.line1[62]} is not SGP4's (4 is SGP4-XP)"
            )
        number1, number2 = _number(self.line1, 0), _number(self.line2, 1)
        if number1 != number2:
            raise _Refusal(1, "line-mismatch", f"line 1 is of {number1}, line 2 of {number2}")
        try:
            return check_elements(
                Elements(
                    name=self.name or f"NORAD-{number1}",
                    norad_id=number1,
                    epoch=_epoch(self.line1),
                    inclination_deg=_decimal(self.line2, 1, 8, 16),
                    raan_deg=_decimal(self.line2, 1, 17, 25),
                    eccentricity=_fraction(self.line2, 26, 33),
                    argp_deg=_decimal(self.line2, 1, 34, 42),
                    mean_anomaly_deg=_decimal(self.line2, 1, 43, 51),
                    mean_motion_rev_day=_decimal(self.line2, 1, 52, 63),
                    bstar=_exponent(self.line1, 53, 61),
                    ndot=_decimal(self.line1, 0, 33, 43),
                    nddot=_exponent(self.line1, 44, 52),
                    line1=self.line1[:_LINE_LENGTH],
                    line2=self.line2[:_LINE_LENGTH],
                )
            )
        except InputError as error:
            raise _Refusal(1, error.code, error.message) from None


def _sets(text: str) -> list[_Set | Refused]:
    """Pair the lines up: an optional name, then a line 1, then a line 2."""
    items: list[_Set | Refused] = []
    name, first, first_at = "", "", 0
    for at, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("2 ") and first:
            items.append(_Set(first_at, name, first, line))
            name, first = "", ""
            continue
        if first:
            items.append(Refused(first_at, name, "no-second-line", "line 1 has no line 2 after it"))
            name, first = "", ""
        if line.startswith("1 "):
            first, first_at = line, at
        elif line.startswith("2 "):
            items.append(Refused(at, name, "stray-line", "line 2 has no line 1 before it"))
            name = ""
        else:
            name = line[2:].strip() if line.startswith("0 ") else line.strip()
    if first:
        items.append(Refused(first_at, name, "no-second-line", "line 1 has no line 2 after it"))
    return items


def _check_line(offset: int, line: str) -> None:
    if len(line) < _LINE_LENGTH:
        raise _Refusal(
            offset, "short-line", f"{len(line)} columns where a TLE line has {_LINE_LENGTH}"
        )
    if not line.isascii():
        raise _Refusal(offset, "bad-number", "a TLE line is plain ASCII")
    stated, counted = line[_LINE_LENGTH - 1], checksum(line)
    if stated != str(counted):
        raise _Refusal(
            offset, "bad-checksum", f"checksum is {stated!r}, the columns add up to {counted}"
        )


def _number(line: str, offset: int) -> int:
    try:
        return parse_alpha5(line[2:7])
    except InputError as error:
        raise _Refusal(offset, error.code, error.message) from None


def _decimal(line: str, offset: int, start: int, stop: int) -> float:
    word = line[start:stop].strip()
    if not _DECIMAL.fullmatch(word):
        raise _Refusal(offset, "bad-number", f"columns {start + 1}-{stop} are {word!r}, no number")
    return float(word)


def _fraction(line: str, start: int, stop: int) -> float:
    word = line[start:stop].replace(" ", "0")
    if not (word.isascii() and word.isdigit()):
        raise _Refusal(1, "bad-number", f"columns {start + 1}-{stop} are {word!r}, no number")
    return float(f"0.{word}")


def _exponent(line: str, start: int, stop: int) -> float:
    """A field such as ` 18200-3`, which is 0.18200e-3."""
    word = line[start:stop].strip()
    match = _EXPONENT.fullmatch(word)
    if match is None:
        raise _Refusal(0, "bad-number", f"columns {start + 1}-{stop} are {word!r}, no number")
    sign, digits, power = match.groups()
    return float(f"{sign}0.{digits}e{power}")


def _epoch(line: str) -> int:
    word = line[18:32].replace(" ", "0")
    if not _DECIMAL.fullmatch(word) or not word[:5].isdigit():
        raise _Refusal(0, "bad-number", f"columns 19-32 are {line[18:32]!r}, no epoch")
    year = int(word[:2])
    year += 2000 if year < 57 else 1900  # Sputnik flew in 1957
    whole, _, decimals = word[2:].partition(".")
    day = int(whole)
    if not 1 <= day <= 366:
        raise _Refusal(0, "bad-number", f"day {day} of the year does not exist")
    nanoseconds = round(int(decimals or "0") * DAY / 10 ** len(decimals))
    return calendar_instant(year, 1, 1, (day - 1) * DAY + nanoseconds)
