"""The shortest ways from all sites to many at once: a table swept until nothing changes.

A row is a site, a column a destination. A site's row is the least of its neighbours' rows, each
with the link between added: one addition and one comparison a column, which processors do for
eight columns at a time. Sites whose neighbours have not changed are passed over.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel, part
from meshd.kernels.graph import BoolArray, IntArray, SiteArray, Snapshot

Table: TypeAlias = NDArray[np.int32]
Row: TypeAlias = NDArray[np.int32]

AFAR = np.int32(1 << 30)
"""1.07 s: further than a way may be long, so that a link more does not overflow."""

NOWHERE = np.int32(-1)


class Relays(NamedTuple):
    """Links to relays by site, in order of peer, four at a time: a site's number is filled up.

    What fills leads to one row more than there are sites, AFAR from all targets, and is 1 ns long:
    so no length is that of a way over it.
    """

    first: IntArray
    peer: SiteArray
    length: Row


@kernel
def sweep_search(snapshot: Snapshot, targets: SiteArray) -> tuple[Table, Table]:
    """For every site and target the length of the shortest way (ns), and the next site on it.

    AFAR and NOWHERE where there is none; a target's own next is itself. Stations are ends: a way
    begins or ends there. Ties go to the target itself, then to the lower next site. No way is
    longer than AFAR.
    """
    sites = snapshot.first.size - 1
    table = np.full((sites + 1, targets.size), AFAR, np.int32)
    stale, relays = np.zeros(sites, np.bool_), _relays_of(snapshot)
    for column in range(targets.size):
        target = targets[column]
        table[target, column] = 0
        _spread(snapshot, target, stale)
        for arc in range(snapshot.first[target], snapshot.first[target + 1]):
            peer = snapshot.peer[arc]
            table[peer, column] = min(table[peer, column], np.int32(snapshot.length_ns[arc]))
            _spread(snapshot, peer, stale)
    forwards = True
    while _sweep(snapshot, relays, table, stale, forwards):
        forwards = not forwards
    step = np.full((sites, targets.size), NOWHERE, np.int32)
    _steps(snapshot, relays, targets, table, step)
    return table[:sites], step


@kernel
def _relays_of(snapshot: Snapshot) -> Relays:
    sites = snapshot.first.size - 1
    room = snapshot.peer.size + 3 * sites
    first, filled = np.zeros(sites + 1, np.int64), 0
    peers, lengths = np.full(room, sites, np.int32), np.ones(room, np.int32)
    for site in range(sites):
        begin = filled
        for arc in range(snapshot.first[site], snapshot.first[site + 1]):
            peer = snapshot.peer[arc]
            if snapshot.ground[peer]:
                continue
            place = filled
            while place > begin and peers[place - 1] > peer:
                peers[place], lengths[place] = peers[place - 1], lengths[place - 1]
                place -= 1
            peers[place], lengths[place] = peer, snapshot.length_ns[arc]
            filled += 1
        filled = begin + (filled - begin + 3) // 4 * 4
        first[site + 1] = filled
    return Relays(first, peers, lengths)


@part
def _spread(snapshot: Snapshot, site: int, stale: BoolArray) -> None:
    """A row has changed: those of its relaying neighbours may."""
    for arc in range(snapshot.first[site], snapshot.first[site + 1]):
        peer = snapshot.peer[arc]
        stale[peer] |= not snapshot.ground[peer]


@inner
def _sweep(
    snapshot: Snapshot, relays: Relays, table: Table, stale: BoolArray, forwards: bool
) -> bool:
    """Bring all stale rows up to date, in the order of sites or against it; whether any changed."""
    sites, changed = stale.size, False
    for turn in range(sites):
        site = turn if forwards else sites - 1 - turn
        if not stale[site]:
            continue
        stale[site], shorter = False, False
        for arc in range(relays.first[site], relays.first[site + 1], 4):
            shorter |= _lower(table, relays, site, arc)
        if shorter:
            changed = True
            _spread(snapshot, site, stale)
    return changed


@part
def _lower(table: Table, relays: Relays, site: int, arc: int) -> bool:
    """Lower a row to what leads over four neighbours; whether that is shorter anywhere."""
    row, peer, length, shorter = table[site], relays.peer, relays.length, False
    a, b, c, d = table[peer[arc]], table[peer[arc + 1]], table[peer[arc + 2]], table[peer[arc + 3]]
    to_a, to_b, to_c, to_d = length[arc], length[arc + 1], length[arc + 2], length[arc + 3]
    for column in range(row.size):
        over = min(np.int32(a[column] + to_a), np.int32(b[column] + to_b))
        over = min(over, min(np.int32(c[column] + to_c), np.int32(d[column] + to_d)))
        shorter |= over < row[column]
        row[column] = min(row[column], over)
    return shorter


@inner
def _steps(
    snapshot: Snapshot, relays: Relays, targets: SiteArray, table: Table, step: Table
) -> None:
    """The next sites, by rows that are final but for those of stations, which it makes so."""
    for site in range(step.shape[0]):
        for arc in range(relays.first[site + 1] - 4, relays.first[site] - 1, -4):
            if snapshot.ground[site]:
                _lower(table, relays, site, arc)
        for arc in range(relays.first[site + 1] - 4, relays.first[site] - 1, -4):
            _choose(step[site], table, relays, site, arc)
    for column in range(targets.size):
        target = targets[column]
        step[target, column] = target
        for arc in range(snapshot.first[target], snapshot.first[target + 1]):
            peer = snapshot.peer[arc]
            if table[peer, column] == snapshot.length_ns[arc]:
                step[peer, column] = target


@part
def _choose(step: Row, table: Table, relays: Relays, site: int, arc: int) -> None:
    """Go over the first of four neighbours that a row's lengths lead over, if one does."""
    row, peer, length = table[site], relays.peer, relays.length
    a, b, c, d = table[peer[arc]], table[peer[arc + 1]], table[peer[arc + 2]], table[peer[arc + 3]]
    to_a, to_b, to_c, to_d = length[arc], length[arc + 1], length[arc + 2], length[arc + 3]
    at_a, at_b, at_c, at_d = peer[arc], peer[arc + 1], peer[arc + 2], peer[arc + 3]
    for column in range(row.size):
        distance, found = row[column], step[column]
        found = at_d if np.int32(d[column] + to_d) == distance else found
        found = at_c if np.int32(c[column] + to_c) == distance else found
        found = at_b if np.int32(b[column] + to_b) == distance else found
        step[column] = at_a if np.int32(a[column] + to_a) == distance else found
