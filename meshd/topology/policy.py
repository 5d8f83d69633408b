"""Link policies: which pairs of sites may talk. Neighbours must agree on it to the letter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from meshd.ephemeris.sky import Sky
from protocols.errors import InputError
from protocols.types import MINUTE, Duration


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Who may link to whom: lasers between satellites, radio to the ground.

    `plus-grid` joins each satellite to the two of its plane and one of each neighbouring plane;
    `nearest` pairs the satellites of a real catalogue anew at each aligned tick. A laser needs
    `grazing_altitude_km` between its beam and the surface; a cross-plane one is off while either
    end is beyond `cross_plane_latitude_max_deg`.
    """

    isl: Literal["plus-grid", "nearest"] = "plus-grid"
    min_elevation_deg: float = 25.0
    # 80 km: below, refraction and absorption bend and dim the beam (Hypatia, celestial use it).
    grazing_altitude_km: float = 80.0
    cross_plane_latitude_max_deg: float | None = None
    isl_range_max_km: float | None = None
    isl_rate_bps: float = 100e9
    ground_rate_bps: float = 10e9
    tick_ns: Duration = 5 * MINUTE

    @property
    def code(self) -> str:
        """A short text, equal exactly when two policies are: the hello compares it."""
        return (
            f"{self.isl};el={self.min_elevation_deg!r};graze={self.grazing_altitude_km!r}"
            f";lat={_or_dash(self.cross_plane_latitude_max_deg)}"
            f";range={_or_dash(self.isl_range_max_km)}"
            f";isl={self.isl_rate_bps:g};ground={self.ground_rate_bps:g};tick={self.tick_ns}"
        )


def policy_for(sky: Sky) -> LinkPolicy:
    """The policy that suits a sky: +Grid for Walker shells, `nearest` for a real catalogue.

    Shells that cross the poles as a star switch their cross-plane lasers off beyond 70 degrees,
    where neighbours swap sides faster than a terminal slews (Iridium does so at about 68).
    """
    if not sky.shells:
        return LinkPolicy(isl="nearest")
    star = any(shell.pattern == "star" for shell in sky.shells)
    return LinkPolicy(
        isl="plus-grid",
        min_elevation_deg=min(shell.min_elevation_deg for shell in sky.shells),
        cross_plane_latitude_max_deg=70.0 if star else None,
    )


def check_policy(policy: LinkPolicy) -> LinkPolicy:
    """The same policy, if it makes sense; raises InputError "bad-policy"."""
    p = policy
    limits = (p.cross_plane_latitude_max_deg, p.isl_range_max_km)
    numbers = [p.min_elevation_deg, p.grazing_altitude_km, p.isl_rate_bps, p.ground_rate_bps]
    numbers += [limit for limit in limits if limit is not None]
    if not all(map(math.isfinite, numbers)):
        raise InputError("bad-policy", f"a limit of the link policy is not finite: {p.code}")
    if not -5.0 <= p.min_elevation_deg < 90.0:
        raise InputError("bad-policy", f"lowest elevation {p.min_elevation_deg} is not in [-5, 90)")
    if p.isl_rate_bps <= 0 or p.ground_rate_bps <= 0 or p.tick_ns <= 0:
        raise InputError("bad-policy", "rates and the tick are more than 0")
    return policy


def _or_dash(value: float | None) -> str:
    return "-" if value is None else repr(value)
