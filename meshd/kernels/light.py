"""Light time between sites that move: cubics through knots, in whole nanoseconds.

Step for step the arithmetic of `Trajectory`, so that a kernel and a daemon's other code agree to
the nanosecond.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import kernel
from meshd.kernels.visibility import Vector, along
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S

FloatArray: TypeAlias = NDArray[np.float64]


class Knots(NamedTuple):
    """States of all sites at `first + k * step_ns`: (knots, sites, 3), km and km/s."""

    first: int
    step_ns: int
    positions: FloatArray
    velocities: FloatArray


@kernel
def place_at(knots: Knots, site: int, at: int) -> Vector:
    """Position of a site (km) at an instant between the first and the last knot."""
    p, v = knots.positions, knots.velocities
    k = (at - knots.first) // knots.step_ns
    if k == p.shape[0] - 1:
        return p[k, site, 0], p[k, site, 1], p[k, site, 2]
    u = (at - knots.first - k * knots.step_ns) / knots.step_ns
    h = knots.step_ns / SECOND
    return (
        along(p[k, site, 0], p[k + 1, site, 0], v[k, site, 0], v[k + 1, site, 0], u, h),
        along(p[k, site, 1], p[k + 1, site, 1], v[k, site, 1], v[k + 1, site, 1], u, h),
        along(p[k, site, 2], p[k + 1, site, 2], v[k, site, 2], v[k + 1, site, 2], u, h),
    )


@kernel
def range_km(here: Vector, there: Vector) -> float:
    """Distance of two positions."""
    dx, dy, dz = there[0] - here[0], there[1] - here[1], there[2] - here[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def light_ns(here: Vector, there: Vector) -> int:
    """Nanoseconds light needs between two positions, to the nearest; even where it is halfway."""
    return int(np.rint(range_km(here, there) / SPEED_OF_LIGHT_KM_S * SECOND))


@kernel
def places_at(knots: Knots, at: int) -> FloatArray:
    """Positions of all sites at an instant, (sites, 3) km."""
    found = np.empty((knots.positions.shape[1], 3))
    for site in range(found.shape[0]):
        found[site, 0], found[site, 1], found[site, 2] = place_at(knots, site, at)
    return found
