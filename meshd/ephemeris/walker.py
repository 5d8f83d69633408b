"""Walker shells: a constellation's satellites by a few numbers, and whether the numbers make sense.

Angles are in degrees, altitudes above the equatorial radius of WGS-84. Mean motion is always
derived from altitude, so that the two cannot disagree (a known error of other projects).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.timescale import calendar_instant
from protocols.errors import InputError
from protocols.types import HOUR

Pattern: TypeAlias = Literal["delta", "star"]

SATELLITES_MAX = 1_100_000
WALKER_EPOCH = calendar_instant(2026, 1, 1, 12 * HOUR)
"""When plane 1's ascending node and slot 1 stand at their offsets: the same for every node."""


@dataclass(frozen=True, slots=True)
class Shell:
    """One Walker shell of `planes` x `slots` satellites, on circles unless `ellipse` is given.

    A delta spreads its ascending nodes over 360 degrees, a star over 180; plane p + 1 leads
    plane p by `phasing` x 360 / total degrees of argument of latitude (Walker's F, after
    J. G. Walker, 1984). `ellipse` is apogee km, perigee km and argument of perigee; the altitude
    is then their mean, and slots are even in mean anomaly.
    """

    name: str
    planes: int
    slots: int
    altitude_km: float
    inclination_deg: float
    pattern: Pattern
    phasing: int
    min_elevation_deg: float = 25.0
    source: str = ""
    raan_offset_deg: float = 0.0
    anomaly_offset_deg: float = 0.0
    ellipse: tuple[float, float, float] | None = None

    @property
    def total(self) -> int:
        return self.planes * self.slots

    @property
    def arc_deg(self) -> float:
        return 360.0 if self.pattern == "delta" else 180.0

    def satellite_names(self) -> list[str]:
        """`<shell>-<plane>-<slot>`, both from 1, plane by plane."""
        return [
            f"{self.name}-{plane}-{slot}"
            for plane in range(1, self.planes + 1)
            for slot in range(1, self.slots + 1)
        ]


def check_shell(shell: Shell) -> Shell:
    """The same shell, if it can be flown; raises InputError "bad-shell"."""
    apogee_km, perigee_km, _ = shell.ellipse or (shell.altitude_km, shell.altitude_km, 0.0)
    checks = (
        (shell.planes >= 1 and shell.slots >= 1, "planes and slots are at least 1"),
        (shell.total <= SATELLITES_MAX, f"at most {SATELLITES_MAX} satellites"),
        (120.0 <= perigee_km <= apogee_km <= 50_000.0, "altitude is 120 to 50,000 km"),
        (0.0 <= shell.inclination_deg <= 180.0, "inclination is 0 to 180 degrees"),
        (0 <= shell.phasing < shell.planes, "phasing F is 0 to planes - 1"),
        (-360.0 <= shell.raan_offset_deg <= 360.0, "the RAAN offset is within a turn"),
        (-360.0 <= shell.anomaly_offset_deg <= 360.0, "the anomaly offset is within a turn"),
        (shell.altitude_km == (apogee_km + perigee_km) / 2, "altitude is the ellipse's mean"),
        (-360.0 <= (shell.ellipse or (0, 0, 0.0))[2] <= 360.0, "perigee is within a turn"),
    )
    for holds, law in checks:
        if not holds:
            raise InputError("bad-shell", f"shell {shell.name!r}: {law}")
    return shell


def closest_approach_km(shell: Shell) -> float:
    """How near satellites of different planes of a circular shell come; infinite for one plane.

    Two circles whose planes stand at an angle g apart, one satellite w ahead of the other as
    counted from where the circles cross: the cosine between them is largest, at the crossings,
    with ((1 + cos g) cos w + (1 - cos g)) / 2.
    """
    if shell.planes == 1:
        return math.inf
    plane = np.arange(1, shell.planes)
    node = plane * math.radians(shell.arc_deg / shell.planes)
    ci, si = (f(math.radians(shell.inclination_deg)) for f in (math.cos, math.sin))
    cos_g = ci * ci + si * si * np.cos(node)
    # The line of crossing, from each circle's own ascending node.
    one = np.arctan2(np.sin(node), -(1 - np.cos(node)) * ci)
    other = np.arctan2(np.sin(node), (1 - np.cos(node)) * ci)
    lead = plane * (shell.phasing * 2 * math.pi / shell.total)
    step = 2 * math.pi / shell.slots
    ahead = (lead - (other - one) + step / 2) % step - step / 2
    cosine = ((1 + cos_g) * np.cos(ahead) + (1 - cos_g)) / 2
    radius_km = EARTH_RADIUS_KM + shell.altitude_km
    return float(radius_km * np.sqrt(2 - 2 * np.minimum(cosine, 1.0)).min())
