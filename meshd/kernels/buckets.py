"""Shortest paths from one site to all over a snapshot: a ring of buckets instead of a heap.

A bucket holds sites whose length so far lies in one stretch of 2^shift ns. While that is no more
than the shortest link, all in the current bucket are final (Dinitz 1978): each is taken once.
Wider buckets, for links of very different lengths, take a site again when it has become nearer.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import kernel
from meshd.kernels.graph import FAR, Snapshot

IntArray: TypeAlias = NDArray[np.int64]
SiteArray: TypeAlias = NDArray[np.int32]

RING_MAX = 64
"""Buckets at most: where the longest link is many times the shortest, they are wider."""

_HOP = np.int64(1 << 32)


class Labels(NamedTuple):
    """For each site its length (ns) from the source, and hops * 2^32 + the site before.

    So labels compare by length, then hops, then the site before. FAR is out of reach.
    """

    length: IntArray
    behind: IntArray


@kernel
def shift_for(shortest: int, longest: int) -> int:
    """The widest bucket (2^shift ns) no wider than the shortest link, or what fits the ring."""
    shift = 0
    while (2 << shift) <= shortest or (longest >> shift) + 2 > RING_MAX:
        shift += 1
    return shift


@kernel
def bucket_search(snapshot: Snapshot, source: int) -> Labels:
    """The shortest paths from a site to all. Stations are ends: only the source's links leave one.

    Ties go to fewer hops, then to the lower site before. Exact for whole lengths above 0.
    """
    sites = snapshot.first.size - 1
    shift, ring = shift_for(snapshot.shortest, snapshot.longest), 1
    while ring < (snapshot.longest >> shift) + 2:
        ring *= 2
    labels, room = Labels(np.empty(sites, np.int64), np.empty(sites, np.int64)), 64 + sites // 8
    while True:
        labels.length[:] = FAR
        labels.behind[:] = FAR
        if _search(snapshot, source, shift, np.empty((ring, room), np.int32), labels):
            return labels
        room *= 4


@kernel
def _search(
    snapshot: Snapshot, source: int, shift: int, buckets: SiteArray, labels: Labels
) -> bool:
    """Fill in the labels; whether the buckets had room for it."""
    first, peers, lengths = snapshot.first, snapshot.peer, snapshot.length_ns
    length, behind, ring = labels.length, labels.behind, buckets.shape[0]
    waiting = np.zeros(length.size, np.bool_)  # it has an entry in the bucket of its length
    length[source], behind[source], waiting[source] = 0, source, True
    count = np.zeros(ring, np.int64)
    buckets[0, 0], count[0] = source, 1
    current, live = np.int64(0), 1
    while live > 0:
        place, taken = current & (ring - 1), 0
        while taken < count[place]:
            here = buckets[place, taken]
            taken += 1
            so_far = length[here]
            if not waiting[here] or so_far >> shift != current:
                continue
            waiting[here] = False
            if snapshot.ground[here] and here != source:
                continue
            hops = (behind[here] & -_HOP) + _HOP + here
            for arc in range(first[here], first[here + 1]):
                peer, there = peers[arc], so_far + lengths[arc]
                known = length[peer]
                if there > known:
                    continue
                if there == known:
                    if hops >= behind[peer]:
                        continue
                    fewer = (hops ^ behind[peer]) >= _HOP
                    behind[peer] = hops
                    if not fewer:
                        continue
                length[peer] = there
                behind[peer] = hops
                if waiting[peer] and known >> shift == there >> shift:
                    continue
                to = (there >> shift) & (ring - 1)
                if count[to] == buckets.shape[1]:
                    return False
                buckets[to, count[to]] = peer
                waiting[peer] = True
                count[to] += 1
                live += 1
        live -= taken
        count[place] = 0
        current += 1
    return True
