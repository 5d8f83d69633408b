"""Lasers for a real catalogue: the same pairs on every node, without memory or negotiation.

A catalogue has no slots, and neighbours come and go, so pairs are chosen for blocks of time
aligned on UTC, from what nearly does not change as satellites move: for two circular orbits the
cosine between the satellites is A + B cos(2 u + phase), where A and B follow from one state of
each. Their range is therefore known over the whole orbit, and most links of one block are chosen
again in the next. (Method: prototypes of the project, "history-free, from orbit invariants".)

Four terminals a satellite: ahead, behind, east, west. East means a plane whose node lies further
east; seen from the satellite that is starboard on the way up and port on the way down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.topology.candidates import Pairs
from meshd.topology.contacts import Intervals, laser_intervals, laser_margin
from meshd.topology.matching import Matching, pair_hash
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, IntArray, Trajectory
from protocols.types import HOUR, Instant

TERMINALS = 4
BLOCK_NS = 2 * HOUR
RANGE_WANTED_KM = 2_000.0
"""Hops of this length give few hops and short detours at once (measured in catalogue.md)."""
_RANGE_BIN_KM = 200.0  # wide, so that links do not change hands over a few km of drift
_MEAN_RANGE_MAX_KM = 3_000.0
_RANGE_MIN_KM = 50.0  # nearer, the line of sight turns faster than a terminal follows
_SIGHT_MARGIN_KM = 30.0  # orbits are not quite circles: +-10 km of J2 at both ends
# Along-track drift of a pair in km an hour: under 20 it lasts a day, under 200 some hours.
_DRIFT_CLASSES_KM_H = np.array([20.0, 200.0])
_SPEED_BIN_KM_S = 0.5
_BLOCK = 1_024


class _Frames(NamedTuple):
    """Each satellite's unit vectors at a tick: outward, along track, orbit normal; and radius."""

    out: FloatArray
    along: FloatArray
    normal: FloatArray
    radius_km: FloatArray


