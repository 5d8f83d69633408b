"""A short span of a plan as a graph: what each link costs at its two ends, and how that bends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from meshd.kernels.bends import Motion, Spans, link_spans
from meshd.kernels.rivals import TOO_MANY, Arcs, near_paths
from meshd.router.objective import Objective
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import FloatArray, IntArray, Trajectory
from protocols.types import SECOND, Instant

PATHS_MAX = 64
"""More rivals than these, and a shorter span is looked at."""

_HOPS_MAX = 1_024
_LEAST = 1e-6
"""ns: a cost less what it may bend by stays above 0, so that a search ends."""


class Links(NamedTuple):
    """The contacts that paths between two sites may take: no station relays."""

    a: IntArray
    b: IntArray
    begin: IntArray
    finish: IntArray


def usable_links(plan: ContactPlan, source: int, target: int) -> Links:
    """All contacts of a plan between satellites, and those of the two ends."""
    ground = np.array([kind == "ground" for kind in plan.kinds])
    ground[[source, target]] = False
    rows = np.flatnonzero(~(ground[plan.a] | ground[plan.b]))
    a, b = plan.a[rows].astype(np.int64), plan.b[rows].astype(np.int64)
    return Links(a, b, plan.begin[rows], plan.finish[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The links that are open at some time in [begin, finish), which lies between two knots.

    Costs at the two ends are in ns; `up` and `down` bound their second derivative (ns / s^2).
    """

    begin: Instant
    finish: Instant
    links: Links
    costs: tuple[FloatArray, FloatArray]
    up: FloatArray
    down: FloatArray
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Which links are open all the time."""
    arcs: Arcs
    knot: Instant
    motion: Motion

    @property
    def slack(self) -> float:
        """What curvature (ns / s^2) times this may add at an end: four times a chord's error.

        A difference of costs is the straight line between its ends less at most
        4 u (1 - u) bend T^2 / 8, so who is ahead by four errors at an end cannot be passed near it.
        """
        return ((self.finish - self.begin) / SECOND) ** 2 / 2

    def spans(self, links: IntArray, span: tuple[Instant, Instant]) -> Spans:
        """Some links over a part of the window."""
        step_ns = self.motion.step_s * SECOND
        parts = (span[0] - self.knot) / step_ns, (span[1] - self.knot) / step_ns
        return link_spans(self.motion, self.links.a[links], self.links.b[links], parts)

    def least_left(self, cost: FloatArray, target: int, limit: float = np.inf) -> FloatArray:
        """The least cost from every site to the target; infinite beyond the limit."""
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import dijkstra  # 0.1 s that a daemon need not wait for

        sites = self.arcs.first.size - 1
        matrix = csr_matrix(
            (cost[self.arcs.link], self.arcs.peer, self.arcs.first), shape=(sites, sites)
        )
        left: FloatArray = dijkstra(matrix, indices=target, limit=limit)
        return left

    def near(
        self, cost: FloatArray, ends: tuple[int, int], bound: float | None
    ) -> list[tuple[int, ...]] | None:
        """The paths of at most this cost, as links; without a bound only the best ones.

        None when there are more than PATHS_MAX.
        """
        limit = np.inf if bound is None else bound
        left = self.least_left(cost, ends[1], limit)
        best = float(left[ends[0]])
        if not np.isfinite(best):
            return []
        bound = best * (1 + 1e-12) if bound is None else bound
        columns = min(self.arcs.first.size, _HOPS_MAX)
        found = np.empty((PATHS_MAX, columns), dtype=np.int64)
        count = near_paths(self.arcs, cost, left, ends, bound, found)
        if count == TOO_MANY:
            return None
        return [tuple(row[: int(np.argmax(row < 0))].tolist()) for row in found[:count]]

    def lowered(self, end: int) -> FloatArray:
        """Costs at an end less all that links may bend in the window."""
        return np.maximum(self.costs[end] - self.up * self.slack, _LEAST)

    def sites_of(self, path: tuple[int, ...], source: int) -> tuple[int, ...]:
        """The sites along a path of links."""
        sites = [source]
        for link in path:
            a, b = int(self.links.a[link]), int(self.links.b[link])
            sites.append(b if a == sites[-1] else a)
        return tuple(sites)


def window_of(
    links: Links, trajectory: Trajectory, objective: Objective, span: tuple[Instant, Instant]
) -> Window:
    """The window of a span that lies between two knots of the trajectory."""
    begin, finish = span
    rows = np.flatnonzero((links.begin < finish) & (links.finish > begin))
    some = Links(*(column[rows] for column in links))
    k = (begin - trajectory.first) // trajectory.step_ns
    knot = trajectory.first + k * trajectory.step_ns
    assert finish <= knot + trajectory.step_ns
    parts = (begin - knot) / trajectory.step_ns, (finish - knot) / trajectory.step_ns
    near = slice(k, k + 2)
    step_s = trajectory.step_ns / SECOND
    motion = Motion(trajectory.positions[near], trajectory.velocities[near], step_s)
    spans = link_spans(motion, some.a, some.b, parts)
    whole = (some.begin <= begin) & (some.finish >= finish)
    return Window(
        begin, finish, some, objective.ends(spans), *objective.bends(spans), whole,
        _arcs(some, motion), knot, motion,
    )  # fmt: skip


def _arcs(links: Links, motion: Motion) -> Arcs:
    count = np.arange(links.a.size)
    site, peer = np.concatenate([links.a, links.b]), np.concatenate([links.b, links.a])
    order = np.lexsort((peer, site))
    first = np.searchsorted(site[order], np.arange(motion.positions.shape[1] + 1))
    return Arcs(first.astype(np.int64), peer[order], np.concatenate([count, count])[order])
