"""Why two sites have no link at an instant: the physical reason first, then the policy's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.sun import sun_direction
from meshd.topology.fitted import SLOT_NS
from meshd.topology.plan import WHOLE, ContactPlan
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray
from protocols.types import SECOND, Instant


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """All sites of a sky at one instant, and what a policy asks of links between them."""

    sky: Sky
    policy: LinkPolicy
    at: Instant
    positions: FloatArray
    velocities: FloatArray

    @classmethod
    def of(cls, sky: Sky, policy: LinkPolicy, at: Instant) -> Sight:
        return cls(sky, policy, at, *sky.states(at))

    def why_apart(self, a: int, b: int) -> str | None:
        """Why geometry forbids a link between two sites; None where it does not."""
        if a > b:
            a, b = b, a
        if self.sky.kinds[b] == "satellite":
            return self._why_no_laser(a, b)
        if self.sky.kinds[a] == "ground":
            return "two stations have no link"
        return self._why_no_radio(a, b)

    def elevation_deg(self, satellite: int, station: int) -> float:
        """How high a satellite stands over a station's horizon."""
        away = self.positions[satellite] - self.positions[station]
        up = self.sky.zeniths(np.array([self.at]))[0][station - self.sky.n_satellites]
        return math.degrees(math.asin(float(away @ up) / float(np.linalg.norm(away))))

    def range_km(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self.positions[b] - self.positions[a]))

    def _why_no_radio(self, satellite: int, station: int) -> str | None:
        limit_km, name = self.policy.ground_range_max_km, self.sky.names[station]
        if limit_km is not None:
            range_km = self.range_km(satellite, station)
            if range_km > limit_km:
                return f"out of range: {range_km:.1f} km from {name}, at most {limit_km:.1f}"
            return None
        elevation, least = self.elevation_deg(satellite, station), self.policy.min_elevation_deg
        if elevation < 0:
            return f"{-elevation:.1f} degrees below the horizon of {name}"
        if elevation < least:
            return f"too low: {elevation:.2f} degrees over {name}, at least {least:g}"
        return None

    def _why_no_laser(self, a: int, b: int) -> str | None:
        policy, p = self.policy, self.positions[a]
        away = self.positions[b] - p
        range_km = float(np.linalg.norm(away))
        along = min(max(-float(p @ away) / range_km**2, 0.0), 1.0)
        height_km = float(np.linalg.norm(p + along * away)) - EARTH_RADIUS_KM
        if height_km < 0:
            return f"the Earth is between them, {range_km:.0f} km apart"
        if height_km < policy.grazing_altitude_km:
            return f"the beam would pass {height_km:.0f} km over the ground"
        if policy.isl_range_max_km is not None and range_km > policy.isl_range_max_km:
            return f"out of range: {range_km:.0f} km, at most {policy.isl_range_max_km:.0f}"
        return self._why_unsteady(a, b, away / range_km, range_km) or self._why_blind(a, b, away)

    def _why_unsteady(self, a: int, b: int, beam: FloatArray, range_km: float) -> str | None:
        policy = self.policy
        limit = policy.cross_plane_latitude_max_deg
        sines = [abs(self.positions[s][2]) / np.linalg.norm(self.positions[s]) for s in (a, b)]
        if limit is not None and max(sines) > math.sin(math.radians(limit)):
            return f"lasers between planes are off beyond {limit:g} degrees of latitude"
        turning = self.velocities[b] - self.velocities[a]
        across = turning - float(turning @ beam) * beam
        rate = math.degrees(float(np.linalg.norm(across)) / range_km)
        if policy.slew_max_deg_s is not None and rate > policy.slew_max_deg_s:
            return f"the beam turns {rate:.2f} degrees a second, at most {policy.slew_max_deg_s:g}"
        return None

    def _why_blind(self, a: int, b: int, away: FloatArray) -> str | None:
        exclusion = self.policy.sun_exclusion_deg
        if exclusion is None:
            return None
        sun = sun_direction(np.array([self.at]))[0]
        for site, beam in ((a, away), (b, -away)):
            angle = math.degrees(math.acos(float(beam @ sun) / float(np.linalg.norm(away))))
            if angle < exclusion:
                return (
                    f"the Sun stands {angle:.1f} degrees beside the beam at {self.sky.names[site]}"
                )
        return None


def why_ended(sight: Sight, a: int, b: int) -> str | None:
    """Why a contact that was open just before the instant of a sight is not any more.

    None where a policy without choices ends no contact that geometry does not.
    """
    reason, policy = sight.why_apart(a, b), sight.policy
    if reason is not None:
        return reason
    ground = "ground" in (sight.sky.kinds[a], sight.sky.kinds[b])
    if ground and policy.ground != "all":
        return "the station turned to another satellite"
    if not ground and policy.isl in ("fitted", "nearest"):
        choices_ns = SLOT_NS if policy.isl == "fitted" else policy.tick_ns
        if sight.at % choices_ns < SECOND:
            return "another peer was chosen"
    return "elements so old leave no more of it sure" if policy.age_margin else None


def why_unlinked(plan: ContactPlan, sight: Sight | None, a: int, b: int, at: Instant) -> str | None:
    """Why a plan has no contact of two sites at an instant; None when it has one.

    Without a sight (a plan of given contacts) only what the plan says is known.
    """
    if plan.open_contact(a, b, at) is not None:
        return None
    whole: ContactPlan | None = plan.derived.get(WHOLE)
    if whole is not None and whole.open_contact(a, b, at) is not None:
        return "predicted, but a node is away or the link is down"
    reason = sight.why_apart(a, b) if sight is not None else None
    if reason is not None:
        return reason
    later = min((c.begin for c in plan.contacts_between(a, b) if c.begin > at), default=None)
    if later is not None:
        return f"its contact begins in {(later - at) / 1e9:.1f} s"
    if sight is None:
        return "the plan has no contact of them"
    if "ground" in (plan.kinds[a], plan.kinds[b]):
        return "in view, but its antennas point elsewhere"
    return _why_unpaired(plan, sight.policy, (a, b), at)


def _why_unpaired(plan: ContactPlan, policy: LinkPolicy, pair: tuple[int, int], at: Instant) -> str:
    if policy.isl in ("plus-grid", "listed"):
        return "in view, but no neighbours in the grid: their terminals are for others"
    for site in pair:
        used = sum(
            plan.kinds[c.peer] == "satellite" and c.begin <= at < c.finish
            for c in plan.contacts_of(site)
        )
        if used >= policy.terminals:
            return f"no free terminal: all {policy.terminals} of {plan.names[site]} are in use"
    return "in view, but not chosen: others last longer, or a terminal is still turning to its peer"
