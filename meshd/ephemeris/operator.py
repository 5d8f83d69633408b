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

DEGREE = 7
"""Four nodes at 60 s: the polynomial is then within 0.1 mm of the orbit they lie on."""

_NAME = re.compile(r"MEME_\d+_(?P<name>[^_]+)_", re.ASCII)
_TIME = re.compile(r"(\d{4})(\d{3})(\d{2})(\d{2})(\d{2}(?:\.\d+)?)", re.ASCII)


def parse_operator(text: str, file: str) -> Tabulated:
    """The one segment of a file whose name tells the satellite (`MEME_44713_STARLINK-1007_...`).

    A record that cannot be read is refused with its line, and the rest kept. Raises InputError
    "empty-ephemeris", "bad-table" or "underground".
    """
    match = _NAME.search(file)
    name = match["name"] if match else file.rpartition("/")[2].partition(".")[0]
    times, rows, refused = [], [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        stamp = _TIME.fullmatch(words[0]) if len(words) == 7 else None
        if stamp is None:
            continue  # the head, or a line of covariance
        try:
            times.append(parse_ccsds_time("{}-{}T{}:{}:{}".format(*stamp.groups())))
            rows.append([float(word) for word in words[1:]])
        except (InputError, ValueError) as error:
            del times[len(rows) :]
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
