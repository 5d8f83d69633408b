"""Instants, Julian dates, the text people write for them, and the turn of the Earth.

UT1 is taken equal to UTC: they differ by less than 0.9 s, which moves a station on the equator
by at most 0.42 km. Leap seconds are not counted, as in POSIX and in element sets.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, MINUTE, SECOND, Duration, Instant

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

DAY = 24 * HOUR
UNIX_EPOCH_JD = 2_440_587.5
J2000_JD = 2_451_545.0

EARTH_ROTATION_RAD_S = 1.002737909350795 * 2 * math.pi / 86_400
"""Rate of GMST near J2000 (IAU 1982)."""

_UNIX_ORDINAL = date(1970, 1, 1).toordinal()
_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z?)", re.ASCII
)
_CCSDS = re.compile(
    r"(\d{4})-(?:(\d{2})-(\d{2})|(\d{3}))T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{0,18}))?Z?", re.ASCII
)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)(?:\.(\d+))?(ms|s|m|h|d)", re.ASCII)


def julian_date(at: Instant) -> tuple[float, float]:
    """An instant as (Julian date of its UTC midnight, fraction of that day in [0, 1))."""
    days, rest = divmod(at, DAY)
    return UNIX_EPOCH_JD + days, rest / DAY


def from_julian_date(jd: float, fraction: float = 0.0) -> Instant:
    """The instant of a Julian date given in two parts; their split keeps nanoseconds exact."""
    days = math.floor(jd - UNIX_EPOCH_JD)
    rest = (jd - UNIX_EPOCH_JD - days) + fraction
    return days * DAY + round(rest * DAY)


def julian_dates(instants: IntArray) -> tuple[FloatArray, FloatArray]:
    """`julian_date` of an array of instants: two float arrays of its shape."""
    days, rest = np.divmod(instants, DAY)
    return UNIX_EPOCH_JD + days, rest / DAY


def gmst_rad(instants: IntArray) -> FloatArray:
    """Greenwich mean sidereal time in radians, [0, 2 pi), for an array of instants.

    IAU 1982 model as in Vallado and SGP4. Whole days are taken off the fast term first, so
    rounding stays below 1e-12 rad.
    """
    whole, fraction = julian_dates(np.asarray(instants, dtype=np.int64))
    since = whole - J2000_JD
    t = (since + fraction) / 36_525
    seconds = 67_310.54841 + 86_400 * (since % 1.0 + fraction)
    seconds = seconds + t * (8_640_184.812866 + t * (0.093104 - 6.2e-6 * t))
    return np.asarray(np.radians(seconds / 240) % (2 * math.pi), dtype=np.float64)


def gmst(at: Instant) -> float:
    """Greenwich mean sidereal time in radians at one instant (IAU 1982)."""
    return float(gmst_rad(np.array([at], dtype=np.int64))[0])


def calendar_instant(year: int, month: int, day: int, nanoseconds: int = 0) -> Instant:
    """The instant `nanoseconds` after a calendar day begins, UTC; ValueError for no such day."""
    return (date(year, month, day).toordinal() - _UNIX_ORDINAL) * DAY + nanoseconds


def parse_duration(text: str) -> Duration:
    """Nanoseconds of a length of time such as `90s`, `20m`, `1.5h`, `1h30m`, `1d` or `250ms`.

    Raises InputError "bad-duration".
    """
    word = text.strip().lower()
    if not _DURATION.fullmatch(word):
        raise InputError(
            "bad-duration", f"not a duration: {text!r}; write 90s, 20m, 2h, 1d or 1h30m"
        )
    total = 0
    for whole, decimals, unit in _DURATION_PART.findall(word):
        size = _UNITS[unit]
        total += int(whole) * size
        if decimals:
            total += int(decimals) * size // 10 ** len(decimals)
    return total


def parse_time(text: str, base: Instant | None = None) -> Instant:
    """The instant of ISO 8601 text in UTC (`2026-06-28T12:00:00.5Z`), or of `+20m` after `base`.

    A date alone is its midnight. Digits past the nanosecond are refused, not rounded. Raises
    InputError "bad-time"; what "now" is, only the edge knows, so it is not read here.
    """
    word = text.strip()
    if word.startswith(("+", "-")):
        if base is None:
            raise InputError("bad-time", f"{text!r} is relative, and there is nothing to add it to")
        length = parse_duration(word[1:])
        return base + length if word[0] == "+" else base - length
    match = _ISO.fullmatch(word)
    if match is None:
        raise InputError(
            "bad-time", f"not a time: {text!r}; write 2026-06-28T12:00:00Z, or +20m from now"
        )
    year, month, day, hour, minute, second, decimals, zone = match.groups()
    if hour is not None and not zone:
        raise InputError("bad-time", f"{text!r} has no zone; end it with Z (UTC)")
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise InputError("bad-time", f"no such time: {text!r} ({error})") from None
    clock = moment.hour * HOUR + moment.minute * MINUTE + moment.second * SECOND
    nanoseconds = int((decimals or "").ljust(9, "0"))
    at = calendar_instant(moment.year, moment.month, moment.day, clock + nanoseconds)
    return _countable(at, text)


def parse_ccsds_time(text: str) -> Instant:
    """The instant of CCSDS text (301.0 ASCII A or B): `2026-06-28T12:00:00.5` or `2026-179T...`.

    A Z at the end is allowed; digits past the nanosecond are rounded. What time system it counts
    in is told elsewhere in a file, so it is read as UTC. Raises InputError "bad-time".
    """
    match = _CCSDS.fullmatch(text.strip())
    if match is None:
        raise InputError("bad-time", f"not a CCSDS time: {text!r}; write 2026-06-28T12:00:00.000")
    year, month, day, ordinal, hour, minute, second, decimals = match.groups()
    try:
        begin = date(int(year), int(month or 1), int(day or 1)).toordinal() - _UNIX_ORDINAL
    except ValueError as error:
        raise InputError("bad-time", f"no such time: {text!r} ({error})") from None
    clock = (int(hour) * 60 + int(minute)) * 60 + int(second)
    days = int(ordinal or 1)
    if not (1 <= days <= 366 and int(hour) < 24 and int(minute) < 60 and int(second) < 60):
        raise InputError("bad-time", f"no such time: {text!r}")
    parts = decimals or "0"
    one: int = 10 ** len(parts)
    nanoseconds = (2 * int(parts) * SECOND + one) // (2 * one)
    return _countable((begin + days - 1) * DAY + clock * SECOND + nanoseconds, text)


def _countable(at: Instant, text: str) -> Instant:
    """The same instant, if 64 bits can count its nanoseconds."""
    if not -(2**63) < at < 2**63:
        raise InputError("bad-time", f"no time of ours: {text!r}; years are 1678 to 2261")
    return at


def format_time(at: Instant) -> str:
    """ISO 8601 in UTC to the millisecond (cut, not rounded): `2026-06-28T12:00:00.000Z`."""
    seconds, rest = divmod(at, SECOND)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // MILLISECOND:03d}Z"
