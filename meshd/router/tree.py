"""Shortest paths from one site to all, over the links that are open at an instant."""

from __future__ import annotations

from dataclasses import dataclass

from meshd.kernels.buckets import bucket_search
from meshd.kernels.graph import FAR, Graph, snapshot_at
from meshd.topology.trajectory import IntArray
from protocols.types import Duration, Instant

_SITE = (1 << 32) - 1


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotTree:
    """The way of least light time from a source to every site, as columns by site.

    `length_ns` is FAR for what is out of reach. `before` is the site before on the way; it and
    `hops` mean nothing there.
    """

    source: int
    at: Instant
    length_ns: IntArray
    hops: IntArray
    before: IntArray

    def one_way_ns(self, target: int) -> Duration | None:
        """Light time along the way, or None where there is none."""
        length = int(self.length_ns[target])
        return None if length == FAR else length

    def path(self, target: int) -> tuple[int, ...]:
        """The sites on the way, both ends included; empty where there is none."""
        if self.one_way_ns(target) is None:
            return ()
        sites = [target]
        while sites[-1] != self.source:
            sites.append(int(self.before[sites[-1]]))
        return tuple(reversed(sites))


def snapshot_tree(graph: Graph, source: int, at: Instant) -> SnapshotTree:
    """The shortest paths from a site to all at an instant, relayed by satellites only.

    Lengths are light times at `at`, summed in whole nanoseconds. Ties go to fewer hops, then to
    lower sites, from the end backwards.
    """
    labels = bucket_search(snapshot_at(graph, at), source)
    return SnapshotTree(source, at, labels.length, labels.behind >> 32, labels.behind & _SITE)
