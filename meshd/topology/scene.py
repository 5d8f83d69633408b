"""The stage: where sites are over a window, and what is asked of links between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.sun import sun_direction
from meshd.kernels.edges import Couples, margins
from meshd.kernels.visibility import Limits, Scene
from meshd.topology.contacts import BoolArray, Intervals, visible
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, Trajectory
from protocols.types import Instant

_NONE = 2.0
"""A sine or cosine that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Answers of geometry over a trajectory: margins of couples, and when they see each other.

    After the elements of a few satellites have changed most couples are asked of the states as
    they were, those of the changed satellites of a small scene: nothing large is copied.
    """

    scene: Scene
    """Of all sites, those that move otherwise as they were."""
    limits: Limits
    trajectory: Trajectory

    def margins(self, couples: Couples, at: Instant) -> FloatArray:
        """The margin of each couple at an instant; at least 0 where they may be linked."""
        found = margins(self.scene, self.limits, couples, at)
        changed = self._changed(couples)
        if changed.any():
            scene, some = self._cut(couples, changed)
            found[changed] = margins(scene, self.limits, some, at)
        return found

    def visible(self, couples: Couples) -> Intervals:
        """When the margin of each couple is at least 0, over the whole trajectory."""
        changed = self._changed(couples)
        if not changed.any():
            return visible(self.scene, self.limits, couples)
        kept = np.flatnonzero(~changed)
        still = Couples(couples.a[kept], couples.b[kept], couples.kind[kept])
        others = visible(self.scene, self.limits, still)
        scene, some = self._cut(couples, changed)
        own = visible(scene, self.limits, some)
        pair = np.concatenate([kept[others.pair], np.flatnonzero(changed)[own.pair]])
        begin = np.concatenate([others.begin, own.begin])
        order = np.lexsort((begin, pair))
        finish = np.concatenate([others.finish, own.finish])
        return Intervals(pair[order], begin[order], finish[order])

    def _changed(self, couples: Couples) -> BoolArray:
        moved = np.zeros(self.scene.positions.shape[1], dtype=bool)
        moved[list(self.trajectory.moved)] = True
        return moved[couples.a] | moved[couples.b]

    def _cut(self, couples: Couples, rows: BoolArray) -> tuple[Scene, Couples]:
        """The scene of these couples' sites alone, and the couples in its numbers."""
        a, b = couples.a[rows], couples.b[rows]
        sites = np.unique(np.concatenate([a, b]))
        first = self.scene.positions.shape[1] - self.scene.zeniths.shape[1]
        stations = sites[sites >= first] - first
        positions, velocities = self.trajectory.states_of(sites)
        zeniths = np.ascontiguousarray(self.scene.zeniths[:, stations])
        scene = self.scene._replace(positions=positions, velocities=velocities, zeniths=zeniths)
        places = np.searchsorted(sites, a), np.searchsorted(sites, b)
        return scene, Couples(*places, couples.kind[rows])


def stage_of(sky: Sky, policy: LinkPolicy, trajectory: Trajectory) -> Stage:
    """The sites of a sky along a trajectory, with the stations' zeniths and the Sun."""
    knots = trajectory.knots()
    sun = np.zeros((knots.size, 1, 3))
    if policy.sun_exclusion_deg is not None:
        sun[:, 0] = sun_direction(knots)
    zeniths = np.ascontiguousarray(sky.zeniths(knots))
    unmoved = trajectory.unmoved()
    scene = Scene(trajectory.first, trajectory.step_ns, *unmoved, zeniths, sun)
    return Stage(scene, limits_of(policy), trajectory)


def limits_of(policy: LinkPolicy) -> Limits:
    """The limits of a policy, as sines, cosines, km and rad/s."""
    ground = policy.ground_range_max_km
    latitude, sun = policy.cross_plane_latitude_max_deg, policy.sun_exclusion_deg
    slew = policy.slew_max_deg_s
    return Limits(
        grazing_radius_km=EARTH_RADIUS_KM + policy.grazing_altitude_km,
        range_max_km=math.inf if policy.isl_range_max_km is None else policy.isl_range_max_km,
        sin_cross_latitude=_NONE if latitude is None else math.sin(math.radians(latitude)),
        cos_sun=_NONE if sun is None else math.cos(math.radians(sun)),
        slew_rad_s=math.inf if slew is None else math.radians(slew),
        sin_elevation=math.sin(math.radians(policy.min_elevation_deg)),
        ground_range_max_km=math.inf if ground is None else ground,
        earth_radius_km=EARTH_RADIUS_KM,
    )
