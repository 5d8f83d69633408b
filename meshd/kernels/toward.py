"""Toward: the earliest arrival at one site, found without looking at the rest of the sky (A*)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel, part
from meshd.kernels.arrival import Arrivals, Corrections, Ride, Trip, is_dead, light_over, sending_ns
from meshd.kernels.graph import FAR, Graph, IntArray
from meshd.kernels.heap import Heap, drop, push
from meshd.kernels.light import spot_at

BoolArray: TypeAlias = NDArray[np.bool_]

_SITE = np.int64(1 << 24)
"""More sites than a plan has; and 2^39 ns, 9 minutes, are more than a tick."""


class Queue(NamedTuple):
    """Sites that wait for their turn, and by site the least time that is left to the target."""

    heap: Heap
    waiting: BoolArray
    left: IntArray


@kernel
def toward_search(
    graph: Graph, corrections: Corrections, trip: Trip, left: IntArray, end: int
) -> Arrivals:
    """The earliest arrivals along the ways to the target of a trip; no standing links.

    `left` is by site the least time that remains to the target, so no ride takes it down by more
    than it takes. Of rides as early, in as few hops, that from the site is taken which a search of
    the whole sky settles first. What arrives at `end` or later is not looked at. The target's
    arrival is FAR if it is not reached before; others may be later than they could.
    """
    sites = graph.station.size
    found = Arrivals(
        np.full(sites, FAR), np.zeros(sites, np.int32), np.full(sites, trip.source, np.int32),
        np.empty(sites, np.int64), np.empty(sites, np.int32),
    )  # fmt: skip
    absent = corrections.absent
    if not (absent[trip.source] or absent[trip.target] or left[trip.source] >= FAR):
        room = graph.peer.size + 1
        queue = Queue(np.empty((room, 2), np.int64), np.zeros(sites, np.bool_), left)
        _search(graph, corrections, trip, (queue, end), found)
    return found


@inner
def _search(
    graph: Graph, corrections: Corrections, trip: Trip, bounds: tuple[Queue, int], found: Arrivals
) -> None:
    """Fill in what is found; `bounds` are the queue and the instant before which all must be."""
    (queue, end), source, target = bounds, trip.source, trip.target
    found.when[source], queue.waiting[source] = trip.start, True
    size = push(queue.heap, 0, trip.start + queue.left[source], source)
    best = end - 1
    while size > 0 and queue.heap[0, 0] <= best:
        site = queue.heap[0, 1] & (_SITE - 1)
        size = drop(queue.heap, size)
        if queue.waiting[site]:
            queue.waiting[site] = False
            if site != target:
                size = _ride(graph, corrections, trip, (site, best), queue, found, size)
                best = min(found.when[target], end - 1)


@part
def _ride(
    graph: Graph,
    corrections: Corrections,
    trip: Trip,
    at: tuple[int, int],
    queue: Queue,
    found: Arrivals,
    size: int,
) -> int:
    """From a site to every neighbour on a way that can still be as early as the best.

    How many wait now.
    """
    (site, best), left = at, queue.left
    now, hops = found.when[site], found.hops[site] + 1
    station, when = graph.station, found.when
    absent, dead = corrections.absent, corrections.dead
    spot = spot_at(graph.knots, site, now)
    for arc in range(graph.first[site], graph.first[site + 1]):
        peer, depart = graph.peer[arc], max(graph.begin[arc], now)
        sent = depart
        if trip.size_bytes > 0:
            sent += sending_ns(trip.size_bytes, graph.rate_bps[arc])
        if max(sent, depart + 1) > graph.finish[arc] or sent + left[peer] > best:
            continue
        if (station[peer] >= 0 and peer != trip.target) or absent[peer] or sent >= when[peer]:
            continue
        arrive = sent + light_over(graph, arc, (site, peer), spot, depart)
        ride = Ride(site, hops, depart, arrive, arc)
        if arrive > when[peer] or not _is_better(found, peer, ride):
            continue
        if dead.size and is_dead(dead, site, peer):
            continue
        again = arrive < when[peer] or hops < found.hops[peer]
        when[peer], found.hops[peer], found.before[peer] = arrive, hops, site
        found.depart[peer], found.arc[peer] = depart, arc
        if again:
            queue.waiting[peer] = True
            size = push(queue.heap, size, arrive + left[peer], (arrive - trip.start) * _SITE + peer)
    return size


@inner
def _is_better(found: Arrivals, to: int, ride: Ride) -> bool:
    """Whether a ride that is no later than what was found is better."""
    if ride.arrive < found.when[to] or ride.hops != found.hops[to]:
        return bool(ride.arrive < found.when[to] or ride.hops < found.hops[to])
    rival = found.before[to]
    return (found.when[ride.state], found.hops[ride.state], ride.state) < (
        found.when[rival], found.hops[rival], rival,
    )  # fmt: skip
