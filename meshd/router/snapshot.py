"""Shortest paths at an instant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise

from meshd.router.graph import graph_of
from meshd.router.objective import DELAY, Objective
from meshd.router.tree import snapshot_tree
from meshd.topology.plan import ContactPlan
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S, Duration, Instant

_BOUND_NS_PER_KM = SECOND / SPEED_OF_LIGHT_KM_S * (1 - 1e-5)


@dataclass(frozen=True, slots=True)
class Route:
    """The shortest path between two sites at one instant, ends included, and its light time."""

    source: int
    target: int
    at: Instant
    one_way_ns: Duration
    path: tuple[int, ...]

    @property
    def rtt_ns(self) -> Duration:
        return 2 * self.one_way_ns


def snapshot_route(
    plan: ContactPlan, source: int, target: int, at: Instant, objective: Objective = DELAY
) -> Route | None:
    """The path of least light time at an instant, relayed by satellites only, or None.

    With another objective that of least cost. Costs are of the light times at `at`, summed in
    nanoseconds. Ties go to fewer hops, then to lower sites, from the end backwards. Exact: for
    light times by the tree of the source, which a kernel has sooner than Python has one path;
    else A* under the straight line to the target.
    """
    graph = graph_of(plan) if objective is DELAY else None
    if graph is not None:
        tree = snapshot_tree(graph, source, at)
        length = tree.one_way_ns(target)
        return None if length is None else Route(source, target, at, length, tree.path(target))
    return _least_cost(plan, source, target, at, objective)


def _least_cost(
    plan: ContactPlan, source: int, target: int, at: Instant, objective: Objective
) -> Route | None:
    kinds, light, contacts_of = plan.kinds, plan.light_time_ns, plan.contacts_of
    cost = objective.whole_cost
    ahead = _straight_line(plan, target, at)
    labels: dict[int, tuple[int, int, int]] = {source: (0, 0, source)}  # length, hops, before
    settled: set[int] = set()
    heap = [(ahead(source), 0, source)]
    while heap:
        _, hops, site = heappop(heap)
        if site in settled:
            continue
        length, hops, _ = labels[site]
        if site == target:
            path = _walk(labels, source, target)
            one_way = sum(light(a, b, at) for a, b in pairwise(path))
            return Route(source, target, at, one_way, path)
        settled.add(site)
        if site != source and kinds[site] == "ground":
            continue
        for peer, begin, finish, _rate in contacts_of(site):
            if begin > at:
                break
            if finish <= at or peer in settled or (kinds[peer] == "ground" and peer != target):
                continue
            label = (length + cost(light(site, peer, at)), hops + 1, site)
            known = labels.get(peer)
            if known is None or label < known:
                labels[peer] = label
                heappush(heap, (label[0] + ahead(peer), hops + 1, peer))
    return None


def _straight_line(plan: ContactPlan, target: int, at: Instant) -> Callable[[int], int]:
    """A lower bound, in ns, of the way from a site to the target.

    A hair (1e-5) under light along the straight line, so that it falls by less than any link is
    long: then A* settles like Dijkstra. 0 for a plan without positions.
    """
    trajectory = plan.trajectory
    if trajectory is None:
        return lambda site: 0
    position = trajectory.position_km
    end = position(target, at)
    return lambda site: int(math.dist(position(site, at), end) * _BOUND_NS_PER_KM)


def _walk(labels: dict[int, tuple[int, int, int]], source: int, target: int) -> tuple[int, ...]:
    path = [target]
    while path[-1] != source:
        path.append(labels[path[-1]][2])
    return tuple(reversed(path))
