"""Earliest arrival over contacts: from one vertex to all, waiting where a contact is to come.

A state is a vertex, or vertices + n for the n-th ground station reached over a contact: it may go
on over standing links only, so it is kept apart from the same station reached otherwise. States
wait for their turn in a ring of buckets of 2^shift ns, and in a heap beside it those of far later.
No ride is shorter than a bucket, or the search begins anew with narrower ones: so all in the bucket
whose turn it is are final, in whatever order. Every contact that leaves time enough is tried: of
two of a pair a later one can be the quicker, or the first to last long enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meshd.kernels import inner, kernel, part
from meshd.kernels.ahead import FAR_APART, fetch
from meshd.kernels.graph import FAR, BoolArray, Graph, IntArray, SiteArray
from meshd.kernels.heap import Heap, drop, push
from meshd.kernels.light import Spot, light_between, light_ns, place_within, spot_at
from protocols.types import SECOND

NOBODY = -1
"""The target of a search for all."""

RING = 32
"""Buckets: a power of two. Few, so that they stay in the cache; long rides go beside it."""

_NEAR, _LATER, _FULL, _SHORT, _NOW = RING, RING + 1, RING + 2, RING + 3, RING + 4
_PAIR = np.int64(1 << 32)


class Trip(NamedTuple):
    """What is asked: from where, when, how much, and to whom."""

    source: int
    start: int
    size_bytes: int
    target: int


class Corrections(NamedTuple):
    """What is known beside the plan, by vertex: the sites of the graph, then others.

    `dead` are links, lower end * 2^32 + higher end, in order. Standing links are by vertex.
    """

    absent: BoolArray
    dead: IntArray
    first: IntArray
    peer: SiteArray
    delay_ns: IntArray


class Arrivals(NamedTuple):
    """The earliest arrival of every state, FAR where there is none, and the last ride there.

    `before` is the state it is from, for the source's own itself. `arc` is the graph's, or
    -1 - the arc among the standing links.
    """

    when: IntArray
    hops: SiteArray
    before: SiteArray
    depart: IntArray
    arc: SiteArray


class Queue(NamedTuple):
    """States that wait for their turn, as entries of buckets and of the heap beside them.

    `filled` is of each bucket, then of all in the ring, then of those of later; then whether there
    was no room, a ride that began and ended in one bucket, and the bucket whose turn it is.
    """

    buckets: SiteArray
    filled: IntArray
    later: Heap
    shift: int


class Ride(NamedTuple):
    """A ride from a state, the last of `hops`."""

    state: int
    hops: int
    depart: int
    arrive: int
    arc: int


@kernel
def arrival_search(graph: Graph, corrections: Corrections, trip: Trip) -> Arrivals:
    """The earliest arrivals of a trip; with a target, of what is reached no later than it.

    Ties go to fewer hops, then to the state before that is first by arrival, hops and vertex.
    Exact for rides of a nanosecond at least.
    """
    states = corrections.absent.size + graph.stations.size
    room, links = 64 + states // 8, graph.peer.size + corrections.peer.size + 1
    found = Arrivals(
        np.empty(states, np.int64), np.empty(states, np.int32), np.empty(states, np.int32),
        np.empty(states, np.int64), np.empty(states, np.int32),
    )  # fmt: skip
    shift = graph.shift
    while True:
        found.when[:] = FAR
        queue = Queue(
            np.empty((RING, room), np.int32), np.zeros(RING + 5, np.int64),
            np.empty((links, 2), np.int64), shift,
        )  # fmt: skip
        if not corrections.absent[trip.source]:
            _search(graph, corrections, trip, queue, found)
        if queue.filled[_SHORT] > 0:
            while 1 << shift > queue.filled[_SHORT]:
                shift -= 1
        elif queue.filled[_FULL] > 0:
            room *= 4
        else:
            break
    if trip.target != NOBODY:
        _forget_unsettled(graph, corrections, trip.target, found)
    return found


@inner
def _search(
    graph: Graph, corrections: Corrections, trip: Trip, queue: Queue, found: Arrivals
) -> None:
    """Fill in what is found, unless the buckets turn out too small or too wide."""
    buckets, filled, shift = queue.buckets, queue.filled, queue.shift
    when, sites = found.when, graph.station.size
    current = _start(trip, queue, found)
    while _goes_on(filled) and current <= _last(graph, corrections, trip, when) >> shift:
        if filled[_LATER] > 0:
            current = _recall(queue, when, current)
        filled[_NOW] = current
        place, taken = current & (RING - 1), 0
        while taken < filled[place]:
            state = buckets[place, taken]
            taken += 1
            if when[state] >> shift != current:
                continue
            if corrections.peer.size:
                _ride_standing(graph, corrections, state, queue, found)
            if sites > FAR_APART:
                last = filled[place] - 1
                soon, later = min(taken + 2, last), min(taken + 7, last)
                _fetch_soon(graph, found, buckets[place, soon], buckets[place, later])
            if state < sites:
                _ride(graph, corrections, trip, state, queue, found)
        filled[_NEAR] -= taken
        filled[place] = 0
        current += 1


@part
def _fetch_soon(graph: Graph, found: Arrivals, soon: int, later: int) -> None:
    """Bring what two states that will have their turn need: their contacts, their neighbours."""
    first, peers, sites = graph.first, graph.peer, graph.station.size
    if later < sites:
        arc = first[later]
        fetch(peers, arc)
        fetch(graph.begin, arc)
        fetch(graph.finish, arc)
    if soon < sites:
        for arc in range(first[soon], min(first[soon + 1], first[soon] + 4)):
            fetch(found.when, peers[arc])
            fetch(graph.station, peers[arc])
            fetch(graph.knots.table, peers[arc])


@part
def _ride(
    graph: Graph,
    corrections: Corrections,
    trip: Trip,
    state: int,
    queue: Queue,
    found: Arrivals,
) -> None:
    """Over the contacts of a site, whose turn it is."""
    peers, begins, when, absent = graph.peer, graph.begin, found.when, corrections.absent
    now, hops, dead = when[state], found.hops[state] + 1, corrections.dead
    spot = spot_at(graph.knots, state, now)
    for arc in range(graph.first[state], graph.first[state + 1]):
        peer = peers[arc]
        to = peer if graph.station[peer] < 0 else absent.size + graph.station[peer]
        known, begin = when[to], begins[arc]
        if known <= now or begin >= known:
            continue  # before its contact is looked at: most are behind
        depart = max(begin, now)
        sent = depart
        if trip.size_bytes > 0:
            sent += sending_ns(trip.size_bytes, graph.rate_bps[arc])
        if max(sent, depart + 1) > graph.finish[arc] or known <= sent or absent[peer]:
            continue
        arrive = sent + light_over(graph, arc, (state, peer), spot, depart)
        if arrive > known or (dead.size and is_dead(dead, state, peer)):
            continue
        ride = Ride(state, hops, depart, arrive, arc)
        if arrive < known or _wins_tie(graph, absent.size, found, to, ride):
            _take(found, queue, to, ride)


@inner
def _start(trip: Trip, queue: Queue, found: Arrivals) -> int:
    found.when[trip.source], found.hops[trip.source] = trip.start, 0
    found.before[trip.source] = trip.source
    current = trip.start >> queue.shift
    queue.filled[_NOW] = current
    _put(queue.buckets, queue.filled, trip.source, current)
    return current


@part
def _put(buckets: SiteArray, filled: IntArray, state: int, bucket: int) -> None:
    """Give a state its turn in a bucket of the ring."""
    place = bucket & (RING - 1)
    if filled[place] == buckets.shape[1]:
        filled[_FULL] = 1
        return
    buckets[place, filled[place]] = state
    filled[place] += 1
    filled[_NEAR] += 1


@inner
def _defer(queue: Queue, state: int, arrive: int) -> None:
    """Let a state wait beside the ring."""
    if queue.filled[_LATER] == queue.later.shape[0]:
        queue.filled[_FULL] = 1  # only where buckets are too wide, and states have several turns
        return
    queue.filled[_LATER] = push(queue.later, queue.filled[_LATER], arrive, state)


@inner
def _recall(queue: Queue, when: IntArray, current: int) -> int:
    """Let those of later into the ring as far as it reaches; the bucket to go on with."""
    later, filled, shift = queue.later, queue.filled, queue.shift
    if filled[_NEAR] == 0:
        current = later[0, 0] >> shift
    while filled[_LATER] > 0 and later[0, 0] >> shift < current + RING:
        arrive, state = later[0, 0], later[0, 1]
        filled[_LATER] = drop(later, filled[_LATER])
        if when[state] >> shift == arrive >> shift:
            _put(queue.buckets, filled, state, arrive >> shift)
    return current


@part
def _take(found: Arrivals, queue: Queue, to: int, ride: Ride) -> None:
    """Take a ride that is better than what was found, and give its end a turn if it needs one."""
    known = found.when[to]
    found.when[to], found.hops[to], found.before[to] = ride.arrive, ride.hops, ride.state
    found.depart[to], found.arc[to] = ride.depart, ride.arc
    shift = queue.shift
    bucket = ride.arrive >> shift
    if known >> shift == bucket:
        return  # it has its turn there
    if bucket == queue.filled[_NOW] and shift > 0:
        queue.filled[_SHORT] = max(1, ride.arrive - found.when[ride.state])
    if bucket >= queue.filled[_NOW] + RING:
        _defer(queue, to, ride.arrive)
    else:
        _put(queue.buckets, queue.filled, to, bucket)


@inner
def _wins_tie(graph: Graph, vertices: int, found: Arrivals, to: int, ride: Ride) -> bool:
    """Whether a ride is better than another that arrives no later, so at the same instant."""
    if ride.arrive > found.when[to] or ride.hops > found.hops[to]:
        return False
    rival = found.before[to]
    return bool(ride.hops < found.hops[to]) or (
        (found.when[ride.state], found.hops[ride.state], _order(graph, vertices, ride.state))
        < (found.when[rival], found.hops[rival], _order(graph, vertices, rival))
    )


@part
def _order(graph: Graph, vertices: int, state: int) -> int:
    """States by vertex; of one vertex that which was reached over a contact is second."""
    return int(2 * state if state < vertices else 2 * graph.stations[state - vertices] + 1)


@part
def _goes_on(filled: IntArray) -> bool:
    """Whether states wait for their turn, and the buckets will do."""
    return bool(filled[_NEAR] + filled[_LATER] > 0 and filled[_FULL] + filled[_SHORT] == 0)


@part
def _last(graph: Graph, corrections: Corrections, trip: Trip, when: IntArray) -> int:
    """The instant after which nothing more is wanted."""
    if trip.target == NOBODY:
        return int(FAR)
    return arrival_at(graph, corrections, trip.target, when)


@inner
def arrival_at(graph: Graph, corrections: Corrections, vertex: int, when: IntArray) -> int:
    """The earliest arrival at a vertex, in whichever state."""
    if vertex < graph.station.size and graph.station[vertex] >= 0:
        other = corrections.absent.size + graph.station[vertex]
        return int(min(when[vertex], when[other]))
    return int(when[vertex])


@inner
def _forget_unsettled(graph: Graph, corrections: Corrections, target: int, found: Arrivals) -> None:
    """Only what is no later than the target is final."""
    last = arrival_at(graph, corrections, target, found.when)
    for state in range(found.when.size):
        if found.when[state] > last:
            found.when[state] = FAR


@kernel
def first_rides(found: Arrivals, source: int) -> SiteArray:
    """For each state the one that the way to it enters first; -1 out of reach and at the source."""
    entered = np.full(found.when.size, -1, np.int32)
    for state in range(found.when.size):
        if found.when[state] == FAR or state == source:
            continue
        nearest = state
        while entered[nearest] < 0 and found.before[nearest] != source:
            nearest = found.before[nearest]
        entry = nearest if entered[nearest] < 0 else entered[nearest]
        here = state
        while entered[here] < 0 and here != source:
            entered[here] = entry
            here = found.before[here]
    return entered


@inner
def is_dead(dead: IntArray, a: int, b: int) -> bool:
    """Whether the link of two vertices is reported down."""
    key = min(a, b) * _PAIR + max(a, b)
    place = np.searchsorted(dead, key)
    return bool(place < dead.size and dead[place] == key)


@part
def sending_ns(size_bytes: int, rate_bps: float) -> int:
    """How long a contact is busy with so much, rounded up."""
    return int(np.ceil(size_bytes * 8 / rate_bps * SECOND))


@part
def light_over(graph: Graph, arc: int, ends: tuple[int, int], spot: Spot, depart: int) -> int:
    """Light time over an arc between two sites; `spot` is where the first is, at some instant."""
    if graph.fixed_ns.size:
        return int(graph.fixed_ns[arc])
    if spot.at != depart or spot.u < 0.0:
        return light_between(graph.knots, ends, depart)
    return light_ns(spot.place, place_within(graph.knots, ends[1], spot.u))


@inner
def _ride_standing(
    graph: Graph, corrections: Corrections, state: int, queue: Queue, found: Arrivals
) -> None:
    """Over the standing links of a state's vertex, which are open always."""
    vertices, now = corrections.absent.size, found.when[state]
    vertex = state if state < vertices else graph.stations[state - vertices]
    for arc in range(corrections.first[vertex], corrections.first[vertex + 1]):
        peer, arrive = corrections.peer[arc], now + corrections.delay_ns[arc]
        if corrections.absent[peer] or is_dead(corrections.dead, vertex, peer):
            continue
        ride = Ride(state, found.hops[state] + 1, now, arrive, -1 - arc)
        if arrive < found.when[peer] or _wins_tie(graph, vertices, found, peer, ride):
            _take(found, queue, peer, ride)
