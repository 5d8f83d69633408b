"""The graph of a contact plan: its contacts by site, seen from both ends, as columns."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import kernel, part
from meshd.kernels.light import Knots, light_ns, places_at

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
SiteArray: TypeAlias = NDArray[np.int32]
BoolArray: TypeAlias = NDArray[np.bool_]
LengthArray: TypeAlias = NDArray[np.int32] | NDArray[np.int64]


FAR = np.int64(1 << 62)
"""The length of the way to what is out of reach."""

LONGEST = 1 << 42
"""Links that take light longer than this, 73 minutes, lead nowhere in an instant."""


class Graph(NamedTuple):
    """Contacts by site: those of site s are arcs `first[s]` to `first[s + 1]` - 1.

    An arc is a contact seen from one end, in order of begin, then peer; `row` is its contact's in
    the plan. Light takes `fixed_ns` where the plan gives it (one entry an arc); else that column
    is empty and light time follows from the knots. Its type is that of lengths: 32 bits where no
    light time is 2.1 s or longer, for searches wait for memory more than for anything else.
    """

    first: IntArray
    peer: SiteArray
    begin: IntArray
    finish: IntArray
    rate_bps: FloatArray
    row: SiteArray
    fixed_ns: LengthArray
    ground: BoolArray
    station: SiteArray
    """The number of each site among the ground stations; -1 for a satellite."""
    stations: SiteArray
    """The sites of the ground stations."""
    knots: Knots
    shift: int
    """Light takes 2^shift ns or longer over links, as far as is known."""


class Snapshot(NamedTuple):
    """The links that are open at an instant, by site, and how long light takes over each.

    A site's are in the order of the graph. `shortest` and `longest` are
    of all lengths; 0 where there are none.
    """

    first: IntArray
    peer: SiteArray
    length_ns: LengthArray
    ground: BoolArray
    shortest: int
    longest: int


@kernel
def arcs_by_site(a: SiteArray, b: SiteArray, sites: int) -> tuple[IntArray, SiteArray, SiteArray]:
    """`first`, `peer` and `row` of the contacts (a, b), each seen from both ends.

    A site's keep the order of the rows: sorted by (begin, a, b), they are so by (begin, peer).
    """
    first = np.zeros(sites + 1, np.int64)
    for row in range(a.size):
        first[a[row] + 1] += 1
        first[b[row] + 1] += 1
    for site in range(sites):
        first[site + 1] += first[site]
    peer, rows = np.empty(2 * a.size, np.int32), np.empty(2 * a.size, np.int32)
    free = first[:-1].copy()
    for row in range(a.size):
        low, high = a[row], b[row]
        peer[free[low]], rows[free[low]] = high, row
        peer[free[high]], rows[free[high]] = low, row
        free[low] += 1
        free[high] += 1
    return first, peer, rows


@kernel
def arcs_between(graph: Graph, start: int, end: int) -> tuple[IntArray, IntArray]:
    """The arcs whose contacts stand at some time in [start, end): first of each site, which."""
    first, kept = np.zeros_like(graph.first), np.empty(graph.peer.size, np.int64)
    count = 0
    for site in range(first.size - 1):
        for arc in range(graph.first[site], graph.first[site + 1]):
            if graph.begin[arc] < end and start < graph.finish[arc]:
                kept[count] = arc
                count += 1
        first[site + 1] = count
    return first, kept[:count].copy()


@part
def _spot(places: FloatArray, site: int) -> tuple[float, float, float]:
    return places[site, 0], places[site, 1], places[site, 2]


@kernel
def snapshot_at(graph: Graph, at: int) -> Snapshot:
    """The snapshot of an instant; contacts are open only within the knots."""
    sites, given, knots = graph.first.size - 1, graph.fixed_ns.size > 0, graph.knots
    inside = knots.first <= at <= knots.first + knots.step_ns * (knots.positions.shape[0] - 1)
    places = places_at(knots, at) if inside and not given else np.empty((0, 3))
    first, peers = np.zeros(sites + 1, np.int64), np.empty_like(graph.peer)
    lengths = np.empty(graph.peer.size, graph.fixed_ns.dtype)
    count, shortest, longest = 0, 0, 0
    for site in range(sites):
        for arc in range(graph.first[site], graph.first[site + 1]):
            if graph.begin[arc] > at:
                break
            if graph.finish[arc] <= at:
                continue
            peer = graph.peer[arc]
            if given:
                length = min(int(graph.fixed_ns[arc]), LONGEST)
            else:
                length = light_ns(_spot(places, site), _spot(places, peer))
            peers[count], lengths[count] = peer, length
            shortest = length if count == 0 else min(shortest, length)
            longest = max(longest, length)
            count += 1
        first[site + 1] = count
    return Snapshot(first, peers[:count], lengths[:count], graph.ground, shortest, longest)
