"""How links change over a short span: their lengths at both ends, and bounds on how they bend."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


class Motion(NamedTuple):
    """States of all sites at the two knots around a span, `step_s` apart: (2, sites, 3)."""

    positions: FloatArray
    velocities: FloatArray
    step_s: float


class Spans(NamedTuple):
    """Links over a span as columns: lengths at its ends, and what they keep to within (km, s)."""

    begin_km: FloatArray
    finish_km: FloatArray
    least_km: FloatArray
    most_km: FloatArray
    speed_km_s: FloatArray
    pull_km_s2: FloatArray


@inner
def _relative(motion: Motion, pair: tuple[int, int], u: float) -> tuple[float, float, float]:
    """Distance of two sites, and sizes of their relative velocity and acceleration."""
    p, v, h = motion.positions, motion.velocities, motion.step_s
    a, b = pair
    range2 = speed2 = pull2 = 0.0
    for axis in range(3):
        p0, p1 = p[0, b, axis] - p[0, a, axis], p[1, b, axis] - p[1, a, axis]
        m0, m1 = (v[0, b, axis] - v[0, a, axis]) * h, (v[1, b, axis] - v[1, a, axis]) * h
        c2, c3 = 3 * (p1 - p0) - 2 * m0 - m1, m0 + m1 - 2 * (p1 - p0)
        range2 += (p0 + u * (m0 + u * (c2 + u * c3))) ** 2
        speed2 += ((m0 + u * (2 * c2 + 3 * u * c3)) / h) ** 2
        pull2 += ((2 * c2 + 6 * u * c3) / (h * h)) ** 2
    return math.sqrt(range2), math.sqrt(speed2), math.sqrt(pull2)


@kernel
def link_spans(motion: Motion, a: IntArray, b: IntArray, span: tuple[float, float]) -> Spans:
    """The links (a, b) from the part `span[0]` of the step between the knots to `span[1]`.

    Between knots paths are cubics: relative acceleration is straight, so it is greatest at an end;
    speed and length then change by no more than it and the speed allow in half the span.
    """
    n, half_s = a.size, (span[1] - span[0]) * motion.step_s / 2
    found = Spans(*(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)))
    for row in range(n):
        pair = (a[row], b[row])
        range0, speed0, pull0 = _relative(motion, pair, span[0])
        range1, speed1, pull1 = _relative(motion, pair, span[1])
        pull = max(pull0, pull1)
        speed = max(speed0, speed1) + pull * half_s
        found.begin_km[row], found.finish_km[row] = range0, range1
        found.least_km[row] = max(min(range0, range1) - speed * half_s, 0.0)
        found.most_km[row] = max(range0, range1) + speed * half_s
        found.speed_km_s[row], found.pull_km_s2[row] = speed, pull
    return found
