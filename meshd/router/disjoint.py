"""Several ways at once that share no satellite, or no link: what is left when one fails.

The k paths together cost least of all such sets: minimum-cost flow by successive shortest paths
with potentials (Suurballe 1974; Ahuja, Magnanti and Orlin, Network Flows, 9.7). The best single
path need not be among them: where two detours are cheaper together, they are taken.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from typing import Literal, TypeAlias

from meshd.router.objective import DELAY, Objective
from meshd.router.snapshot import Route
from meshd.topology.plan import ContactPlan
from protocols.errors import InputError
from protocols.types import Instant

Apart: TypeAlias = Literal["nodes", "links"]

ALTERNATIVES_MAX = 64


def disjoint_routes(
    plan: ContactPlan,
    ends: tuple[int, int],
    at: Instant,
    k: int,
    apart: Apart = "nodes",
    objective: Objective = DELAY,
) -> list[Route]:
    """Up to `k` routes that share nothing but their ends, cheapest first; fewer where no more are.

    Raises InputError "bad-count" unless k is 1 to 64 and the ends are two.
    """
    if not 1 <= k <= ALTERNATIVES_MAX or ends[0] == ends[1]:
        message = f"1 to {ALTERNATIVES_MAX} alternatives can be had, between two sites"
        raise InputError("bad-count", message)
    flow = _Flow(2 * plan.n_sites)
    _fill(flow, plan, ends, at, (apart, objective))
    for _ in range(k):
        if not flow.augment(2 * ends[0] + 1, 2 * ends[1]):
            break
    routes = []
    for path in flow.paths(2 * ends[0] + 1, 2 * ends[1]):
        light = [plan.light_time_ns(a, b, at) for a, b in pairwise(path)]
        cost = sum(map(objective.whole_cost, light))
        routes.append((cost, len(path), path, Route(*ends, at, sum(light), path)))
    return [route for *_, route in sorted(routes, key=lambda row: row[:3])]


def _fill(
    flow: _Flow,
    plan: ContactPlan,
    ends: tuple[int, int],
    at: Instant,
    how: tuple[Apart, Objective],
) -> None:
    """Sites as pairs of vertices, in (2 s) and out (2 s + 1); links from out to in."""
    apart, objective = how
    for site, kind in enumerate(plan.kinds):
        if kind == "satellite" and site not in ends:
            flow.add(2 * site, 2 * site + 1, 0, 1 if apart == "nodes" else ALTERNATIVES_MAX)
    for row in plan.open_rows(at).tolist():
        a, b = int(plan.a[row]), int(plan.b[row])
        if all(plan.kinds[site] == "satellite" or site in ends for site in (a, b)):
            cost = objective.whole_cost(plan.light_time_ns(a, b, at))
            flow.add(2 * a + 1, 2 * b, cost, 1)
            flow.add(2 * b + 1, 2 * a, cost, 1)


class _Flow:
    """A network of arcs with room and cost; arc `n ^ 1` takes back what arc `n` carries."""

    def __init__(self, vertices: int) -> None:
        self.out: list[list[int]] = [[] for _ in range(vertices)]
        self.head: list[int] = []
        self.cost: list[int] = []
        self.room: list[int] = []
        self.potential = [0] * vertices

    def add(self, tail: int, head: int, cost: int, room: int) -> None:
        for start, end, price, free in ((tail, head, cost, room), (head, tail, -cost, 0)):
            self.out[start].append(len(self.head))
            self.head.append(end)
            self.cost.append(price)
            self.room.append(free)

    def augment(self, source: int, target: int) -> bool:
        """Send one more unit the cheapest way; False when there is none."""
        far = {source: 0}
        by: dict[int, int] = {}
        settled: set[int] = set()
        heap = [(0, source)]
        while heap:
            distance, vertex = heappop(heap)
            if vertex in settled:
                continue
            settled.add(vertex)
            if vertex == target:
                break
            for arc in self.out[vertex]:
                head = self.head[arc]
                if not self.room[arc] or head in settled:
                    continue
                reduced = self.cost[arc] + self.potential[vertex] - self.potential[head]
                if distance + reduced < far.get(head, distance + reduced + 1):
                    far[head], by[head] = distance + reduced, arc
                    heappush(heap, (distance + reduced, head))
        if target not in settled:
            return False
        # Vertices beyond the target's distance are as good as at it.
        for vertex, base in enumerate(self.potential):
            self.potential[vertex] = base + min(far.get(vertex, far[target]), far[target])
        vertex = target
        while vertex != source:
            arc = by[vertex]
            self.room[arc] -= 1
            self.room[arc ^ 1] += 1
            vertex = self.head[arc ^ 1]
        return True

    def paths(self, source: int, target: int) -> list[tuple[int, ...]]:
        """The units sent, as sites; each arc's flow is used up."""
        found: list[tuple[int, ...]] = []
        while True:
            vertex, sites = source, [source // 2]
            while vertex != target:
                arc = next((n for n in self.out[vertex] if n % 2 == 0 and self.room[n ^ 1]), None)
                if arc is None:
                    return found
                self.room[arc ^ 1] -= 1
                vertex = self.head[arc]
                if vertex % 2 == 0:
                    sites.append(vertex // 2)
            found.append(tuple(sites))
