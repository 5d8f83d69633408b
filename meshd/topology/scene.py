"""What the kernels need of a sky and a policy: arrays and numbers."""

from __future__ import annotations

import math

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.sun import sun_direction
from meshd.kernels.visibility import Limits, Scene
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import Trajectory

_NONE = 2.0
"""A sine or cosine that asks for nothing."""


def scene_of(sky: Sky, policy: LinkPolicy, trajectory: Trajectory) -> Scene:
    """The sites of a sky along a trajectory, with the stations' zeniths and the Sun."""
    knots = trajectory.knots()
    sun = np.zeros((knots.size, 1, 3))
    if policy.sun_exclusion_deg is not None:
        sun[:, 0] = sun_direction(knots)
    zeniths = sky.zeniths(knots)
    return Scene(
        trajectory.first,
        trajectory.step_ns,
        trajectory.positions,
        trajectory.velocities,
        np.ascontiguousarray(zeniths),
        sun,
    )


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
