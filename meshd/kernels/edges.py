"""Where margins change sign: scanned from knot to knot, then bisected to a microsecond.

Between samples of one sign a peak or a dip is looked for, so a pass shorter than a step is found.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel
from meshd.kernels.visibility import GROUND, Limits, Scene, in_view, margin_at

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
ByteArray: TypeAlias = NDArray[np.int8]

_EDGE_NS = 1_000  # a bracket this narrow is an edge, far inside the millisecond promised
_GOLDEN = (math.sqrt(5) - 1) / 2
_PEAK_STEPS = 40  # 60 s x 0.618^40 = 0.3 us


class Couples(NamedTuple):
    """Pairs of sites as columns: a < b, and the kind of each (`visibility.CROSS`...)."""

    a: IntArray
    b: IntArray
    kind: ByteArray


class Edges(NamedTuple):
    """Changes of sign, in the order they were met: pair, last instant before, first after, way.

    `open_first` and `open_last` say of each pair whether it is open at the ends of the scene.
    """

    pair: IntArray
    low: IntArray
    high: IntArray
    rising: ByteArray
    open_first: ByteArray
    open_last: ByteArray


@inner
def _margin(scene: Scene, limits: Limits, couples: Couples, pair: int, at: int) -> float:
    k = (at - scene.first) // scene.step_ns
    u = (at - scene.first - k * scene.step_ns) / scene.step_ns
    if k == scene.positions.shape[0] - 1:
        k, u = k - 1, 1.0
    ends = (couples.a[pair], couples.b[pair])
    return margin_at(scene, limits, ends, couples.kind[pair], (k, u))


@inner
def _peak(
    scene: Scene, limits: Limits, couples: Couples, pair: int, span: tuple[int, int], sign: float
) -> int:
    """Golden-section search for the highest `sign * margin` of a pair in a span."""
    low, high = span
    for _ in range(_PEAK_STEPS):
        step = int((high - low) * _GOLDEN)
        left, right = high - step, low + step
        at_left = sign * _margin(scene, limits, couples, pair, left)
        if at_left >= sign * _margin(scene, limits, couples, pair, right):
            high = right
        else:
            low = left
    return (low + high) // 2


@inner
def _narrow(
    scene: Scene, limits: Limits, couples: Couples, pair: int, span: tuple[int, int], rising: bool
) -> tuple[int, int]:
    """Halve a span in which the margin changes sign once, until it is an edge."""
    low, high = span
    while high - low > _EDGE_NS:
        middle = (low + high) // 2
        if (_margin(scene, limits, couples, pair, middle) >= 0.0) == rising:
            high = middle
        else:
            low = middle
    return low, high


@inner
def _bends(before: float, at: float, after: float) -> bool:
    """Whether a margin could reach 0 beside a sample below it (`sign * margin` is given)."""
    if not (at < 0.0 and at >= before and at >= after):
        return False
    # It can rise no further in half a step than it fell in the steps around.
    return at + max(at - before, at - after) >= 0.0 and before > -math.inf and after > -math.inf


@kernel
def _append(found: IntArray, count: int, row: tuple[int, int, int, int]) -> IntArray:
    if count == found.shape[0]:
        more = np.empty((2 * count, 4), dtype=np.int64)
        more[:count] = found
        found = more
    found[count, 0], found[count, 1], found[count, 2], found[count, 3] = row
    return found


@inner
def _sample(scene: Scene, limits: Limits, couples: Couples, k: int, margins: FloatArray) -> None:
    """The margin of every couple at a knot: most looks are these, and most are at the ground."""
    positions, zeniths = scene.positions[k], scene.zeniths[k]
    satellites = positions.shape[0] - zeniths.shape[0]
    for pair in range(couples.a.size):
        a, b = couples.a[pair], couples.b[pair]
        if couples.kind[pair] == GROUND:
            p, q, up = positions[a], positions[b], zeniths[b - satellites]
            away = (p[0] - q[0], p[1] - q[1], p[2] - q[2])
            margin = in_view(limits, away, (up[0], up[1], up[2]))
            margins[pair] = margin if math.isfinite(margin) else -math.inf
        else:
            margins[pair] = margin_at(scene, limits, (a, b), couples.kind[pair], (k, 0.0))


@kernel
def _bracketed(scene: Scene, limits: Limits, couples: Couples, samples: FloatArray) -> IntArray:
    """Spans in which a margin changes sign once: rows (pair, low, high, rising).

    `samples` (3, pairs) is scratch and ends as the margins at the last three knots. Knot after
    knot, so that the positions of a knot stay in the processor's cache.
    """
    found, count = np.empty((1024, 4), dtype=np.int64), 0
    for k in range(scene.positions.shape[0]):
        here = scene.first + k * scene.step_ns
        last, span = here - scene.step_ns, (here - 2 * scene.step_ns, here)
        _sample(scene, limits, couples, k, samples[k % 3])
        for pair in range(couples.a.size):
            now = samples[k % 3, pair]
            before, at = samples[(k + 1) % 3, pair], samples[(k + 2) % 3, pair]
            if k > 0 and (at >= 0.0) != (now >= 0.0):
                found = _append(found, count, (pair, last, here, int(now >= 0.0)))
                count += 1
            if k < 2:
                continue
            sign = -1.0 if at >= 0.0 else 1.0
            if _bends(sign * before, sign * at, sign * now):
                peak = _peak(scene, limits, couples, pair, span, sign)
                if sign * _margin(scene, limits, couples, pair, peak) >= 0.0:
                    found = _append(found, count, (pair, span[0], peak, int(sign > 0)))
                    found = _append(found, count + 1, (pair, peak, span[1], int(sign < 0)))
                    count += 2
    return found[:count]


@kernel
def margins(scene: Scene, limits: Limits, couples: Couples, at: int) -> FloatArray:
    """The margin of each couple at an instant of the scene."""
    found = np.empty(couples.a.size)
    for pair in range(couples.a.size):
        found[pair] = _margin(scene, limits, couples, pair, at)
    return found


@kernel
def find_edges(scene: Scene, limits: Limits, couples: Couples) -> Edges:
    """Every edge of every pair over the scene."""
    n = couples.a.size
    first, last = np.empty(n, dtype=np.int8), np.empty(n, dtype=np.int8)
    samples = np.full((3, n), -math.inf)
    found = _bracketed(scene, limits, couples, samples)
    for pair in range(n):
        first[pair] = _margin(scene, limits, couples, pair, scene.first) >= 0.0
        last[pair] = samples[(scene.positions.shape[0] - 1) % 3, pair] >= 0.0
    edges = Edges(
        found[:, 0].copy(), found[:, 1].copy(), found[:, 2].copy(), found[:, 3].astype(np.int8),
        first, last,
    )  # fmt: skip
    for row in range(edges.pair.size):
        span = (edges.low[row], edges.high[row])
        rising = edges.rising[row] != 0
        span = _narrow(scene, limits, couples, edges.pair[row], span, rising)
        edges.low[row], edges.high[row] = span
    return edges
