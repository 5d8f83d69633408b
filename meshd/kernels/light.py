"""Light time between sites that move: cubics through knots, in whole nanoseconds.

Step for step the arithmetic of `Trajectory`, so that a kernel and a daemon's other code agree to
the nanosecond.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel, part
from meshd.kernels.visibility import Vector, along
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S

FloatArray: TypeAlias = NDArray[np.float64]


class Knots(NamedTuple):
    """States of all sites at `first + k * step_ns`: (knots, sites, 3), km and km/s.

    For the step from the knot at `begin` the cubics are worked out: `table` (sites, 12) has the
    four coefficients of x, of y and of z. It may be empty.
    """

    first: int
    step_ns: int
    positions: FloatArray
    velocities: FloatArray
    begin: int
    table: FloatArray


@kernel
def cubics_from(knots: Knots, begin: int) -> FloatArray:
    """The table of the step from the knot at `begin`, which is not the last."""
    p, v, h = knots.positions, knots.velocities, knots.step_ns / SECOND
    k = (begin - knots.first) // knots.step_ns
    table = np.empty((p.shape[1], 12))
    for site in range(p.shape[1]):
        for axis in range(3):
            p0, p1 = p[k, site, axis], p[k + 1, site, axis]
            m0, m1, d = v[k, site, axis] * h, v[k + 1, site, axis] * h, p1 - p0
            table[site, 4 * axis] = p0
            table[site, 4 * axis + 1] = m0
            table[site, 4 * axis + 2] = 3 * d - 2 * m0 - m1
            table[site, 4 * axis + 3] = m0 + m1 - 2 * d
    return table


class Spot(NamedTuple):
    """Where a site is at an instant (km), and that instant as a part of the table's step.

    Without a table for the instant the part is -1, and the place is not worked out.
    """

    at: int
    u: float
    place: Vector


@part
def spot_at(knots: Knots, site: int, at: int) -> Spot:
    """Where a site is at an instant: who leaves from it asks for many peers at the same part."""
    rest = at - knots.begin
    if knots.table.size and 0 <= rest < knots.step_ns:
        u = rest / knots.step_ns
        return Spot(at, u, place_within(knots, site, u))
    return Spot(at, -1.0, (0.0, 0.0, 0.0))


@part
def place_within(knots: Knots, site: int, u: float) -> Vector:
    """Position of a site (km) a part `u` of the table's step after its beginning."""
    c = knots.table[site]
    return (
        c[0] + u * (c[1] + u * (c[2] + u * c[3])),
        c[4] + u * (c[5] + u * (c[6] + u * c[7])),
        c[8] + u * (c[9] + u * (c[10] + u * c[11])),
    )


@part
def place_at(knots: Knots, site: int, at: int) -> Vector:
    """Position of a site (km) at an instant between the first and the last knot."""
    rest = at - knots.begin
    if knots.table.size and 0 <= rest < knots.step_ns:
        return place_within(knots, site, rest / knots.step_ns)
    return _between_knots(knots, site, at)


@part
def _between_knots(knots: Knots, site: int, at: int) -> Vector:
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


@part
def range_km(here: Vector, there: Vector) -> float:
    """Distance of two positions."""
    dx, dy, dz = there[0] - here[0], there[1] - here[1], there[2] - here[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@part
def light_ns(here: Vector, there: Vector) -> int:
    """Nanoseconds light needs between two positions, to the nearest; even where it is halfway."""
    return int(np.rint(range_km(here, there) / SPEED_OF_LIGHT_KM_S * SECOND))


@inner
def light_between(knots: Knots, ends: tuple[int, int], at: int) -> int:
    """Light time between two sites for a departure at an instant."""
    return light_ns(place_at(knots, ends[0], at), place_at(knots, ends[1], at))


@kernel
def places_at(knots: Knots, at: int) -> FloatArray:
    """Positions of all sites at an instant, (sites, 3) km."""
    found = np.empty((knots.positions.shape[1], 3))
    for site in range(found.shape[0]):
        found[site, 0], found[site, 1], found[site, 2] = place_at(knots, site, at)
    return found
