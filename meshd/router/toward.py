"""Toward: the earliest arrival at one target, found without looking at the rest of the sky."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TypeAlias

from meshd.router.arrival import ArrivalTree, earliest_arrival
from meshd.router.overlay import Overlay
from meshd.router.reach import FAR, View, view_at
from meshd.topology.plan import ContactPlan
from protocols.types import Instant, light_time


def arrival_at(
    plan: ContactPlan | None, source: int, start: Instant, overlay: Overlay, target: int
) -> ArrivalTree:
    """As `earliest_arrival` with this target, and for the target alone.

    Goes straight to it where the plan has positions and no standing link stands: that may be
    quicker than light. One that must be waited for beyond the tick is looked for in all the sky.
    """
    if plan is not None and not overlay.standing and target < plan.n_sites:
        view = view_at(plan, start)
        if view is not None and target not in overlay.absent:
            search = Toward(plan, overlay, view, target)
            if search.run(source, start):
                return search.tree(source, start)
    return earliest_arrival(plan, source, start, overlay, target)


Label: TypeAlias = tuple[Instant, int]
"""(arrival, hops)."""


class Toward:
    """One A* search over the contacts of a tick, by the least time that remains.

    Its answer is that of the search without a target, ties included: labels are the same, since
    what remains never falls by more than a ride takes; of two ways to a site with one label, that
    by the predecessor which the other search settles first is kept; and it goes on until nothing
    is left that could reach the target as early.
    """

    def __init__(self, plan: ContactPlan, overlay: Overlay, view: View, target: int) -> None:
        assert plan.trajectory is not None and not overlay.standing
        self.plan = plan
        self.view = view
        self.target = target
        self.absent = overlay.absent
        self.dead = overlay.dead
        self.least = view.least(plan, target)
        self.labels: dict[int, Label] = {}
        self.arcs: dict[int, tuple[int, Instant]] = {}
        self._heap: list[tuple[Instant, Instant, int, int]] = []

    def run(self, source: int, start: Instant) -> bool:
        """Whether the target is reached within the view: then `labels` and `arcs` lead there."""
        labels, heap, least, end = self.labels, self._heap, self.least, self.view.end
        if source in self.absent or least[source] >= FAR:
            return False
        labels[source] = (start, 0)
        heap.append((start + least[source], start, 0, source))
        settled: set[int] = set()
        best = end - 1
        while heap and heap[0][0] <= best:
            _, now, hops, site = heappop(heap)
            if site in settled:
                continue
            settled.add(site)
            if site == self.target:
                best = now
            else:
                self._ride(site, now, hops + 1, best)
        return self.target in settled

    def _ride(self, site: int, now: Instant, hops: int, best: Instant) -> None:
        """To every neighbour on a way to the target that can still be as early as the best."""
        plan, labels, arcs, least, target = (
            self.plan, self.labels, self.arcs, self.least, self.target,
        )  # fmt: skip
        kinds, dead, absent = plan.kinds, self.dead, self.absent
        position = plan.trajectory.position_km  # type: ignore[union-attr]
        here = position(site, now)
        tried: set[int] = set()
        for peer, begin, finish, shortest in self.view.near[site]:
            if finish <= now or peer in tried:
                continue
            tried.add(peer)  # only the first contact not over can matter
            if (kinds[peer] == "ground" and peer != target) or peer in absent:
                continue
            depart = begin if begin > now else now
            rest = least[peer]
            if depart + shortest + rest > best:
                continue
            if dead and ((site, peer) if site < peer else (peer, site)) in dead:
                continue
            there = position(peer, depart)
            range_km = math.dist(here if depart == now else position(site, depart), there)
            label = (depart + light_time(range_km), hops)
            known = labels.get(peer)
            if known is None or label < known:
                labels[peer] = label
                arcs[peer] = (site, depart)
                heappush(self._heap, (label[0] + rest, *label, peer))
            elif label == known and (labels[site], site) < (labels[arcs[peer][0]], arcs[peer][0]):
                arcs[peer] = (site, depart)

    def tree(self, source: int, start: Instant) -> ArrivalTree:
        """The way that was found, as part of the tree it is of."""
        kinds = self.plan.kinds
        site = self.target
        states = {source: 2 * source}
        while site != source:
            states[site] = 2 * site + (kinds[site] == "ground")
            site = self.arcs[site][0]
        arcs = {
            state: (states[self.arcs[site][0]], self.arcs[site][1], False)
            for site, state in states.items()
            if site != source
        }
        labels = {state: self.labels[site] for site, state in states.items()}
        return ArrivalTree(source, start, states, labels, arcs)
