"""When pairs of sites see each other: margins sampled at the knots, edges found by bisection.

A margin is a smooth-enough function of time that is at least 0 while a link can stand. Between
samples with one sign a peak or a dip is looked for, so a pass shorter than a step is not missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.stations import to_inertial, zenith
from meshd.topology.candidates import Pairs
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, IntArray, Trajectory
from protocols.types import MILLISECOND

_BLOCK_SAMPLES = 400_000  # samples a block: about 60 MB of scratch
_EDGE_NS = 1_000  # a bracket this narrow is an edge, far inside the millisecond promised
_GOLDEN = (math.sqrt(5) - 1) / 2
_PEAK_STEPS = 40  # 60 s x 0.618^40 = 0.3 us

Margin: TypeAlias = Callable[[IntArray, IntArray], FloatArray]
"""(pair numbers, instants), both (m,) -> margins (m,)."""


class Intervals(NamedTuple):
    """Half-open intervals [begin, finish) of pairs, as columns."""

    pair: IntArray
    begin: IntArray
    finish: IntArray


def laser_intervals(trajectory: Trajectory, policy: LinkPolicy, pairs: Pairs) -> Intervals:
    """When each candidate pair of satellites can hold a laser, over the whole trajectory.

    Edges are on whole milliseconds, inside the true interval by less than 1 ms.
    """

    def margin(which: IntArray, instants: IntArray) -> FloatArray:
        first = trajectory.site_positions_km(pairs.a[which], instants)
        second = trajectory.site_positions_km(pairs.b[which], instants)
        return laser_margin(policy, first, second, pairs.cross[which])

    found = []
    knots = _knots(trajectory)
    for block in _blocks(pairs.a.size, knots.size):
        positions = trajectory.positions
        samples = laser_margin(
            policy, positions[:, pairs.a[block]], positions[:, pairs.b[block]], pairs.cross[block]
        )
        found.append(_intervals(margin, samples, knots, block.start))
    return _join(found)


def ground_intervals(
    trajectory: Trajectory, policy: LinkPolicy, sky: Sky, station: int
) -> Intervals:
    """When each satellite stands above the lowest elevation at one station (pair = satellite)."""
    up_fixed = zenith(sky.stations[station : station + 1])
    site = sky.n_satellites + station
    knots = _knots(trajectory)

    def margin(which: IntArray, instants: IntArray) -> FloatArray:
        satellite = trajectory.site_positions_km(which, instants)
        ground = trajectory.site_positions_km(site, instants)
        return elevation_margin(policy, satellite, ground, to_inertial(up_fixed, instants)[:, 0])

    up = to_inertial(up_fixed, knots)
    ground = trajectory.positions[:, site : site + 1]
    found = []
    for block in _blocks(sky.n_satellites, knots.size):
        samples = elevation_margin(policy, trajectory.positions[:, block], ground, up)
        found.append(_intervals(margin, samples, knots, block.start))
    return _join(found)


def laser_margin(
    policy: LinkPolicy, first: FloatArray, second: FloatArray, cross: np.ndarray
) -> FloatArray:
    """At least 0 while a laser between two positions (..., 3) km stands; NaN positions never do.

    The least of: clearance of the beam over the grazing sphere (equatorial radius + grazing
    altitude), range left, and for `cross` pairs the latitude left.
    """
    away = second - first
    range2 = _dot(away, away)
    first2, second2 = _dot(first, first), _dot(second, second)
    with np.errstate(invalid="ignore", divide="ignore"):
        along = np.clip(-_dot(first, away) / range2, 0.0, 1.0)
        nearest2 = first2 + along * (2 * _dot(first, away) + along * range2)
        margin = np.sqrt(np.maximum(nearest2, 0.0)) - (EARTH_RADIUS_KM + policy.grazing_altitude_km)
        if policy.isl_range_max_km is not None:
            margin = np.minimum(margin, policy.isl_range_max_km - np.sqrt(range2))
        if policy.cross_plane_latitude_max_deg is not None:
            limit = math.sin(math.radians(policy.cross_plane_latitude_max_deg))
            sine = np.maximum(
                np.abs(first[..., 2]) / np.sqrt(first2), np.abs(second[..., 2]) / np.sqrt(second2)
            )
            margin = np.where(cross, np.minimum(margin, limit - sine), margin)
    return np.where(np.isfinite(margin), margin, -np.inf)


def elevation_margin(
    policy: LinkPolicy, satellite: FloatArray, ground: FloatArray, up: FloatArray
) -> FloatArray:
    """Sine of the elevation less that of the lowest allowed; `up` is the station's zenith."""
    away = satellite - ground
    with np.errstate(invalid="ignore"):
        sine = _dot(away, up) / np.sqrt(_dot(away, away))
    margin = sine - math.sin(math.radians(policy.min_elevation_deg))
    return np.where(np.isfinite(margin), margin, -np.inf)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    # Written out: einsum and matmul may sum in another order on another machine.
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def _knots(trajectory: Trajectory) -> IntArray:
    count = trajectory.positions.shape[0]
    return trajectory.first + np.arange(count, dtype=np.int64) * trajectory.step_ns


