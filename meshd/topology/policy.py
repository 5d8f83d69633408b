"""Link policies: which pairs of sites may talk. Neighbours must agree on it to the letter."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from meshd.ephemeris.sky import Sky
from protocols.errors import InputError
from protocols.types import MINUTE, SECOND, Duration

Lasers: TypeAlias = Literal["plus-grid", "fitted", "nearest", "listed"]
Ground: TypeAlias = Literal["all", "highest", "longest"]


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Who may link to whom: lasers between satellites, radio to the ground.

    `plus-grid` joins each satellite to the two of its plane and one of each neighbouring plane.
    `fitted` chooses lasting pairs among the satellites of a real catalogue, `nearest` the nearest
    ones anew at each aligned tick; both keep to `terminals` a satellite; `listed` takes the pairs
    that came with the sky. A laser needs
    `grazing_altitude_km` between its beam and the surface, no Sun within `sun_exclusion_deg` of
    it, and a line of sight that turns slower than `slew_max_deg_s` (in space, not in the frame of
    the satellite); it carries data `acquisition_ns` after it may begin. A cross-plane one is off
    while either end is beyond `cross_plane_latitude_max_deg`. A station holds a link to every
    satellite above `min_elevation_deg`, or on each slot of 15 s to the `antennas` of them that
    stand `highest` or stay `longest`; where `ground_range_max_km` is given it is the only limit of
    ground links, even through the Earth. With `age_margin` contacts shrink as elements age.
    """

    isl: Lasers = "plus-grid"
    terminals: int = 4
    min_elevation_deg: float = 25.0
    # 80 km: below, refraction and absorption bend and dim the beam (Hypatia, celestial use it).
    grazing_altitude_km: float = 80.0
    cross_plane_latitude_max_deg: float | None = None
    isl_range_max_km: float | None = None
    slew_max_deg_s: float | None = None
    sun_exclusion_deg: float | None = None
    acquisition_ns: Duration = 0
    age_margin: bool = False
    isl_rate_bps: float = 100e9
    ground: Ground = "all"
    ground_range_max_km: float | None = None
    antennas: int = 1
    ground_rate_bps: float = 10e9
    tick_ns: Duration = 5 * MINUTE

    @property
    def code(self) -> str:
        """A short text, equal exactly when two policies are: the hello compares it."""
        told = ";".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"{self.isl};{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def policy_for(sky: Sky) -> LinkPolicy:
    """The policy that suits a sky: +Grid for Walker shells, `fitted` for a real catalogue.

    A sky that came with its links keeps them.
    Real terminals take some seconds to find each other (12 s at the quickest, SpaceX was heard to
    say at SPIE in 2024), do not follow a peer that flits by, and are blinded by the Sun; the
    shells of papers know none of this. Shells that cross the poles as a star switch their
    cross-plane lasers off beyond 70 degrees, where neighbours swap sides faster than a terminal
    slews (Iridium does so at about 68).
    """
    if sky.wiring is not None:
        return LinkPolicy(
            isl="listed",
            isl_range_max_km=sky.wiring.isl_range_max_km,
            ground_range_max_km=sky.wiring.ground_range_max_km,
            min_elevation_deg=sky.wiring.min_elevation_deg,
        )
    if not sky.shells:
        return LinkPolicy(
            isl="fitted",
            slew_max_deg_s=1.0,
            sun_exclusion_deg=1.0,
            acquisition_ns=15 * SECOND,
            age_margin=True,
        )
    star = any(shell.pattern == "star" for shell in sky.shells)
    return LinkPolicy(
        isl="plus-grid",
        min_elevation_deg=min(shell.min_elevation_deg for shell in sky.shells),
        cross_plane_latitude_max_deg=70.0 if star else None,
    )


def policy_with(sky: Sky, rules: Mapping[str, Any]) -> LinkPolicy:
    """The policy that suits a sky, but for what rules say otherwise, by the names of its fields.

    A rule that is None says nothing. Raises InputError "bad-policy".
    """
    given = {name: value for name, value in rules.items() if value is not None}
    known = [field.name for field in fields(LinkPolicy)]
    for name in given:
        if name not in known:
            raise InputError("bad-policy", f"a link policy has no {name!r}: {', '.join(known)}")
    return check_policy(replace(policy_for(sky), **given))


def check_policy(policy: LinkPolicy) -> LinkPolicy:
    """The same policy, if it makes sense; raises InputError "bad-policy"."""
    p = policy
    for word, known, what in (
        (p.isl, get_args(Lasers), "laser policy"),
        (p.ground, get_args(Ground), "ground policy"),
    ):
        if word not in known:
            told = ", ".join(known)
            raise InputError("bad-policy", f"no {what} is called {word!r}; there are {told}")
    limits = (
        p.cross_plane_latitude_max_deg,
        p.isl_range_max_km,
        p.ground_range_max_km,
        p.slew_max_deg_s,
        p.sun_exclusion_deg,
    )
    numbers = [p.min_elevation_deg, p.grazing_altitude_km, p.isl_rate_bps, p.ground_rate_bps]
    numbers += [limit for limit in limits if limit is not None]
    if not all(map(math.isfinite, numbers)):
        raise InputError("bad-policy", f"a limit of the link policy is not finite: {p.code}")
    if not -5.0 <= p.min_elevation_deg < 90.0:
        raise InputError("bad-policy", f"lowest elevation {p.min_elevation_deg} is not in [-5, 90)")
    if not (1 <= p.terminals <= 8 and 1 <= p.antennas <= 64):
        raise InputError(
            "bad-policy", "a satellite has 1 to 8 terminals, a station 1 to 64 antennas"
        )
    if not 0 <= p.acquisition_ns <= 10 * MINUTE:
        raise InputError("bad-policy", "acquisition takes 0 to 10 minutes")
    if p.tick_ns % (30 * SECOND):
        raise InputError("bad-policy", "the tick is a multiple of 30 s, where states are known")
    if p.isl_rate_bps <= 0 or p.ground_rate_bps <= 0 or p.tick_ns <= 0:
        raise InputError("bad-policy", "rates and the tick are more than 0")
    return policy
