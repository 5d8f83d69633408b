"""Reach: how long the way to a target takes at the least, for ten seconds at a time.

A search that knows this well goes straight to its target: it settles a few sites beside the path
instead of all. Bounds follow from the plan alone, so all nodes of a process share them. What a
node knows besides (links down, sites absent) only lengthens ways, and leaves them true.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import Trajectory
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S, Duration, Instant

TICK_NS = 10 * SECOND
REST_NS = 2 * SECOND
"""Searches begun in a tick go on so long after it: no flight around the Earth takes as much."""

HALF_NS = (TICK_NS + REST_NS) // 2
GRAVITY_KM_S2 = 0.02
"""Two satellites' accelerations towards each other add up to less (9.8 m/s2 each at the ground)."""

VIEWS_MAX = 2
TARGETS_MAX = 1_024
FAR = 1 << 62


class Near(NamedTuple):
    """A contact that stands at some time of the tick, seen from one end."""

    peer: int
    begin: Instant
    finish: Instant
    least_ns: Duration
    """Light never takes less over it within the tick."""


@dataclass(frozen=True, slots=True)
class View:
    """The contacts of one tick by site, with the least light time of each."""

    start: Instant
    end: Instant
    near: list[list[Near]]
    """In the order of the plan: by begin, then peer."""
    _targets: OrderedDict[int, array[int]] = field(default_factory=OrderedDict)

    def least(self, plan: ContactPlan, target: int) -> array[int]:
        """For every site, the least time that a way to the target can take; FAR without any."""
        found = self._targets.get(target)
        if found is None:
            found = self._targets[target] = _least(plan, self.near, target)
            if len(self._targets) > TARGETS_MAX:
                self._targets.popitem(last=False)
        return found


def view_at(plan: ContactPlan, at: Instant) -> View | None:
    """The view of the tick that holds an instant; None for a plan that has no positions there."""
    trajectory = plan.trajectory
    start = at - at % TICK_NS
    if trajectory is None or plan.light_time_ns != trajectory.light_time_ns:
        return None
    if start < trajectory.start or start + 2 * HALF_NS > trajectory.end:
        return None
    views: dict[Instant, View] = plan.derived.setdefault("reach", {})
    view = views.get(start)
    if view is None:
        view = views[start] = View(start, start + 2 * HALF_NS, _near(plan, trajectory, start))
        if len(views) > VIEWS_MAX:
            del views[min(views)]
    return view


def _near(plan: ContactPlan, trajectory: Trajectory, start: Instant) -> list[list[Near]]:
    """Distance now and the speed at which it can shrink bound it for half a tick either way."""
    end = start + 2 * HALF_NS
    rows = np.flatnonzero((plan.begin < end) & (start < plan.finish))
    a, b = plan.a[rows], plan.b[rows]
    before, now, after = (
        trajectory.positions_km(start + HALF_NS + by)[a]
        - trajectory.positions_km(start + HALF_NS + by)[b]
        for by in (-SECOND // 2, 0, SECOND // 2)
    )
    half_s = HALF_NS / SECOND
    speed = np.linalg.norm(after - before, axis=1) + GRAVITY_KM_S2 * (1 + half_s)
    least = np.linalg.norm(now, axis=1) - speed * half_s
    # A nanosecond less: light times are rounded.
    least_ns = np.maximum(0, np.floor(least / SPEED_OF_LIGHT_KM_S * SECOND) - 1).astype(np.int64)
    near: list[list[Near]] = [[] for _ in plan.names]
    columns = (a, b, plan.begin[rows], plan.finish[rows], least_ns)
    for low, high, begin, finish, light in zip(*(c.tolist() for c in columns), strict=True):
        near[low].append(Near(high, begin, finish, light))
        near[high].append(Near(low, begin, finish, light))
    for contacts in near:
        contacts.sort(key=lambda c: (c.begin, c.peer))
    return near


def _least(plan: ContactPlan, near: list[list[Near]], target: int) -> array[int]:
    """Dijkstra from the target, over all contacts as if they stood together; stations are ends."""
    kinds = plan.kinds
    least = array("q", [FAR]) * plan.n_sites
    least[target] = 0
    heap = [(0, target)]
    while heap:
        behind, site = heappop(heap)
        if behind > least[site] or (site != target and kinds[site] == "ground"):
            continue
        for peer, _, _, light in near[site]:
            if behind + light < least[peer]:
                least[peer] = behind + light
                heappush(heap, (behind + light, peer))
    return least
