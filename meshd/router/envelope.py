"""Of a few paths over a window, the best at each instant: their lower envelope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from meshd.router.objective import Objective
from meshd.router.window import Window
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import SECOND, Instant

TIE_NS = 1e-3
"""Costs as near as this are equal: 0.3 mm, above the noise of sums."""

_EDGE_NS = 1_000  # a change of path is known to a microsecond

Piece: TypeAlias = tuple[Instant, int]
"""From when on, and the path's place among those given; -1 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Paths that may be best in a window; of equal ones the first is taken."""

    window: Window
    objective: Objective
    links: IntArray
    """The links that any of them takes."""
    rides: FloatArray
    """(paths, links): 1 where a path takes a link."""

    @classmethod
    def of(
        cls,
        window: Window,
        objective: Objective,
        paths: Sequence[tuple[int, ...]],
    ) -> Field:
        links = np.unique(np.concatenate([np.array(p, dtype=np.int64) for p in paths]))
        rides = np.zeros((len(paths), links.size))
        for row, path in enumerate(paths):
            rides[row, np.searchsorted(links, path)] = 1.0
        return cls(window, objective, links, rides)

    def best(self) -> Iterator[Piece]:
        """Which path is best from when on, over the window; exact to a microsecond."""
        some = self.window.links
        begin, finish = some.begin[self.links], some.finish[self.links]
        edges = np.unique(np.concatenate([begin, finish]))
        inside = edges[(edges > self.window.begin) & (edges < self.window.finish)].tolist()
        instants = [self.window.begin, *inside, self.window.finish]
        for left, right in pairwise(instants):
            closed = (begin > left) | (finish < right)
            able = np.flatnonzero(self.rides @ closed.astype(np.float64) == 0)
            if able.size == 0:
                yield left, -1
            else:
                yield from self._between(able, (left, right))

    def _between(self, able: IntArray, span: tuple[Instant, Instant]) -> Iterator[Piece]:
        """The best of paths that are open all the time."""
        spans = self.window.spans(self.links, span)
        rides = self.rides[able]
        first, last = (rides @ cost for cost in self.objective.ends(spans))
        lead = _leader(first, last)
        first, last = first - first[lead], last - last[lead]
        up, down = self.objective.bends(spans)
        # By how much a path's cost over the leader's may curve; the links they share cancel.
        bend = (rides * (1 - rides[lead])) @ up + (rides[lead] * (1 - rides)) @ down
        bend *= ((span[1] - span[0]) / SECOND) ** 2 / 2
        if span[1] - span[0] <= _EDGE_NS or not (_lowest(first, last, bend) < -TIE_NS).any():
            yield span[0], int(able[lead])
            return
        middle = (span[0] + span[1]) // 2
        later = int(np.argmin(last))
        if last[later] < -TIE_NS:
            middle = self._crossing(rides[later] - rides[lead], span) or middle
        yield from self._between(able, (span[0], middle))
        yield from self._between(able, (middle, span[1]))

    def _crossing(self, gap: FloatArray, span: tuple[Instant, Instant]) -> Instant | None:
        """When a path comes to cost less than another; None where not inside the span."""
        from scipy.optimize import brentq  # 0.1 s that a daemon need not wait for

        def lead(after: float) -> float:
            at = span[0] + round(after)
            cost, _ = self.objective.ends(self.window.spans(self.links, (at, at)))
            return float(gap @ cost)

        length = float(span[1] - span[0])
        if not (lead(0.0) > 0.0 > lead(length)):
            return None
        at = span[0] + round(brentq(lead, 0.0, length, xtol=_EDGE_NS / 4)) + _EDGE_NS // 4
        return at if span[0] < at < span[1] else None


def _leader(first: FloatArray, last: FloatArray) -> int:
    """The path that is best from the beginning on: of equal ones that which will be, then order."""
    near = first <= first.min() + TIE_NS
    near &= last <= last[near].min() + TIE_NS
    return int(np.argmax(near))


def _lowest(first: FloatArray, last: FloatArray, bend: FloatArray) -> FloatArray:
    """The least of `first (1 - u) + last u - bend u (1 - u)` over u in [0, 1]."""
    ends = np.minimum(first, last)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = first - (bend - (last - first)) ** 2 / (4 * bend)
    return np.where(np.abs(last - first) < bend, turn, ends)
