"""Mean elements of many satellites at one instant, as SGP4 carries them forward."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meshd.ephemeris.propagate import Joined, Propagator, Sgp4, satrec
from meshd.ephemeris.timescale import FloatArray, julian_date
from protocols.types import Instant

_SGP4_RADIUS_KM = 6_378.135  # WGS-72


class MeanElements(NamedTuple):
    """Columns, one entry a satellite; NaN where SGP4 fails. Angles in radians, [0, 2 pi)."""

    altitude_km: FloatArray
    """Mean semi-major axis above the equatorial radius."""
    eccentricity: FloatArray
    inclination: FloatArray
    raan: FloatArray
    latitude: FloatArray
    """Argument of latitude: of perigee plus mean anomaly."""


def mean_elements(satellites: Propagator, at: Instant) -> MeanElements:
    """Brouwer mean elements with secular rates and drag, from one SGP4 call a satellite.

    Satellites that are not propagated by SGP4 (tables of states, circular shells) have NaN.
    """
    rows = _rows(satellites, at)
    turn = 2 * math.pi
    return MeanElements(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] % turn, rows[:, 4] % turn)


def _rows(satellites: Propagator, at: Instant) -> FloatArray:
    if isinstance(satellites, Joined):
        return np.concatenate([_rows(part, at) for part in satellites.parts])
    rows = np.full((satellites.count, 5), np.nan)
    if isinstance(satellites, Sgp4):
        jd, fraction = julian_date(at)
        for row, e in enumerate(satellites.elements):
            record = satrec(e)
            error, _, _ = record.sgp4(jd, fraction)
            if not error:
                height = (record.am - 1) * _SGP4_RADIUS_KM
                rows[row] = height, record.em, record.im, record.Om, record.om + record.mm
    return rows
