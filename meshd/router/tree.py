"""Shortest paths from one site to all, over the links that are open at an instant."""

from __future__ import annotations

from dataclasses import dataclass

from meshd.kernels.buckets import HOP_BITS, Labels, bucket_search
from meshd.kernels.graph import FAR, Graph, SiteArray, snapshot_at
from meshd.topology.trajectory import IntArray
from protocols.types import Duration, Instant


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotTree:
    """The way of least light time from a source to every site."""

    source: int
    at: Instant
    labels: Labels

    @property
    def length_ns(self) -> IntArray:
        """By site; FAR for what is out of reach, where `hops` and `before` mean nothing."""
        return self.labels.length

    @property
    def hops(self) -> IntArray:
        """By site, the links on the way."""
        return self.labels.hops

    @property
    def before(self) -> SiteArray:
        """By site, the site before it on the way."""
        return self.labels.before

    def one_way_ns(self, target: int) -> Duration | None:
        """Light time along the way, or None where there is none."""
        key = int(self.labels.key[target])
        return None if key == FAR else key >> HOP_BITS

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
    return SnapshotTree(source, at, bucket_search(snapshot_at(graph, at), source))
