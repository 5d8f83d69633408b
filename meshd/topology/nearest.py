"""Passing pairs: what two satellites with terminals to spare can do until the next tick."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meshd.ephemeris.sky import Sky
from meshd.kernels.edges import Couples, margins
from meshd.kernels.pairing import Terminals, hashes, match
from meshd.kernels.visibility import CROSS, Limits, Scene
from meshd.topology.contacts import Intervals, joined
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import Instant

_RANGE_MAX_KM = 3_000.0
_RANGE_MIN_KM = 50.0
_RANGE_WANTED_KM = 2_000.0
_RANGE_BIN_KM = 200.0
_SPEED_BIN_KM_S = 0.5
_NEIGHBOURS_MAX = 32
"""How many of the nearest a satellite considers; four terminals seldom look past the tenth."""


class Passing:
    """Pairs chosen anew at each tick among satellites that have terminals free."""

    def __init__(self, sky: Sky, policy: LinkPolicy, scene: Scene, limits: Limits) -> None:
        self._satellites = sky.n_satellites
        self._policy = policy
        self._scene = scene
        self._limits = limits

    def runs(self, ticks: IntArray, lasting: Intervals) -> Intervals:
        """When each passing pair is chosen, tick by tick, beside the lasting ones.

        `pair` is a * n + b. A terminal is free in a tick if no lasting link uses it at any time of
        the tick.
        """
        pieces = []
        for tick in ticks.tolist():
            until = tick + self._policy.tick_ns
            standing = lasting.pair[(lasting.begin < until) & (lasting.finish > tick)]
            pairs = self._beside(standing, tick)
            pieces.append(Intervals(pairs, np.full(pairs.size, tick), np.full(pairs.size, until)))
        pair, begin, finish = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.lexsort((begin, pair))
        return joined(Intervals(pair[order], begin[order], finish[order]))

    def _beside(self, standing: IntArray, tick: Instant) -> IntArray:
        """The pairs of one tick among satellites left over by the pairs that stand.

        In sight now and at the next tick. Under `fitted` those that move slowest past each other
        come first, under `nearest` the nearest.
        """
        n = self._satellites
        used = np.bincount(standing // n, minlength=n) + np.bincount(standing % n, minlength=n)
        free = np.maximum(self._policy.terminals - used, 0).astype(np.int8)
        i, j = self._in_sight(np.flatnonzero(free > 0), tick)
        fresh = ~np.isin(i * n + j, standing)
        i, j = i[fresh], j[fresh]
        order = self._order(i, j, self._knot(tick))
        i, j = i[order], j[order]
        taken = np.zeros(i.size, np.int8)
        match(i, j, np.zeros(0, np.int8), Terminals(free, np.zeros(n, np.int8)), taken)
        return np.asarray((i * n + j)[taken != 0])

    def _knot(self, tick: Instant) -> int:
        return (tick - self._scene.first) // self._scene.step_ns

    def _in_sight(self, free: IntArray, tick: Instant) -> tuple[IntArray, IntArray]:
        positions = self._scene.positions[self._knot(tick)]
        here = positions[free]
        placed = np.isfinite(here).all(axis=1)
        free, here = free[placed], here[placed]
        if free.size < 2:
            return free[:0], free[:0]
        tree = cKDTree(here)
        many = min(_NEIGHBOURS_MAX + 1, free.size)
        _, near = tree.query(here, many, distance_upper_bound=_RANGE_MAX_KM)
        row, column = np.nonzero(near < free.size)
        i, j = free[row], free[near[row, column]]
        key = np.unique(np.minimum(i, j) * self._satellites + np.maximum(i, j))
        i, j = key // self._satellites, key % self._satellites
        i, j = i[i != j], j[i != j]
        far = _range_km(positions, i, j) > _RANGE_MIN_KM
        i, j = i[far], j[far]
        couples = Couples(i, j, np.full(i.size, CROSS, np.int8))
        seen = margins(self._scene, self._limits, couples, tick) >= 0.0
        seen &= margins(self._scene, self._limits, couples, tick + self._policy.tick_ns) >= 0.0
        return i[seen], j[seen]

    def _order(self, i: IntArray, j: IntArray, k: int) -> IntArray:
        range_km = _range_km(self._scene.positions[k], i, j)
        if self._policy.isl == "nearest":
            return np.lexsort((hashes(i, j), np.floor(range_km)))
        turning = self._scene.velocities[k, i] - self._scene.velocities[k, j]
        speed = np.floor(np.sqrt((turning**2).sum(axis=1)) / _SPEED_BIN_KM_S)
        off = np.floor(np.abs(range_km - _RANGE_WANTED_KM) / _RANGE_BIN_KM)
        return np.lexsort((hashes(i, j), off, speed))


def _range_km(positions: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    away = positions[i] - positions[j]
    return np.asarray(np.sqrt((away**2).sum(axis=1)))