def _blocks(count: int, samples_each: int) -> Iterator[slice]:
    width = max(1, _BLOCK_SAMPLES // samples_each)
    for begin in range(0, count, width):
        yield slice(begin, min(begin + width, count))


def _join(found: list[Intervals]) -> Intervals:
    if not found:
        empty = np.zeros(0, dtype=np.int64)
        return Intervals(empty, empty, empty)
    return Intervals(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _intervals(margin: Margin, samples: FloatArray, knots: IntArray, base: int) -> Intervals:
    """Intervals of the pairs base, base + 1... whose margins at the knots are `samples` (K, m)."""
    inside = samples >= 0.0
    k, pair = np.nonzero(inside[1:] != inside[:-1])
    brackets = [(pair + base, knots[k], knots[k + 1], inside[k + 1, pair])]
    brackets += _hidden(margin, samples, knots, base)
    which, low, high, rising = (np.concatenate(parts) for parts in zip(*brackets, strict=True))
    low, high = _bisect(margin, which, low, high, rising)
    begins_at = -(-high[rising] // MILLISECOND) * MILLISECOND
    finishes_at = low[~rising] // MILLISECOND * MILLISECOND
    open_first, open_last = np.flatnonzero(inside[0]) + base, np.flatnonzero(inside[-1]) + base
    begin_pair = np.concatenate([open_first, which[rising]])
    begin = np.concatenate([np.full(open_first.size, knots[0]), begins_at])
    finish_pair = np.concatenate([open_last, which[~rising]])
    finish = np.concatenate([np.full(open_last.size, knots[-1]), finishes_at])
    # Edges of one pair alternate, so the n-th beginning belongs to the n-th end.
    by_begin, by_finish = np.lexsort((begin, begin_pair)), np.lexsort((finish, finish_pair))
    pair, begin, finish = begin_pair[by_begin], begin[by_begin], finish[by_finish]
    keep = begin < finish
    return Intervals(pair[keep], begin[keep], finish[keep])


def _bisect(
    margin: Margin, which: IntArray, low: IntArray, high: IntArray, rising: np.ndarray
) -> tuple[IntArray, IntArray]:
    """Narrow brackets whose margin changes sign once, until none is wider than _EDGE_NS."""
    low, high = low.copy(), high.copy()
    while low.size and int((high - low).max()) > _EDGE_NS:
        middle = (low + high) // 2
        in_middle = margin(which, middle) >= 0.0
        move_high = in_middle == rising
        high = np.where(move_high, middle, high)
        low = np.where(move_high, low, middle)
    return low, high


def _hidden(
    margin: Margin, samples: FloatArray, knots: IntArray, base: int
) -> list[tuple[IntArray, IntArray, IntArray, np.ndarray]]:
    """Brackets of pairs of edges that fall between samples of the same sign."""
    found = []
    for sign in (1.0, -1.0):  # a peak from below 0, then a dip from above
        bent = sign * samples
        before, at, after = bent[:-2], bent[1:-1], bent[2:]
        with np.errstate(invalid="ignore"):
            top = (at < 0.0) & (at >= before) & (at >= after)
            # It can rise no further in half a step than it fell in the steps around.
            near = at + np.maximum(at - before, at - after) >= 0.0
        k, pair = np.nonzero(top & near & np.isfinite(before) & np.isfinite(after))
        which = pair + base
        peak = _peak(margin, which, knots[k], knots[k + 2], sign)
        past = sign * margin(which, peak) >= 0.0 if which.size else np.zeros(0, dtype=bool)
        which, peak, k = which[past], peak[past], k[past]
        up = np.full(which.size, sign > 0)
        found.append((which, knots[k], peak, up))
        found.append((which, peak, knots[k + 2], ~up))
    return found


def _peak(margin: Margin, which: IntArray, low: IntArray, high: IntArray, sign: float) -> IntArray:
    """Golden-section search for the highest `sign * margin` between low and high."""
    low, high = low.copy(), high.copy()
    for _ in range(_PEAK_STEPS if which.size else 0):
        step = ((high - low) * _GOLDEN).astype(np.int64)
        left, right = high - step, low + step
        go_left = sign * margin(which, left) >= sign * margin(which, right)
        high = np.where(go_left, right, high)
        low = np.where(go_left, low, left)
    return (low + high) // 2
