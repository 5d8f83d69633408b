"""Earliest arrival over a contact plan: exact, with waiting, at the light time of the moment.

Light time changes by at most 2 v/c = 5e-5 s/s, so who departs later arrives later (FIFO), and a
label-setting search is exact. Of several contacts with one peer only the first that has not
finished can matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

from meshd.router.overlay import EMPTY, Overlay
from meshd.topology.plan import ContactPlan
from protocols.types import Duration, Instant


class Hop(NamedTuple):
    """One ride: to `node`, leaving its predecessor at `depart`, there at `arrive`."""

    node: int
    depart: Instant
    arrive: Instant
    standing: bool


# A state is 2 * vertex, or 2 * vertex + 1 for a ground station reached over a planned contact:
# it may go on over standing links only, so it is kept apart from the same station reached
# otherwise, which may use its contacts.
_State: TypeAlias = int


@dataclass(frozen=True, slots=True)
class ArrivalTree:
    """Earliest arrivals from one source; vertices are sites of the plan, then standing ones.

    A search that was stopped at its target knows the vertices settled by then; for others every
    answer is None or empty, as for those out of reach.
    """

    source: int
    start: Instant
    _best: dict[int, _State] = field(repr=False)
    _labels: dict[_State, tuple[Instant, int]] = field(repr=False)
    _arcs: dict[_State, tuple[_State, Instant, bool]] = field(repr=False)

    def arrival(self, vertex: int) -> Instant | None:
        """When a bit sent from the source at `start` is at the vertex, at the earliest."""
        state = self._best.get(vertex)
        return None if state is None else self._labels[state][0]

    def hops(self, vertex: int) -> int | None:
        """How many links that takes; 0 for the source."""
        state = self._best.get(vertex)
        return None if state is None else self._labels[state][1]

    def first_hop(self, vertex: int) -> Hop | None:
        """The first ride on the way there; None for the source and what is out of reach."""
        path = self.path(vertex)
        return path[0] if path else None

    def path(self, vertex: int) -> tuple[Hop, ...]:
        """All rides on the way there, in order; empty for the source and what is out of reach."""
        state = self._best.get(vertex)
        hops = []
        while state is not None and state in self._arcs:
            before, depart, standing = self._arcs[state]
            hops.append(Hop(state >> 1, depart, self._labels[state][0], standing))
            state = before
        return tuple(reversed(hops))

    def reached(self) -> tuple[int, ...]:
        """The vertices with an arrival, in order of index."""
        return tuple(sorted(self._best))


def earliest_arrival(
    plan: ContactPlan | None,
    source: int,
    start: Instant,
    overlay: Overlay = EMPTY,
    target: int | None = None,
) -> ArrivalTree:
    """The earliest arrivals from `source`, leaving at `start` or later.

    A ride departs at max(now, contact.begin), before contact.finish, and takes the light time of
    its departure; transmission takes no time here. Satellites relay. A ground station does not
    pass planned contact to planned contact; with a standing link on either side it does. Ties go
    to fewer hops, then to the lower vertex. Without a plan only standing links exist. With a
    `target` the search stops when that is settled.
    """
    search = _Search(plan, overlay, source, start)
    if source not in overlay.absent:
        search.run(target)
    best = search.best
    labels = {state: search.labels[state] for state in search.settled}
    return ArrivalTree(source, start, best, labels, search.arcs)


class _Search:
    """One run of the label-setting search; `settled` states have their final labels."""

    def __init__(
        self, plan: ContactPlan | None, overlay: Overlay, source: int, start: Instant
    ) -> None:
        self.plan = plan
        self.overlay = overlay
        self.root: _State = 2 * source
        self.labels: dict[_State, tuple[Instant, int]] = {self.root: (start, 0)}
        self.arcs: dict[_State, tuple[_State, Instant, bool]] = {}
        self.settled: dict[_State, None] = {}
        self.best: dict[int, _State] = {}
        self.heap: list[tuple[Instant, int, _State]] = [(start, 0, self.root)]

    def run(self, target: int | None) -> None:
        heap, settled, best = self.heap, self.settled, self.best
        n_planned = self.plan.n_sites if self.plan is not None else 0
        standing = self.overlay.standing
        while heap:
            now, hops, state = heappop(heap)
            if state in settled:
                continue
            settled[state] = None
            vertex = state >> 1
            best.setdefault(vertex, state)
            if vertex == target:
                return
            if vertex in standing:
                self.ride_standing(state, now, hops + 1)
            if vertex < n_planned and not state & 1:
                self.ride_contacts(state, now, hops + 1)

    def ride_standing(self, state: _State, now: Instant, hops: int) -> None:
        vertex = state >> 1
        dead, absent = self.overlay.dead, self.overlay.absent
        for peer, delay in self.overlay.standing[vertex]:
            pair = (vertex, peer) if vertex < peer else (peer, vertex)
            if peer not in absent and pair not in dead:
                self.reach(2 * peer, (now + delay, hops), (state, now, True))

    def ride_contacts(self, state: _State, now: Instant, hops: int) -> None:
        plan = self.plan
        assert plan is not None
        vertex = state >> 1
        dead, absent = self.overlay.dead, self.overlay.absent
        labels, kinds, light = self.labels, plan.kinds, plan.light_time_ns
        tried: set[int] = set()
        for peer, begin, finish, _rate in plan.contacts_of(vertex):
            if finish <= now or peer in tried or peer in absent:
                continue
            tried.add(peer)  # only the first contact not over can matter
            depart = begin if begin > now else now
            to = 2 * peer + (kinds[peer] == "ground")
            known = labels.get(to)
            if known is not None and known[0] <= depart:
                continue
            if dead and ((vertex, peer) if vertex < peer else (peer, vertex)) in dead:
                continue
            self.reach(to, (depart + light(vertex, peer, depart), hops), (state, depart, False))

    def reach(
        self, to: _State, label: tuple[Instant, int], arc: tuple[_State, Duration, bool]
    ) -> None:
        known = self.labels.get(to)
        if known is None or label < known:
            self.labels[to] = label
            self.arcs[to] = arc
            heappush(self.heap, (*label, to))
