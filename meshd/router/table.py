"""Table: the next hop to every node from one of them, from a single search, worked out anywhere.

A daemon works it out beside its loop, in a thread, and swaps it whole: who reads one reads what was
true together at its instant. Packets do not go by it: each is searched for at its own departure
(`router/toward.py`), since what has been met on the way and the size of the packet count too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshd.kernels.arrival import first_rides
from meshd.router.arrival import earliest_arrival
from meshd.router.overlay import Overlay
from meshd.topology.plan import ContactPlan
from protocols.types import Duration, Instant, NodeId


@dataclass(frozen=True, slots=True)
class Entry:
    """Hand what goes to `destination` to `node`, not before `depart`; it is there at `arrive`."""

    destination: NodeId
    node: NodeId
    depart: Instant
    arrive: Instant
    hops: int


@dataclass(frozen=True, slots=True)
class Table:
    """The entries of a node for departures at an instant, in order of destination."""

    node: NodeId
    at: Instant
    entries: tuple[Entry, ...]
    unreachable: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Inquiry:
    """All that a table follows from. Nothing in it changes, so a thread may take its time."""

    node: NodeId
    plan: ContactPlan | None
    overlay: Overlay
    vertex: Mapping[NodeId, int]

    def is_like(self, other: Inquiry) -> bool:
        """Whether the same is known: then a table of the one is a table of the other."""
        return self.plan is other.plan and self.overlay is other.overlay

    def table(self, at: Instant, size_bytes: int = 0) -> Table:
        """The earliest arrivals everywhere for what leaves at an instant, or waits for its hold."""
        source = self.vertex[self.node]
        tree = earliest_arrival(self.plan, source, at, self.overlay, None, size_bytes)
        rides, names = first_rides(tree.found, source), {v: n for n, v in self.vertex.items()}
        entries, unreachable = [], []
        for node, vertex in sorted(self.vertex.items()):
            state = tree.state(vertex)
            if node == self.node:
                continue
            if state is None:
                unreachable.append(node)
                continue
            ride = tree.ride(int(rides[state]))
            arrive, hops = int(tree.found.when[state]), int(tree.found.hops[state])
            entries.append(Entry(node, names[ride.node], ride.depart, arrive, hops))
        return Table(self.node, at, tuple(entries), tuple(unreachable))


VALID_NS: Duration = 1_000_000_000
"""A table serves questions for so long: light times move by less than 50 us in it."""
