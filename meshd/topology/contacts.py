"""When pairs of sites see each other: exact edges, then what policy and terminals leave of them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels.edges import Couples, find_edges
from meshd.kernels.visibility import CROSS, GROUND, IN_PLANE, Limits, Scene
from meshd.topology.candidates import Pairs
from meshd.topology.trajectory import IntArray
from protocols.types import MILLISECOND, MINUTE, SECOND, Duration, Instant

REACQUIRED_NS = 2 * MINUTE
REACQUISITION_NS = 5 * SECOND
"""The same peer again: 2 to 5 s (the project's assumption, between fine pointing and a search)."""

BoolArray: TypeAlias = NDArray[np.bool_]


class Intervals(NamedTuple):
    """Half-open intervals [begin, finish) of pairs, as columns: sorted by (pair, begin)."""

    pair: IntArray
    begin: IntArray
    finish: IntArray


NEVER = Intervals(*(np.zeros(0, dtype=np.int64) for _ in range(3)))


def lasers(pairs: Pairs) -> Couples:
    """Pairs of satellites as the kernels take them."""
    kind = np.where(pairs.cross, CROSS, IN_PLANE).astype(np.int8)
    return Couples(pairs.a, pairs.b, kind)


def passes(satellites: int, station: int) -> Couples:
    """Every satellite over one station; `station` is its site."""
    everyone = np.arange(satellites, dtype=np.int64)
    return Couples(everyone, np.full(satellites, station), np.full(satellites, GROUND, np.int8))


def visible(scene: Scene, limits: Limits, couples: Couples) -> Intervals:
    """When the margin of each couple is at least 0, over the whole scene.

    Edges are on whole milliseconds, inside the true interval by less than 1 ms.
    """
    edges = find_edges(scene, limits, couples)
    rising = edges.rising != 0
    start = scene.first
    end = scene.first + scene.step_ns * (scene.positions.shape[0] - 1)
    open_first, open_last = np.flatnonzero(edges.open_first), np.flatnonzero(edges.open_last)
    begin_pair = np.concatenate([open_first, edges.pair[rising]])
    begin = np.concatenate([np.full(open_first.size, start), _up(edges.high[rising])])
    finish_pair = np.concatenate([open_last, edges.pair[~rising]])
    finish = np.concatenate([np.full(open_last.size, end), _down(edges.low[~rising])])
    # Edges of one pair alternate, so the n-th beginning belongs to the n-th end.
    by_begin, by_finish = np.lexsort((begin, begin_pair)), np.lexsort((finish, finish_pair))
    return _some(Intervals(begin_pair[by_begin], begin[by_begin], finish[by_finish]))


def meet(one: Intervals, other: Intervals) -> Intervals:
    """What both say of the same pairs; either may have several intervals a pair."""
    low = np.searchsorted(other.pair, one.pair, side="left")
    high = np.searchsorted(other.pair, one.pair, side="right")
    row = np.repeat(np.arange(one.pair.size), high - low)
    offset = np.arange(row.size) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    match = low[row] + offset
    begin = np.maximum(one.begin[row], other.begin[match])
    finish = np.minimum(one.finish[row], other.finish[match])
    return _some(Intervals(one.pair[row], begin, finish))


def joined(pieces: Intervals) -> Intervals:
    """Pieces of one pair that follow each other without a gap, as one interval; in order."""
    pair, begin, finish = pieces
    fresh = np.ones(pair.size, dtype=bool)
    fresh[1:] = (pair[1:] != pair[:-1]) | (begin[1:] != finish[:-1])
    return Intervals(pair[fresh], begin[fresh], finish[np.roll(fresh, -1)])


def acquired(linked: Intervals, acquisition_ns: Duration) -> Intervals:
    """What is left of links after their terminals have found each other, a time after they may.

    Terminals that lost each other for less than REACQUIRED_NS (the Sun passed behind one) were
    kept pointing by prediction, and need REACQUISITION_NS at most.
    """
    return later(
        linked, np.where(resumed(linked), min(REACQUISITION_NS, acquisition_ns), acquisition_ns)
    )


def among(values: IntArray, ordered: IntArray) -> BoolArray:
    """Which values are in an ascending list: sooner than `np.isin`, which knows of no order."""
    if not ordered.size:
        return np.zeros(values.size, dtype=bool)
    at = np.minimum(np.searchsorted(ordered, values), ordered.size - 1)
    return np.asarray(ordered[at] == values)


def resumed(intervals: Intervals) -> BoolArray:
    """Which intervals follow one of the same pair by less than REACQUIRED_NS; in order."""
    pair, begin, finish = intervals
    follows = np.zeros(pair.size, dtype=bool)
    follows[1:] = (pair[1:] == pair[:-1]) & (begin[1:] - finish[:-1] < REACQUIRED_NS)
    return follows


def later(intervals: Intervals, lead_ns: IntArray | int, tail_ns: IntArray | int = 0) -> Intervals:
    """Intervals that begin so much later and finish so much earlier; those left empty are gone."""
    pair, begin, finish = intervals
    return _some(Intervals(pair, begin + lead_ns, finish - tail_ns))


def within(intervals: Intervals, window: tuple[Instant, Instant]) -> Intervals:
    """What lies in a window of them."""
    pair, begin, finish = intervals
    return _some(Intervals(pair, np.maximum(begin, window[0]), np.minimum(finish, window[1])))


def _some(intervals: Intervals) -> Intervals:
    keep = intervals.begin < intervals.finish
    return Intervals(*(column[keep] for column in intervals))


def _up(instants: IntArray) -> IntArray:
    return -(-instants // MILLISECOND) * MILLISECOND


def _down(instants: IntArray) -> IntArray:
    return instants // MILLISECOND * MILLISECOND
