"""Reach: how long the way to a target takes at the least, for ten seconds at a time.

A search that knows this well goes straight to its target: it settles a few sites beside the path
instead of all. Bounds follow from the plan alone, so all nodes of a process share them. What a
node knows besides (links down, sites absent) only lengthens ways, and leaves them true.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from meshd.kernels.buckets import bucket_search
from meshd.kernels.graph import Graph, LengthArray, Snapshot, arcs_between
from meshd.router.graph import graph_at
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import IntArray, Trajectory
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S, Instant

TICK_NS = 10 * SECOND
REST_NS = 2 * SECOND
"""Searches begun in a tick go on so long after it: no flight around the Earth takes as much."""

HALF_NS = (TICK_NS + REST_NS) // 2
GRAVITY_KM_S2 = 0.02
"""Two satellites' accelerations towards each other add up to less (9.8 m/s2 each at the ground)."""

VIEWS_MAX = 2
TARGETS_MAX = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The contacts that stand at some time of a tick, with the least light time of each."""

    start: Instant
    end: Instant
    graph: Graph
    least: Snapshot
    """The same arcs, as if they stood together; light never takes less over them in the tick."""
    _targets: OrderedDict[int, IntArray] = field(default_factory=OrderedDict)

    def left(self, target: int) -> IntArray:
        """For every site, the least time that a way to the target can take; FAR without any."""
        found = self._targets.get(target)
        if found is None:
            found = self._targets[target] = bucket_search(self.least, target).length
            if len(self._targets) > TARGETS_MAX:
                self._targets.popitem(last=False)
        return found


def view_at(plan: ContactPlan, at: Instant) -> View | None:
    """The view of the tick that holds an instant.

    None where only Python can tell the light times, or where the plan has no positions.
    """
    start = at - at % TICK_NS
    views: dict[Instant, View | None] = plan.derived.setdefault("reach", {})
    if start in views:
        return views[start]
    view = views[start] = _view(plan, start)
    if len(views) > VIEWS_MAX:
        del views[min(views)]
    return view


def _view(plan: ContactPlan, start: Instant) -> View | None:
    end = start + 2 * HALF_NS
    graph, trajectory = graph_at(plan, start), plan.trajectory
    if graph is None:
        return None
    graph = _only(graph, *arcs_between(graph, start, end))
    if graph.fixed_ns.size or trajectory is None:
        least_ns = graph.fixed_ns
    elif trajectory.start <= start and end <= trajectory.end:
        least_ns = _least_ns(plan, trajectory, start)[graph.row]
    else:
        return None
    shortest, longest = int(least_ns.min(initial=0)), int(least_ns.max(initial=0))
    wide = graph.fixed_ns.dtype == np.int64
    lengths: LengthArray = least_ns if wide else least_ns.astype(np.int32)
    least = Snapshot(graph.first, graph.peer, lengths, graph.ground, shortest, longest)
    return View(start, end, graph, least)


def _only(graph: Graph, first: IntArray, arcs: IntArray) -> Graph:
    """The graph of some arcs alone; `first` is the first of each site."""
    columns: tuple[str, ...] = ("peer", "begin", "finish", "rate_bps", "row")
    if graph.fixed_ns.size:
        columns += ("fixed_ns",)
    return graph._replace(first=first, **{name: getattr(graph, name)[arcs] for name in columns})


def _least_ns(plan: ContactPlan, trajectory: Trajectory, start: Instant) -> IntArray:
    """By row of the plan: distance in the middle, less what the speed allows in half a tick."""
    found = np.zeros(plan.n_contacts, dtype=np.int64)
    rows = np.flatnonzero((plan.begin < start + 2 * HALF_NS) & (start < plan.finish))
    a, b = plan.a[rows], plan.b[rows]
    before, now, after = (
        places[a] - places[b]
        for places in map(
            trajectory.positions_km,
            (start + HALF_NS - SECOND // 2, start + HALF_NS, start + HALF_NS + SECOND // 2),
        )
    )
    half_s = HALF_NS / SECOND
    speed = np.linalg.norm(after - before, axis=1) + GRAVITY_KM_S2 * (1 + half_s)
    least = np.linalg.norm(now, axis=1) - speed * half_s
    # A nanosecond less: light times are rounded.
    found[rows] = np.maximum(0, np.floor(least / SPEED_OF_LIGHT_KM_S * SECOND) - 1)
    return found
