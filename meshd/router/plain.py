"""Earliest arrival in plain words, for plans whose light times only Python can tell.

A slow statement of what `kernels/arrival.py` does fast; tests hold one against the other.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np

from meshd.kernels.arrival import Arrivals, Trip
from meshd.kernels.graph import FAR, SiteArray
from meshd.router.overlay import Overlay
from meshd.topology.plan import ContactPlan
from protocols.types import SECOND, Duration, Instant

_State: TypeAlias = int
"""2 * vertex, or 2 * vertex + 1 for a ground station reached over a contact."""

_Label: TypeAlias = tuple[Instant, int]
"""(arrival, hops)."""

_Arc: TypeAlias = tuple[_State, Instant, bool]
"""(state before, departure, standing)."""


def plain_search(
    plan: ContactPlan, overlay: Overlay, trip: Trip, vertices: int
) -> tuple[SiteArray, Arrivals]:
    """The earliest arrivals of a trip as a kernel has them, and the numbers of the stations."""
    search = _Search(plan, overlay, trip)
    if trip.source not in overlay.absent:
        search.run()
    ground = np.array([kind == "ground" for kind in plan.kinds], dtype=np.bool_)
    station = np.where(ground, np.cumsum(ground) - 1, -1).astype(np.int32)
    states = vertices + int(ground.sum())
    whole = Arrivals(
        np.full(states, FAR), np.zeros(states, np.int32), np.full(states, trip.source, np.int32),
        np.zeros(states, np.int64), np.zeros(states, np.int32),
    )  # fmt: skip

    def place(state: _State) -> int:
        return vertices + int(station[state >> 1]) if state & 1 else state >> 1

    for state in search.settled:
        at = place(state)
        whole.when[at], whole.hops[at] = search.labels[state]
        if state in search.arcs:
            before, whole.depart[at], standing = search.arcs[state]
            whole.before[at], whole.arc[at] = place(before), -1 if standing else 0
    return station, whole


class _Search:
    """One run of the label-setting search; `settled` states have their final labels."""

    def __init__(self, plan: ContactPlan, overlay: Overlay, trip: Trip) -> None:
        self.plan = plan
        self.overlay = overlay
        self.trip = trip
        root: _State = 2 * trip.source
        self.labels: dict[_State, _Label] = {root: (trip.start, 0)}
        self.arcs: dict[_State, _Arc] = {}
        self.settled: dict[_State, None] = {}
        self.heap: list[tuple[Instant, int, _State]] = [(trip.start, 0, root)]

    def run(self) -> None:
        while self.heap:
            now, hops, state = heappop(self.heap)
            if state in self.settled:
                continue
            self.settled[state] = None
            vertex = state >> 1
            if vertex == self.trip.target:
                return
            self.ride_standing(state, now, hops + 1)
            if vertex < self.plan.n_sites and not state & 1:
                self.ride_contacts(state, now, hops + 1)

    def ride_standing(self, state: _State, now: Instant, hops: int) -> None:
        for peer, delay in self.overlay.standing.get(state >> 1, ()):
            if self.usable(state >> 1, peer):
                self.reach(2 * peer, (now + delay, hops), (state, now, True))

    def ride_contacts(self, state: _State, now: Instant, hops: int) -> None:
        vertex, plan = state >> 1, self.plan
        for peer, begin, finish, rate in plan.contacts_of(vertex):
            depart = max(begin, now)
            sent = depart + sending(self.trip.size_bytes, rate)
            if max(sent, depart + 1) <= finish and self.usable(vertex, peer):
                to = 2 * peer + (plan.kinds[peer] == "ground")
                arrive = sent + plan.light_time_ns(vertex, peer, depart)
                self.reach(to, (arrive, hops), (state, depart, False))

    def usable(self, vertex: int, peer: int) -> bool:
        pair = (min(vertex, peer), max(vertex, peer))
        return peer not in self.overlay.absent and pair not in self.overlay.dead

    def reach(self, to: _State, label: _Label, arc: _Arc) -> None:
        known = self.labels.get(to)
        if known is None or label < known:
            self.labels[to] = label
            self.arcs[to] = arc
            heappush(self.heap, (*label, to))


def sending(size_bytes: int, rate_bps: float) -> Duration:
    """How long a contact is busy with so much, rounded up."""
    return int(np.ceil(size_bytes * 8 / rate_bps * SECOND)) if size_bytes > 0 else 0