def nearest_intervals(
    sky: Sky, policy: LinkPolicy, trajectory: Trajectory, start: Instant, end: Instant
) -> tuple[Pairs, Intervals]:
    """The laser pairs chosen over [start, end), and when they hold.

    Lasting pairs are chosen once a block of BLOCK_NS, from the states in its middle; what
    terminals they leave free is paired at each tick, until the next. A pair holds for as long as
    it is chosen, clipped to its true geometry; over consecutive ticks it is one interval.
    """
    first = start // policy.tick_ns * policy.tick_ns
    ticks = np.arange(first, end + policy.tick_ns, policy.tick_ns, dtype=np.int64)
    positions, velocities = sky.satellites.states(ticks)
    motions = sky.satellites.mean_motions_rad_s()
    n = sky.n_satellites
    chosen = []
    block, lasting = -1, Matching(n, TERMINALS)
    for k, tick in enumerate(ticks[:-1].tolist()):
        if tick // BLOCK_NS != block:
            block = tick // BLOCK_NS
            middle = np.array([block * BLOCK_NS + BLOCK_NS // 2], dtype=np.int64)
            at, moving = sky.satellites.states(middle)
            lasting = lasting_pairs(policy, (at[0], moving[0]), motions)
        states = (positions[k], velocities[k], positions[k + 1])
        chosen.append(with_passing(policy, lasting, states).pairs())
    keys, runs = _runs(chosen, ticks, n)
    a, b = keys // n, keys % n
    pairs = Pairs(a, b, np.ones(a.size, dtype=bool))
    return pairs, _meet(laser_intervals(trajectory, policy, pairs), runs)


def lasting_pairs(
    policy: LinkPolicy, states: tuple[FloatArray, FloatArray], motions: FloatArray
) -> Matching:
    """The pairs of a block, from positions and velocities (n, 3) in its middle.

    Only pairs in sight of each other all around the orbit, all through the block. Greedy, one
    link a terminal, best first: by how slowly they drift apart, then by how near their mean range
    is to RANGE_WANTED_KM, then by a hash of the two. First each terminal keeps to its own
    direction; then free ones take any.
    """
    positions, velocities = states
    usable = np.flatnonzero(
        np.isfinite(positions).all(axis=1) & np.isfinite(velocities).all(axis=1)
    )
    frames = _frames(positions, velocities)
    matching = Matching(len(positions), TERMINALS)
    i, j = _near_pairs(frames, usable)
    i, j, order, sector = _lasting(policy, frames, motions, i, j)
    matching.take(i[order], j[order], sector[order])
    matching.take(i[order], j[order], None)
    return matching


def with_passing(
    policy: LinkPolicy, lasting: Matching, states: tuple[FloatArray, FloatArray, FloatArray]
) -> Matching:
    """The pairs of a tick: the block's, and for free terminals whatever holds to the next tick.

    `states` are positions and velocities at the tick, and positions at the next.
    """
    finite = np.isfinite(states[0]).all(axis=1) & np.isfinite(states[2]).all(axis=1)
    free = np.flatnonzero(finite & (lasting.free() > 0))
    i, j = _passing(policy, states, free)
    matching = lasting.copy()
    matching.take(i, j, None)
    return matching


def _frames(positions: FloatArray, velocities: FloatArray) -> _Frames:
    radius = np.sqrt((positions**2).sum(axis=1))
    out = positions / radius[:, None]
    along = velocities - out * (velocities * out).sum(axis=1)[:, None]
    along = along / np.sqrt((along**2).sum(axis=1))[:, None]
    return _Frames(out, along, np.cross(out, along), radius)


def _near_pairs(frames: _Frames, usable: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of usable satellites whose orbit-mean range is at most _MEAN_RANGE_MAX_KM, or nearly.

    The single-precision product only sifts; what passes is weighed in double precision.
    """
    state = np.hstack([frames.out[usable], frames.along[usable]]) / np.sqrt(2)
    state = state.astype(np.float32)
    least = float(frames.radius_km[usable].min()) if usable.size else 1.0
    cosine_min = 1 - (_MEAN_RANGE_MAX_KM / least) ** 2 / 2 - 1e-4
    found_i, found_j = [], []
    for begin in range(0, usable.size, _BLOCK):
        block = state[begin : begin + _BLOCK] @ state[begin:].T
        i, j = np.nonzero(block > cosine_min)
        ahead = j > i
        found_i.append(usable[i[ahead] + begin])
        found_j.append(usable[j[ahead] + begin])
    if not found_i:
        return usable, usable
    return np.concatenate(found_i), np.concatenate(found_j)


def _lasting(
    policy: LinkPolicy, frames: _Frames, motions: FloatArray, i: IntArray, j: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The pairs in sight of each other all around the orbit, their order, and i's sector for j."""
    out, along, radius = frames.out, frames.along, frames.radius_km
    pp, qq = _dot(out[i], out[j]), _dot(along[i], along[j])
    pq, qp = _dot(out[i], along[j]), _dot(along[i], out[j])
    mean, swing = (pp + qq) / 2, np.hypot(pp - qq, pq + qp) / 2
    grazing = EARTH_RADIUS_KM + policy.grazing_altitude_km
    depth = np.sqrt(np.maximum(radius**2 - grazing**2, 0.0))
    limit = depth[i] + depth[j] - _SIGHT_MARGIN_KM
    if policy.isl_range_max_km is not None:
        limit = np.minimum(limit, policy.isl_range_max_km)
    sum2, product = radius[i] ** 2 + radius[j] ** 2, 2 * radius[i] * radius[j]
    longest = np.sqrt(sum2 - product * (mean - swing))
    shortest = np.sqrt(np.maximum(sum2 - product * (mean + swing), 0.0))
    range_km = np.sqrt(sum2 - product * mean)
    drift_km_h = np.abs(motions[i] - motions[j]) * radius[i] * 3_600
    longest = longest + drift_km_h * (BLOCK_NS / 2 / HOUR)
    good = (longest < limit) & (shortest > _RANGE_MIN_KM) & (range_km <= _MEAN_RANGE_MAX_KM)
    i, j, range_km, lead = i[good], j[good], range_km[good], ((qp - pq) / 2)[good]
    drift_km_h = drift_km_h[good]
    classes = np.searchsorted(_DRIFT_CLASSES_KM_H, drift_km_h)
    off = np.floor(np.abs(range_km - RANGE_WANTED_KM) / _RANGE_BIN_KM)
    order = np.lexsort((pair_hash(i, j), off, classes))
    return i, j, order, _sectors(frames.normal, lead, i, j)


def _sectors(normal: FloatArray, lead: FloatArray, i: IntArray, j: IntArray) -> IntArray:
    """Which terminal of i points at j: 0 ahead, 1 behind, 2 east, 3 west; of j, the opposite."""
    tilt = np.cross(normal[i], normal[j])
    aside = np.sqrt(_dot(tilt, tilt)) > np.abs(lead)
    return np.where(aside, np.where(tilt[:, 2] > 0, 2, 3), np.where(lead > 0, 0, 1))


def _passing(
    policy: LinkPolicy, states: tuple[FloatArray, FloatArray, FloatArray], free: IntArray
) -> tuple[IntArray, IntArray]:
    """Pairs of free satellites in sight now and at the next tick, slowest first."""
    positions, velocities, later = states
    found: list[tuple[IntArray, IntArray]] = []
    for place in range(free.size):
        others = free[place + 1 :]
        away = positions[others] - positions[free[place]]
        range2 = _dot(away, away)
        others = others[(range2 < _MEAN_RANGE_MAX_KM**2) & (range2 > _RANGE_MIN_KM**2)]
        found.append((np.full(others.size, free[place]), others))
    found.append((free[:0], free[:0]))
    i, j = np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])
    cross = np.ones(i.size, dtype=bool)
    seen = laser_margin(policy, positions[i], positions[j], cross) >= 0.0
    seen &= laser_margin(policy, later[i], later[j], cross) >= 0.0
    i, j = i[seen], j[seen]
    away = positions[j] - positions[i]
    range_km = np.sqrt(_dot(away, away))
    turning = velocities[j] - velocities[i]
    speed = np.floor(np.sqrt(_dot(turning, turning)) / _SPEED_BIN_KM_S)
    off = np.floor(np.abs(range_km - RANGE_WANTED_KM) / _RANGE_BIN_KM)
    order = np.lexsort((pair_hash(i, j), off, speed))
    return i[order], j[order]


def _runs(
    chosen: list[tuple[IntArray, IntArray]], ticks: IntArray, n: int
) -> tuple[IntArray, Intervals]:
    """The distinct pairs (as a * n + b, ascending), and the runs of ticks that chose each."""
    which = np.concatenate([a * n + b for a, b in chosen])
    tick = np.concatenate([np.full(a.size, k) for k, (a, _) in enumerate(chosen)])
    order = np.lexsort((tick, which))
    which, tick = which[order], tick[order]
    fresh = np.ones(which.size, dtype=bool)
    fresh[1:] = (which[1:] != which[:-1]) | (tick[1:] != tick[:-1] + 1)
    last = np.roll(fresh, -1)
    keys = np.unique(which)
    pair = np.searchsorted(keys, which[fresh])
    return keys, Intervals(pair, ticks[tick[fresh]], ticks[tick[last] + 1])


def _meet(seen: Intervals, runs: Intervals) -> Intervals:
    """What both say of the same pairs; either may have several intervals a pair."""
    low = np.searchsorted(runs.pair, seen.pair, side="left")
    high = np.searchsorted(runs.pair, seen.pair, side="right")
    row = np.repeat(np.arange(seen.pair.size), high - low)
    offset = np.arange(row.size) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    run = low[row] + offset
    begin = np.maximum(seen.begin[row], runs.begin[run])
    finish = np.minimum(seen.finish[row], runs.finish[run])
    keep = begin < finish
    return Intervals(seen.pair[row][keep], begin[keep], finish[keep])


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])
