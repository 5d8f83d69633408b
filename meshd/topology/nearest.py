"""Passing pairs: what two satellites with terminals to spare can do until the next tick."""

from __future__ import annotations

import numpy as np

from meshd.kernels.edges import Couples
from meshd.kernels.matching import match, parts
from meshd.kernels.pairing import hashes
from meshd.kernels.visibility import CROSS
from meshd.topology.contacts import NEVER, Intervals, among
from meshd.topology.policy import LinkPolicy
from meshd.topology.scene import Stage
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import MINUTE, Duration, Instant

_RANGE_MAX_KM = 4_500.0
_RANGE_MIN_KM = 50.0
_RANGE_WANTED_KM = 2_000.0
_RANGE_BIN_KM = 200.0
_SPEED_BIN_KM_S = 0.5
_NEIGHBOURS_MAX = 64
"""How many of the nearest a satellite considers."""
STAY_NS = 30 * MINUTE
_LOOKS, _LOOKS_MIN = 11, 4
"""A pair is looked at so often in a tick; one in sight for fewer looks is not worth turning to."""


class Passing:
    """Pairs chosen anew at each tick among satellites that have terminals free."""

    def __init__(self, policy: LinkPolicy, stage: Stage, known: Passing | None, moved: int) -> None:
        """Spans of a `known` one are taken from it where the satellite that `moved` has no part."""
        scene = stage.scene
        self._satellites = scene.positions.shape[1] - scene.zeniths.shape[1]
        self._policy = policy
        self._stage = stage
        self._known = {} if known is None else known._spans_made
        self._moved = moved
        self._spans_made: dict[tuple[Instant, Instant], tuple[IntArray, IntArray]] = {}

    def runs(self, start: Instant, end: Instant, lasting: Intervals) -> Intervals:
        """When each passing pair is chosen, for all ticks that reach into [start, end).

        `pair` is a * n + b. Under `fitted` those that stay in sight for a whole STAY_NS are chosen
        first, for all of it; what terminals they leave is paired tick by tick.
        """
        if self._policy.isl == "nearest":
            return self._spans(start, end, self._policy.tick_ns, lasting)
        staying = self._spans(start, end, STAY_NS, lasting)
        standing = Intervals(*(np.concatenate(both) for both in zip(lasting, staying, strict=True)))
        brief = self._spans(start, end, self._policy.tick_ns, standing)
        pair, begin, finish = (np.concatenate(both) for both in zip(staying, brief, strict=True))
        return Intervals(pair, begin, finish)

    def _spans(
        self, start: Instant, end: Instant, span_ns: Duration, lasting: Intervals
    ) -> Intervals:
        """The pairs of every span, beside lasting ones that stand at any time of it."""
        pieces = [NEVER]
        for begin in range(start // span_ns * span_ns, end, span_ns):
            span = (begin, begin + span_ns)
            standing = lasting.pair[(lasting.begin < span[1]) & (lasting.finish > begin)]
            pairs = self._known_beside(standing, span)
            self._spans_made[span] = (standing, pairs)
            pieces.append(Intervals(pairs, *(np.full(pairs.size, edge) for edge in span)))
        return Intervals(*(np.concatenate(column) for column in zip(*pieces, strict=True)))

    def _known_beside(self, standing: IntArray, span: tuple[Instant, Instant]) -> IntArray:
        before, pairs = self._known.get(span, (None, standing))
        if before is not None and np.array_equal(before, standing):
            n, moved = self._satellites, self._moved
            used = int((standing // n == moved).sum() + (standing % n == moved).sum())
            if used >= self._policy.terminals:
                return pairs
        return self._beside(standing, span)

    def _beside(self, standing: IntArray, span: tuple[Instant, Instant]) -> IntArray:
        """The pairs of a span among satellites left over by the pairs that stand.

        Those that join what hangs apart come first, then those that stay in sight longest. Among
        them, under `fitted`, the ones that move slowest past each other, under `nearest` the
        nearest.
        """
        n, begin = self._satellites, span[0]
        used = np.bincount(standing // n, minlength=n) + np.bincount(standing % n, minlength=n)
        free = np.maximum(self._policy.terminals - used, 0).astype(np.int8)
        near = self._near(np.flatnonzero(free > 0), begin)
        near = near[~among(near, np.sort(standing))]
        held = self._held(near, span)
        part = parts(standing // n, standing % n, n)
        apart = part[near // n] != part[near % n]
        if span[1] - begin == self._policy.tick_ns:
            keep = held >= _LOOKS_MIN
        else:
            # Who hangs together with few keeps what is free for a link to others.
            keep = (held == _LOOKS) & (apart | (part[near // n] == np.bincount(part).argmax()))
        near, held, apart = near[keep], held[keep], apart[keep]
        near = near[self._order(near, held + _LOOKS * apart, begin)]
        return np.asarray(near[match(near // n, near % n, free) != 0])

    def _near(self, free: IntArray, tick: Instant) -> IntArray:
        """Each with the nearest of the others, as a * n + b, ascending."""
        from scipy.spatial import cKDTree  # 0.1 s that a daemon need not wait for

        here = self._positions(tick)[free]
        placed = np.isfinite(here).all(axis=1)
        free, here = free[placed], here[placed]
        if free.size < 2:
            return free[:0]
        many = min(_NEIGHBOURS_MAX + 1, free.size)
        _, near = cKDTree(here).query(here, many, distance_upper_bound=_RANGE_MAX_KM)
        row, column = np.nonzero(near < free.size)
        i, j = free[row], free[near[row, column]]
        apart = i != j
        low, high = np.minimum(i, j)[apart], np.maximum(i, j)[apart]
        pairs = np.unique(low * self._satellites + high)
        return np.asarray(pairs[self._range_km(pairs, tick) > _RANGE_MIN_KM])

    def _held(self, pairs: IntArray, span: tuple[Instant, Instant]) -> IntArray:
        """At how many looks from the begin of a span each pair is in sight without a break."""
        n, length = self._satellites, span[1] - span[0]
        held, seen = np.zeros(pairs.size, dtype=np.int64), np.arange(pairs.size)
        for look in range(_LOOKS):
            some = pairs[seen]
            couples = Couples(some // n, some % n, np.full(some.size, CROSS, np.int8))
            at = span[0] + length * look // (_LOOKS - 1)
            seen = seen[self._stage.margins(couples, at) >= 0.0]
            held[seen] += 1
        return held

    def _order(self, pairs: IntArray, first: IntArray, tick: Instant) -> IntArray:
        i, j = pairs // self._satellites, pairs % self._satellites
        range_km, tie = self._range_km(pairs, tick), hashes(i, j)
        if self._policy.isl == "nearest":
            return np.lexsort((tie, np.floor(range_km), -first))
        velocities = self._stage.trajectory.states_at_knot(self._knot(tick))[1]
        turning = velocities[i] - velocities[j]
        speed = np.floor(np.sqrt((turning**2).sum(axis=1)) / _SPEED_BIN_KM_S)
        off = np.floor(np.abs(range_km - _RANGE_WANTED_KM) / _RANGE_BIN_KM)
        return np.lexsort((tie, off, speed, -first))

    def _range_km(self, pairs: IntArray, tick: Instant) -> FloatArray:
        positions = self._positions(tick)
        away = positions[pairs // self._satellites] - positions[pairs % self._satellites]
        return np.asarray(np.sqrt((away**2).sum(axis=1)))

    def _positions(self, tick: Instant) -> FloatArray:
        return self._stage.trajectory.states_at_knot(self._knot(tick))[0]

    def _knot(self, tick: Instant) -> int:
        return (tick - self._stage.trajectory.first) // self._stage.trajectory.step_ns
