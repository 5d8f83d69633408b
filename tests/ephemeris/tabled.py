"""Orbits written down as tables, for tests: OEM, operators' files, and their elements."""

from __future__ import annotations

import numpy as np
import pytest

from meshd.ephemeris import Elements, parse_time
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.timescale import FloatArray, IntArray, format_time
from protocols.types import HOUR, MINUTE

T0 = parse_time("2025-06-28T00:00:00Z")
LOW = Elements("LOW", 1, T0, 53.0, 10.0, 0.001, 20.0, 30.0, 15.05, bstar=1e-4)
HIGH = Elements("HIGH", 2, T0, 98.0, 50.0, 0.01, 0.0, 0.0, 14.2)
HEADER = "CCSDS_OEM_VERS = 2.0\nCREATION_DATE = 2025-06-28T00:00:00\nORIGINATOR = MESHD\n"


def truth(e: Elements, instants: IntArray) -> FloatArray:
    positions, velocities = Sgp4.of([e]).states(instants)
    return np.concatenate([positions[:, 0], velocities[:, 0]], axis=1)


def grid(count: int = 61, step: int = MINUTE, start: int = T0) -> IntArray:
    return start + np.arange(count, dtype=np.int64) * step


def ccsds(at: int) -> str:
    return format_time(at)[:-1]


def segment(
    name: str, instants: IntArray, states: FloatArray, frame: str = "TEME", system: str = "UTC",
    more: str = "INTERPOLATION = HERMITE\nINTERPOLATION_DEGREE = 7\n",
) -> str:  # fmt: skip
    rows = "".join(
        f"{ccsds(int(at))} " + " ".join(f"{value:.12f}" for value in row) + "\n"
        for at, row in zip(instants, states, strict=True)
    )
    return (
        f"META_START\nOBJECT_NAME = {name}\nOBJECT_ID = 2025-001A\nCENTER_NAME = EARTH\n"
        f"REF_FRAME = {frame}\nTIME_SYSTEM = {system}\nSTART_TIME = {ccsds(int(instants[0]))}\n"
        f"STOP_TIME = {ccsds(int(instants[-1]))}\n{more}META_STOP\n\n{rows}\n"
    )


def between(count: int = 50) -> IntArray:
    return T0 + np.random.default_rng(1).integers(0, HOUR, count)


LAGRANGE_9 = "INTERPOLATION = LAGRANGE\nINTERPOLATION_DEGREE = 9\n"
"""Positions by themselves. SGP4's velocities are not quite the slope of its positions: a Hermite
polynomial through both is 10 to 50 cm off between nodes a minute apart."""


def astropy_to(frame: str, instants: IntArray, states: FloatArray) -> FloatArray:
    """TEME states in another frame, by astropy."""
    coordinates = pytest.importorskip("astropy.coordinates")
    from astropy import units as u
    from astropy.time import Time
    from astropy.utils import iers

    iers.conf.auto_download = False  # what comes with it must do

    times = Time([ccsds(at) for at in instants.tolist()], scale="utc")
    moving = coordinates.CartesianDifferential(states[:, 3:].T * u.km / u.s)
    place = coordinates.CartesianRepresentation(states[:, :3].T * u.km, differentials=moving)
    teme = coordinates.TEME(place, obstime=times)
    there = {
        "GCRF": lambda: coordinates.GCRS(obstime=times),
        "ITRF": lambda: coordinates.ITRS(obstime=times),
        "EME2000": lambda: coordinates.PrecessedGeocentric(equinox="J2000", obstime=times),
    }
    found = teme.transform_to(there[frame]()).cartesian
    position = found.xyz.to_value(u.km).T
    if "s" not in found.differentials:
        return np.asarray(position)
    return np.hstack([position, found.differentials["s"].d_xyz.to_value(u.km / u.s).T])


def operator_text(instants: IntArray, states: FloatArray, covariance: bool = True) -> str:
    lines = ["created:2025-06-28 00:10:00 UTC",
             "ephemeris_start:2025-06-28 00:00:00 UTC ephemeris_stop:2025-07-01 00:00:00 UTC "
             "step_size:60",
             "ephemeris_source:blend", "UVW"]  # fmt: skip
    for at, row in zip(instants.tolist(), states, strict=True):
        stamp = f"2025179{ccsds(at)[11:]}".replace(":", "")
        lines.append(f"{stamp} " + " ".join(f"{value:.10f}" for value in row))
        lines += ["4.6343390768e-07 " * 6 + "1.8398914684e-10"] * 3 if covariance else []
    return "\n".join(lines) + "\n"


NAME = "MEME_100002_STARLINK-36840_1790000_Operational_1463017380_UNCLASSIFIED.txt"


def omm(*elements: Elements) -> str:
    rows = [
        f"{e.name},{e.norad_id},{ccsds(e.epoch)},{e.mean_motion_rev_day},{e.eccentricity},"
        f"{e.inclination_deg},{e.raan_deg},{e.argp_deg},{e.mean_anomaly_deg},{e.bstar}\n"
        for e in elements
    ]
    return (
        "OBJECT_NAME,NORAD_CAT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,"
        "ARG_OF_PERICENTER,MEAN_ANOMALY,BSTAR\n" + "".join(rows)
    )


OEM = HEADER + "".join(segment(e.name, grid(6), truth(e, grid(6))) for e in (LOW, HIGH))
OPERATOR = operator_text(grid(6), truth(LOW, grid(6)))
