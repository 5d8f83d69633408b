"""Skies for tests of topology: catalogues as untidy as real ones, and truths in plain Python."""

from __future__ import annotations

import math
import random

import numpy as np

from meshd.ephemeris import Elements, Sky, parse_time, sky_from_catalog
from meshd.ephemeris.elements import make_catalog, semi_major_axis_km
from meshd.ephemeris.sun import sun_direction
from meshd.topology import LinkPolicy
from protocols.types import SECOND, Instant

NOON = parse_time("2025-09-23T12:00:00Z")

SHELLS = ((547.0, 53.05, 12, 14), (475.0, 53.16, 10, 12), (560.0, 97.6, 4, 20))
"""Altitude km, inclination degrees, planes, slots: a third of the slots stays empty."""


def untidy_elements(seed: int = 1, nudge: float = 0.0) -> list[Elements]:
    """Shells with empty slots and some strays, as elements; `nudge` moves every angle (degrees)."""
    rng = random.Random(seed)
    found = []
    for height, inclination, planes, slots in SHELLS:
        for plane in range(planes):
            for slot in range(slots):
                keep, wobble = rng.random() > 1 / 3, rng.gauss(0.0, 0.05)
                if keep:
                    place = (plane * 360 / planes, slot * 360 / slots + plane * 7 + wobble)
                    found.append(_elements(len(found), (height, inclination), place, nudge))
    for _ in range(8):
        orbit = (rng.uniform(330, 420), rng.choice((53.1, 97.6)))
        place = (rng.uniform(0, 360), rng.uniform(0, 360))
        found.append(_elements(len(found), orbit, place, nudge))
    return found


def _elements(
    number: int, orbit: tuple[float, float], place: tuple[float, float], nudge: float
) -> Elements:
    height, inclination = orbit
    # Semi-major axis goes as the motion to the power -2/3: from that of 15 turns a day.
    motion = 15.0 * ((6_378.135 + height) / semi_major_axis_km(15.0)) ** -1.5
    return Elements(
        name=f"sat-{number}",
        norad_id=number + 1,
        epoch=NOON - 6 * 3600 * SECOND,
        inclination_deg=inclination + nudge,
        raan_deg=(place[0] + nudge) % 360,
        eccentricity=0.0001,
        argp_deg=90.0,
        mean_anomaly_deg=(place[1] + nudge) % 360,
        mean_motion_rev_day=motion,
    )


def sky_of(elements: list[Elements], stations: tuple = ()) -> Sky:  # type: ignore[type-arg]
    return sky_from_catalog(make_catalog(enumerate(elements)), stations)


def laser_stands(sky: Sky, policy: LinkPolicy, a: int, b: int, at: Instant) -> bool:
    """Whether a laser can stand, straight from the propagator and the words of the policy."""
    (p, q), (v, w) = (states[[a, b]] for states in sky.states(at))
    away = q - p
    range_km = float(np.linalg.norm(away))
    least = min(float(np.linalg.norm(p + f / 500 * away)) for f in range(501))
    if least < 6_378.137 + policy.grazing_altitude_km:
        return False
    if policy.slew_max_deg_s is not None:
        turning = float(np.linalg.norm(np.cross(away, w - v))) / range_km**2
        if math.degrees(turning) > policy.slew_max_deg_s:
            return False
    if policy.sun_exclusion_deg is None:
        return True
    sun = sun_direction(np.array([at]))[0]
    return not (
        _blinded(p, away / range_km, sun, policy.sun_exclusion_deg)
        or _blinded(q, -away / range_km, sun, policy.sun_exclusion_deg)
    )


def _blinded(at: np.ndarray, beam: np.ndarray, sun: np.ndarray, exclusion_deg: float) -> bool:
    angle = math.degrees(math.acos(max(-1.0, min(1.0, float(beam @ sun)))))
    behind = float(at @ sun) < 0 and float(np.linalg.norm(at - (at @ sun) * sun)) < 6_378.137
    return angle < exclusion_deg and not behind
