"""Margins: how far a link is from breaking. At least 0 while it can stand, -inf without a state.

A margin is the least of several: clearance of the beam over the grazing sphere and range left
(km), sine of the latitude left, cosine between the beam and the Sun left, turning rate left
(rad/s), sine of the elevation left. Only its sign and its course near 0 mean anything.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, part

FloatArray: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = tuple[float, float, float]

IN_PLANE, CROSS, GROUND = 0, 1, 2
"""Kinds of pair: a laser along a plane, a laser between planes, a satellite and a station."""


class Scene(NamedTuple):
    """Where everything is at the knots `first + k * step_ns`: km, km/s, unit vectors."""

    first: int
    step_ns: int
    positions: FloatArray
    """(knots, sites, 3), satellites first, then stations."""
    velocities: FloatArray
    zeniths: FloatArray
    """(knots, stations, 3)."""
    sun: FloatArray
    """(knots, 3), towards the Sun; unused while `cos_sun` is 2."""


class Limits(NamedTuple):
    """What a link must keep to. 2 for a sine or cosine, and infinity, ask for nothing."""

    grazing_radius_km: float
    range_max_km: float
    sin_cross_latitude: float
    cos_sun: float
    slew_rad_s: float
    sin_elevation: float
    ground_range_max_km: float
    earth_radius_km: float


@inner
def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inner
def minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@part
def along(p0: float, p1: float, v0: float, v1: float, u: float, h: float) -> float:
    """The cubic through two knots, as `Trajectory` has it."""
    m0, m1, d = v0 * h, v1 * h, p1 - p0
    return p0 + u * (m0 + u * ((3 * d - 2 * m0 - m1) + u * (m0 + m1 - 2 * d)))


@inner
def _speed(p0: float, p1: float, v0: float, v1: float, u: float, h: float) -> float:
    m0, m1, d = v0 * h, v1 * h, p1 - p0
    return (m0 + u * (2 * (3 * d - 2 * m0 - m1) + 3 * u * (m0 + m1 - 2 * d))) / h


@inner
def place(scene: Scene, site: int, k: int, u: float) -> Vector:
    """Position of a site (km) a part `u` of a step after knot `k`."""
    p, v = scene.positions, scene.velocities
    if u == 0.0:
        return p[k, site, 0], p[k, site, 1], p[k, site, 2]
    h = scene.step_ns / 1_000_000_000
    return (
        along(p[k, site, 0], p[k + 1, site, 0], v[k, site, 0], v[k + 1, site, 0], u, h),
        along(p[k, site, 1], p[k + 1, site, 1], v[k, site, 1], v[k + 1, site, 1], u, h),
        along(p[k, site, 2], p[k + 1, site, 2], v[k, site, 2], v[k + 1, site, 2], u, h),
    )


@inner
def motion(scene: Scene, site: int, k: int, u: float) -> Vector:
    """Velocity of a site (km/s), the slope of `place`."""
    p, v = scene.positions, scene.velocities
    if u == 0.0:
        return v[k, site, 0], v[k, site, 1], v[k, site, 2]
    h = scene.step_ns / 1_000_000_000
    return (
        _speed(p[k, site, 0], p[k + 1, site, 0], v[k, site, 0], v[k + 1, site, 0], u, h),
        _speed(p[k, site, 1], p[k + 1, site, 1], v[k, site, 1], v[k + 1, site, 1], u, h),
        _speed(p[k, site, 2], p[k + 1, site, 2], v[k, site, 2], v[k + 1, site, 2], u, h),
    )


@inner
def _between(table: FloatArray, row: int, k: int, u: float) -> Vector:
    """A slow unit vector between knots, turning about the Earth's axis: its height stays."""
    x, y, z = table[k, row, 0], table[k, row, 1], table[k, row, 2]
    if u != 0.0:
        across = x * x + y * y
        x += u * (table[k + 1, row, 0] - x)
        y += u * (table[k + 1, row, 1] - y)
        z += u * (table[k + 1, row, 2] - z)
        stretch = math.sqrt(across / (x * x + y * y)) if across > 0.0 else 1.0
        x, y = x * stretch, y * stretch
    return x, y, z


@inner
def _blinding(limits: Limits, at: Vector, beam: Vector, sun: Vector) -> float:
    """How far the Sun is out of the sight of whoever at `at` looks along `beam` (unit)."""
    left = limits.cos_sun - dot(beam, sun)
    if left < 0.0:
        towards = dot(at, sun)
        if towards < 0.0 and dot(at, at) - towards * towards < limits.earth_radius_km**2:
            return 1.0  # the Earth is before the Sun
    return left


@inner
def _laser(
    scene: Scene, limits: Limits, ends: tuple[int, int], cross: bool, when: tuple[int, float]
) -> float:
    k, u = when
    p, q = place(scene, ends[0], k, u), place(scene, ends[1], k, u)
    away = minus(q, p)
    range2, p2, pa = dot(away, away), dot(p, p), dot(p, away)
    along = min(max(-pa / range2, 0.0), 1.0)
    nearest2 = p2 + along * (2 * pa + along * range2)
    margin = math.sqrt(max(nearest2, 0.0)) - limits.grazing_radius_km
    range_km = math.sqrt(range2)
    margin = min(margin, limits.range_max_km - range_km)
    if cross and limits.sin_cross_latitude < 2.0:
        sine = max(abs(p[2]) / math.sqrt(p2), abs(q[2]) / math.sqrt(dot(q, q)))
        margin = min(margin, limits.sin_cross_latitude - sine)
    if limits.slew_rad_s < math.inf:
        turning = minus(motion(scene, ends[1], k, u), motion(scene, ends[0], k, u))
        radial = dot(turning, away) / range_km
        across = math.sqrt(max(dot(turning, turning) - radial * radial, 0.0))
        margin = min(margin, limits.slew_rad_s - across / range_km)
    if limits.cos_sun < 2.0 and margin >= 0.0:
        sun = _between(scene.sun, 0, k, u)
        beam = (away[0] / range_km, away[1] / range_km, away[2] / range_km)
        back = (-beam[0], -beam[1], -beam[2])
        margin = min(margin, _blinding(limits, p, beam, sun), _blinding(limits, q, back, sun))
    return margin


@inner
def in_view(limits: Limits, away: Vector, up: Vector) -> float:
    """The margin of a satellite `away` from a station whose zenith is `up`."""
    range_km = math.sqrt(dot(away, away))
    if limits.ground_range_max_km < math.inf:
        return limits.ground_range_max_km - range_km
    return dot(away, up) / range_km - limits.sin_elevation


@inner
def _ground(scene: Scene, limits: Limits, ends: tuple[int, int], when: tuple[int, float]) -> float:
    k, u = when
    away = minus(place(scene, ends[0], k, u), place(scene, ends[1], k, u))
    station = ends[1] - (scene.positions.shape[1] - scene.zeniths.shape[1])
    return in_view(limits, away, _between(scene.zeniths, station, k, u))


@inner
def margin_at(
    scene: Scene, limits: Limits, ends: tuple[int, int], kind: int, when: tuple[int, float]
) -> float:
    """The margin of a pair of sites (`a`, `b`) a part of a step after a knot, `when` = (k, u)."""
    if kind == GROUND:
        margin = _ground(scene, limits, ends, when)
    else:
        margin = _laser(scene, limits, ends, kind == CROSS, when)
    return margin if math.isfinite(margin) else -math.inf
