"""Operator ephemerides as SpaceX publishes them ("MEME", modified ITC) to tables of states.

One file is one satellite: four lines of head, then records of a state and its covariance in three
lines, at 60 s for three days, in the mean equator and equinox of J2000.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

from meshd.ephemeris.elements import Refused
from meshd.ephemeris.frames import to_teme
from meshd.ephemeris.tables import Segment, Tabulated, check_table
from meshd.ephemeris.timescale import parse_ccsds_time
from protocols.errors import InputError
from protocols.types import SECOND, Instant

DEGREE = 7
"""Four nodes at 60 s: the polynomial is then within 0.1 mm of the orbit they lie on."""

_NAME = re.compile(r"MEME_\d+_(?P<name>[^_]+)_", re.ASCII)
_CLOCK = re.compile(r"(\d{2})(\d{2})(\d{2})(?:\.(\d{1,9}))?", re.ASCII)
_HEAD = ("created:", "ephemeris_start:", "ephemeris_source:")

_STAMP_DIGITS = 13
"""Of year, day of the year, hour, minute and second: no other number here is as long."""


def parse_operator(text: str, file: str) -> Tabulated:
    """The one segment of a file whose name tells the satellite (`MEME_44713_STARLINK-1007_...`).

    A record that cannot be read is refused with its line, and the rest kept. Raises InputError
    "empty-ephemeris", "bad-table" or "underground".
    """
    match = _NAME.search(file)
    name = match["name"] if match else file.rpartition("/")[2].partition(".")[0]
    times: list[int] = []
    rows: list[list[float]] = []
    refused: list[Refused] = []
    days: dict[str, Instant] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stamp, _, rest = line.partition(" ")
        try:
            if not _is_stamp(stamp, line):
                continue
            row = list(map(float, rest.split()))
            if len(row) != 6:
                raise InputError("bad-number", f"{len(row)} numbers where a state has 6")
            times.append(_instant(stamp, days))
            rows.append(row)
        except (InputError, ValueError) as error:
            refused.append(Refused(number, name, "bad-number", f"not a state: {error}"))
    if not rows:
        raise InputError("empty-ephemeris", "no state in this file")
    instants, states = np.array(times, dtype=np.int64), np.array(rows, dtype=np.float64)
    check_table(instants, states)
    digest = hashlib.sha256(name.encode() + instants.tobytes() + states.tobytes()).hexdigest()
    turned = np.hstack(to_teme("EME2000", instants, states[:, :3], states[:, 3:]))
    ends = int(instants[0]), int(instants[-1])
    segment = Segment(name, instants, turned, *ends, "hermite", DEGREE, digest)
    return Tabulated((segment,), tuple(refused))


def _is_stamp(word: str, line: str) -> bool:
    """Whether a line's first word is an instant; ValueError if it is nothing of this format."""
    if word[:_STAMP_DIGITS].isdigit() and len(word) >= _STAMP_DIGITS:
        return True
    if line.startswith(_HEAD) or not line.strip() or " " not in line.strip():
        return False  # the head, or the name of the covariance's frame
    if abs(float(word)) >= 10 ** (_STAMP_DIGITS - 4):
        raise ValueError(f"{word!r} is no time")
    return False  # a line of covariance


def _instant(stamp: str, days: dict[str, Instant]) -> Instant:
    """`YYYYDDDHHMMSS.mmm` in UTC; `days` keeps what its first seven digits are."""
    day = stamp[:7]
    if day not in days:
        days[day] = parse_ccsds_time(f"{day[:4]}-{day[4:]}T00:00:00")
    clock = _CLOCK.fullmatch(stamp, 7)
    if clock is None:
        raise ValueError(f"{stamp!r} is no time")
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{stamp!r} is no time")
    part = int((clock[4] or "").ljust(9, "0"))
    return days[day] + ((hour * 60 + minute) * 60 + second) * SECOND + part
