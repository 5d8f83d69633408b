"""Shortest paths from one site to all over a snapshot: a ring of buckets instead of a heap.

A bucket holds sites whose length so far lies in one stretch of 2^shift ns. While that is no more
than the shortest link, all in the current bucket are final (Dinitz 1978): each is taken once.
Wider buckets, for links of very different lengths, take a site again when it has become nearer.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel, part
from meshd.kernels.ahead import FAR_APART, fetch
from meshd.kernels.graph import FAR, Snapshot

IntArray: TypeAlias = NDArray[np.int64]
SiteArray: TypeAlias = NDArray[np.int32]

RING_MAX = 64
"""Buckets at most: where the longest link is many times the shortest, they are wider."""

HOP_BITS = 20
"""More hops than a million make no way; so lengths are below 2^42 ns, 73 minutes."""


class Labels(NamedTuple):
    """For each site length * 2^20 + hops from the source, and the site before.

    So labels compare by length, then hops, then the site before. FAR is out of reach.
    """

    key: IntArray
    before: SiteArray

    @property
    def length(self) -> IntArray:
        """In ns; FAR for what is out of reach."""
        return np.where(self.key == FAR, FAR, self.key >> HOP_BITS)

    @property
    def hops(self) -> IntArray:
        return self.key & ((1 << HOP_BITS) - 1)


@inner
def shift_for(shortest: int, longest: int) -> int:
    """The widest bucket (2^shift ns) no wider than the shortest link, or what fits the ring."""
    shift = 0
    while (2 << shift) <= shortest or (longest >> shift) + 2 > RING_MAX:
        shift += 1
    return shift


@kernel
def bucket_search(snapshot: Snapshot, source: int) -> Labels:
    """The shortest paths from a site to all. Stations are ends: only the source's links leave one.

    Ties go to fewer hops, then to the lower site before. Exact for whole lengths.
    """
    sites = snapshot.first.size - 1
    shift, ring = shift_for(snapshot.shortest, snapshot.longest), 1
    while ring < (snapshot.longest >> shift) + 2:
        ring *= 2
    labels, room = Labels(np.empty(sites, np.int64), np.empty(sites, np.int32)), 64 + sites // 8
    count = np.empty(ring, np.int64)
    while not _search(snapshot, source, shift, (np.empty((ring, room), np.int32), count), labels):
        room *= 4
    return labels


@inner
def _search(
    snapshot: Snapshot, source: int, shift: int, queue: tuple[SiteArray, IntArray], labels: Labels
) -> bool:
    """Fill in the labels; whether the buckets had room for it. How many stand in each is counted.

    Links are taken by fours, the last of a site once more where they are fewer: processors guess
    better what becomes of the first, second, third and fourth than of any.
    """
    peers, lengths, ground = snapshot.peer, snapshot.length_ns, snapshot.ground
    first, key, before = snapshot.first, labels.key, labels.before
    (buckets, count), width, far = queue, shift + HOP_BITS, key.size > FAR_APART
    key[:], count[:] = FAR, 0
    key[source], before[source], buckets[0, 0], count[0] = 0, source, source, 1
    ring, current, live = count.size, np.int64(0), 1
    while live > 0:
        place, taken = current & (ring - 1), 0
        while taken < count[place]:
            here = buckets[place, taken]
            taken += 1
            if far:
                last = count[place] - 1
                fetch(first, buckets[place, min(taken + 7, last)])
                _fetch_links(snapshot, buckets[place, min(taken + 3, last)])
                _fetch_labels(snapshot, labels, buckets[place, min(taken + 1, last)])
            so_far = key[here]
            if so_far >> width != current or (ground[here] and here != source):
                continue
            end = first[here + 1]
            for four in range(first[here], end, 4):
                for turn in range(4):
                    arc = min(four + turn, end - 1)
                    peer = peers[arc]
                    there = so_far + (np.int64(lengths[arc]) << HOP_BITS) + 1
                    known = key[peer]
                    if there < known:
                        key[peer], before[peer] = there, here
                        bucket = there >> width
                        if known >> width == bucket != current:
                            continue  # it has its turn there
                        to = bucket & (ring - 1)
                        if count[to] == buckets.shape[1]:
                            return False
                        buckets[to, count[to]] = peer
                        count[to] += 1
                        live += 1
                    elif there == known:
                        before[peer] = min(before[peer], here)
        live, count[place], current = live - taken, 0, current + 1
    return True


@part
def _fetch_links(snapshot: Snapshot, site: int) -> None:
    arc = snapshot.first[site]
    fetch(snapshot.peer, arc)
    fetch(snapshot.length_ns, arc)


@part
def _fetch_labels(snapshot: Snapshot, labels: Labels, site: int) -> None:
    """Those of four neighbours: who has more waits a little for the others."""
    arc, last = snapshot.first[site], snapshot.peer.size - 1
    for turn in range(4):
        peer = snapshot.peer[min(arc + turn, last)]
        fetch(labels.key, peer)
        fetch(labels.before, peer)
