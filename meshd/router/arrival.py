"""Earliest arrival over a contact plan: exact, with waiting, at the light time of the moment.

Light time changes by at most 2 v/c = 5e-5 s/s, so over one contact who departs later arrives later
(FIFO), and who sends more waits for a contact that lasts long enough: of all contacts of a pair
that do, the best is taken, which again is no earlier for who departs later. So a label-setting
search is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from meshd.kernels.arrival import NOBODY, Arrivals, Trip, arrival_search
from meshd.kernels.graph import FAR, SiteArray
from meshd.router.graph import NO_GRAPH, graph_at
from meshd.router.overlay import EMPTY, Overlay
from meshd.router.plain import plain_search
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import IntArray
from protocols.types import Instant


class Hop(NamedTuple):
    """One ride: to `node`, leaving its predecessor at `depart`, there at `arrive`."""

    node: int
    depart: Instant
    arrive: Instant
    standing: bool


@dataclass(frozen=True, slots=True, eq=False)
class ArrivalTree:
    """Earliest arrivals from one source; vertices are sites of the plan, then standing ones.

    A search that was stopped at its target knows the vertices settled by then; for others every
    answer is None or empty, as for those out of reach.
    """

    source: int
    start: Instant
    vertices: int
    station: SiteArray = field(repr=False)
    """By site: its number among the ground stations, or -1."""
    found: Arrivals = field(repr=False)

    def arrival(self, vertex: int) -> Instant | None:
        """When the last bit of what leaves the source at `start` is there, at the earliest."""
        state = self.state(vertex)
        return None if state is None else int(self.found.when[state])

    def hops(self, vertex: int) -> int | None:
        """How many links that takes; 0 for the source."""
        state = self.state(vertex)
        return None if state is None else int(self.found.hops[state])

    def first_hop(self, vertex: int) -> Hop | None:
        """The first ride on the way there; None for the source and what is out of reach."""
        state, before = self.state(vertex), self.found.before
        if state is None or state == self.source:
            return None
        while (last := int(before[state])) != self.source:
            state = last
        return self.ride(state)

    def path(self, vertex: int) -> tuple[Hop, ...]:
        """All rides on the way there, in order; empty for the source and what is out of reach."""
        state, hops = self.state(vertex), []
        while state is not None and state != self.source:
            hops.append(self.ride(state))
            state = int(self.found.before[state])
        return tuple(reversed(hops))

    def reached(self) -> tuple[int, ...]:
        """The vertices with an arrival, in order of index."""
        return tuple(np.flatnonzero(self.arrivals() != FAR).tolist())

    def arrivals(self) -> IntArray:
        """The arrival at every vertex, FAR at those out of reach."""
        when = self.found.when[: self.vertices].copy()
        stations = np.flatnonzero(self.station >= 0)
        over_contacts = self.found.when[self.vertices :]
        when[stations] = np.minimum(when[stations], over_contacts)
        return when

    def state(self, vertex: int) -> int | None:
        """The state in which a vertex is reached first, if it is."""
        when, hops = self.found.when, self.found.hops
        if not 0 <= vertex < self.vertices:
            return None
        state = vertex
        if vertex < self.station.size and self.station[vertex] >= 0:
            other = self.vertices + int(self.station[vertex])
            if (when[other], hops[other]) < (when[state], hops[state]) or when[state] == FAR:
                state = other
        return None if when[state] == FAR else state

    def ride(self, state: int) -> Hop:
        """The last ride to a state."""
        vertex, found = state, self.found
        if state >= self.vertices:
            vertex = int(np.flatnonzero(self.station == state - self.vertices)[0])
        depart, arrive = int(found.depart[state]), int(found.when[state])
        return Hop(vertex, depart, arrive, bool(found.arc[state] < 0))


def earliest_arrival(
    plan: ContactPlan | None,
    source: int,
    start: Instant,
    overlay: Overlay = EMPTY,
    target: int | None = None,
    size_bytes: int = 0,
) -> ArrivalTree:
    """The earliest arrivals from `source`, leaving at `start` or later.

    A ride departs at max(now, contact.begin), before contact.finish, and takes the light time of
    its departure. Of `size_bytes` each contact is busy for as long as its rate says, all of it
    before its finish; they arrive with their last bit, whole, and only then go on. Standing links
    have no known rate and take no time but their delay. Satellites relay. A ground station does
    not pass planned contact to planned contact; with a standing link on either side it does. Ties
    go to fewer hops, then to the lower vertex. Without a plan only standing links exist. With a
    `target` the search stops when that is settled.
    """
    goal = NOBODY if target is None else target
    corrections = overlay.columns(max(plan.n_sites if plan else 0, source + 1, goal + 1))
    vertices, trip = corrections.absent.size, Trip(source, start, size_bytes, goal)
    graph = NO_GRAPH if plan is None else graph_at(plan, start)
    if graph is not None:
        found = arrival_search(graph, corrections, trip)
        return ArrivalTree(source, start, vertices, graph.station, found)
    assert plan is not None
    station, found = plain_search(plan, overlay, trip, vertices)
    return ArrivalTree(source, start, vertices, station, found)
