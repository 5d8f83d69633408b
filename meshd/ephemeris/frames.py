"""Frames that ephemerides are written in, turned into the sky's own: TEME, true equator, mean
equinox.

Celestial frames are turned by Skyfield's precession and nutation (IAU 2006 / 2000A); Earth-fixed
ones by GMST alone, as our stations are: polar motion (10 m) and UT1 - UTC (0.9 s) are left out
of both, so a satellite stands right over its station.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np

from meshd.ephemeris.timescale import (
    EARTH_ROTATION_RAD_S,
    FloatArray,
    IntArray,
    gmst_rad,
)
from protocols.errors import InputError
from protocols.types import HOUR, SECOND

States: TypeAlias = tuple[FloatArray, FloatArray]

# The names the CCSDS registry and writers in the wild use, without marks.
_EQUATOR_2000 = ("EME2000", "MEME2000", "J2000", "MEME", "MEMEJ2000")
_CELESTIAL = ("GCRF", "GCRS", "ICRF", "ICRF1", "ICRF2", "ICRF3", "ICRS")
_TRUE = ("TEME", "TEMEOFDATE")
_FIXED = (
    *("ITRF", "ITRS", "ECEF", "ECF", "EFG", "WGS84"),
    *(f"ITRF{year}" for year in ("93", "94", "96", "97", "2000", "2005", "2008", "2014", "2020")),
)

HOURS_MAX = 200_000
"""Hours of one segment whose rotation is worked out: over twenty years."""


def to_teme(
    frame: str, instants: IntArray, positions: FloatArray, velocities: FloatArray
) -> States:
    """States (M, 3) in km and km/s at instants (M,), from a named frame into TEME.

    Celestial axes turn by 8e-12 rad/s against TEME; velocities are turned as positions are, which
    leaves out 0.06 mm/s. Raises InputError "bad-frame".
    """
    word = "".join(c for c in frame.upper() if c.isalnum())
    if word in _TRUE:
        return positions, velocities
    if word in _FIXED:
        return _from_fixed(instants, positions, velocities)
    if word in _CELESTIAL or word in _EQUATOR_2000:
        turn = _celestial_to_teme(instants)
        if word in _EQUATOR_2000:
            turn = turn @ _bias().T
        return _turned(turn, positions), _turned(turn, velocities)
    raise InputError(
        "bad-frame", f"frame {frame!r} is not known; write EME2000, GCRF, ICRF, TEME or ITRF"
    )


def _turned(turn: FloatArray, vectors: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("mij,mj->mi", turn, vectors))


def _from_fixed(instants: IntArray, positions: FloatArray, velocities: FloatArray) -> States:
    angle = gmst_rad(instants)
    c, s = np.cos(angle), np.sin(angle)

    def spun(v: FloatArray) -> FloatArray:
        return np.stack([c * v[:, 0] - s * v[:, 1], s * v[:, 0] + c * v[:, 1], v[:, 2]], axis=1)

    inertial, moving = spun(positions), spun(velocities)
    moving[:, 0] -= EARTH_ROTATION_RAD_S * inertial[:, 1]
    moving[:, 1] += EARTH_ROTATION_RAD_S * inertial[:, 0]
    return inertial, moving


def _celestial_to_teme(instants: IntArray) -> FloatArray:
    """Rotations (M, 3, 3) from GCRS, from those at whole hours.

    Between hours they are taken as straight: nutation's fastest large term (13.7 days, 0.2
    arcseconds) bends by 5e-11 rad in an hour, which is 0.4 mm in low orbit.
    """
    hours, rest = np.divmod(np.asarray(instants, dtype=np.int64), HOUR)
    wanted = np.unique(np.concatenate([hours, hours + 1]))
    if wanted.size > HOURS_MAX:
        raise InputError("bad-time", f"an ephemeris over {wanted.size} hours is too long to turn")
    turns = _rotations(tuple(wanted.tolist()))
    at = np.searchsorted(wanted, hours)
    u = (rest / HOUR)[:, None, None]
    return np.asarray(turns[at] * (1 - u) + turns[at + 1] * u)


@cache
def _skyfield() -> Any:
    """Skyfield's time scale, from the tables in its own package."""
    from skyfield.api import load  # 0.2 s: only celestial frames and atomic time need it

    return load.timescale(builtin=True)


@lru_cache(maxsize=16)
def _rotations(hours: tuple[int, ...]) -> FloatArray:
    """Rotations from GCRS to TEME at whole hours since 1970, (n, 3, 3).

    Ephemerides of one operator cover the same hours, so the last few are kept.
    """
    from skyfield.sgp4lib import TEME

    at = _skyfield().utc(1970, 1, 1, np.array(hours, dtype=np.float64))
    return np.moveaxis(np.asarray(TEME.rotation_at(at)), -1, 0)


def _bias() -> FloatArray:
    """From GCRS to the mean equator and equinox of J2000: 17 milliarcseconds."""
    from skyfield.framelib import ICRS_to_J2000

    return np.asarray(ICRS_to_J2000)


# Each time system's seconds ahead of TAI; UTC is behind by its leap seconds.
_AHEAD_OF_TAI_S = {"TAI": 0.0, "TT": 32.184, "TDT": 32.184, "GPS": -19.0}


def to_utc(system: str, instants: IntArray) -> IntArray:
    """Instants read in a time system as instants of UTC.

    TDB and UT1 are not known. Raises InputError "bad-time-system".
    """
    word = system.upper()
    if word == "UTC":
        return instants
    if word not in _AHEAD_OF_TAI_S:
        raise InputError(
            "bad-time-system", f"time system {system!r} is not known; write UTC, TAI, TT or GPS"
        )
    tai = np.asarray(instants, dtype=np.int64) - round(_AHEAD_OF_TAI_S[word] * SECOND)
    starts, leaps = _leap_table()
    return np.asarray(tai - leaps[np.searchsorted(starts, tai, side="right") - 1])


@cache
def _leap_table() -> tuple[IntArray, IntArray]:
    """When (TAI, ns) UTC fell further behind TAI, and by how many ns then; from July 1972."""
    scale = _skyfield()
    utc_s = (np.asarray(scale.leap_dates) - 2_440_587.5) * 86_400
    behind = np.asarray(scale.leap_offsets, dtype=np.int64) * SECOND
    starts = np.rint(utc_s).astype(np.int64) * SECOND + behind
    starts[0] = np.iinfo(np.int64).min
    return starts, behind
