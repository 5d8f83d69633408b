"""The contact plan: every predicted contact of a window, and the light time between sites.

One plan is shared by all nodes of a process that were given the same sky, policy and window
(compare `digest`). It never changes; new elements make a new plan.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from meshd.ephemeris.names import fold, not_found
from meshd.ephemeris.propagate import Failure
from meshd.ephemeris.sky import Kind
from meshd.topology.light import FixedLight
from meshd.topology.trajectory import FloatArray, IntArray, Trajectory
from protocols.types import Duration, Instant

CONTACTS_MAX = 5_000_000

WHOLE = "whole"
"""What is `derived` under this name is the plan that a plan was taken from, where links lack."""

LightTime: TypeAlias = Callable[[int, int, Instant], Duration]


class Contact(NamedTuple):
    """One link's interval [begin, finish), seen from one end: `peer` is the site at the other."""

    peer: int
    begin: Instant
    finish: Instant
    rate_bps: float


@dataclass(frozen=True, slots=True, eq=False)
class ContactPlan:
    """Contacts as columns sorted by (begin, a, b), a < b, over the window [start, end).

    A contact that is under way at an edge of the window is cut there and not marked: `begin ==
    start` may have begun before, `finish == end` may go on. `sites_failed` lists satellites that
    could not be propagated and so have no contacts. Sites are indices into `names`. Records of
    one site's contacts are made when first asked for.
    """

    sky_digest: str
    policy_code: str
    digest: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    start: Instant
    end: Instant
    a: np.ndarray[tuple[int], np.dtype[np.int32]]
    b: np.ndarray[tuple[int], np.dtype[np.int32]]
    begin: IntArray
    finish: IntArray
    rate_bps: FloatArray
    trajectory: Trajectory | None
    sites_failed: tuple[Failure, ...]
    light_time_ns: LightTime = field(repr=False)
    """(a, b, at) -> ns: distance between two sites at the instant of departure, over c.

    The one light-time function: routers, links and simulators all call it. Raises ValueError
    outside the trajectory, which goes a step (30 s) beyond the window.
    """
    _index: Mapping[str, int] = field(repr=False)
    _sites: Mapping[str, int] = field(repr=False)
    _rows: _Rows = field(repr=False)
    _by_site: dict[int, tuple[Contact, ...]] = field(repr=False)
    _by_peer: dict[int, dict[int, tuple[Contact, ...]]] = field(repr=False)
    _changes: dict[int, tuple[Instant, ...]] = field(repr=False)
    derived: dict[str, Any] = field(repr=False)
    """What others have worked out from the plan and share as they share it, by their name."""

    @property
    def n_sites(self) -> int:
        return len(self.names)

    @property
    def n_contacts(self) -> int:
        return int(self.a.size)

    def index_of(self, name: str) -> int:
        """The site of this name, whatever its case; NotFound "unknown-site" offers the nearest."""
        site = self._index.get(fold(name))
        if site is None:
            raise not_found("unknown-site", "site", name, self.names)
        return site

    def site_of(self, name: str) -> int | None:
        """The site of exactly this name, or None."""
        return self._sites.get(name)

    def contacts_of(self, site: int) -> tuple[Contact, ...]:
        """All contacts of one site, sorted by begin, then peer."""
        contacts = self._by_site.get(site)
        if contacts is None:
            rows = self._rows.of(site)
            a, b = self.a[rows], self.b[rows]
            columns = (np.where(a == site, b, a), self.begin[rows], self.finish[rows])
            values = zip(*(c.tolist() for c in (*columns, self.rate_bps[rows])), strict=True)
            contacts = self._by_site[site] = tuple(Contact(*row) for row in values)
        return contacts

    def contacts_between(self, a: int, b: int) -> tuple[Contact, ...]:
        """All contacts of a pair in time order; `peer` is `b`."""
        peers = self._by_peer.get(a)
        if peers is None:
            found: dict[int, list[Contact]] = {}
            for contact in self.contacts_of(a):
                found.setdefault(contact.peer, []).append(contact)
            peers = {peer: tuple(contacts) for peer, contacts in found.items()}
            self._by_peer[a] = peers
        return peers.get(b, ())

    def open_contact(self, a: int, b: int, at: Instant) -> Contact | None:
        """The contact of a pair that stands at an instant, seen from `a`; None when none does."""
        for contact in self.contacts_between(a, b):
            if contact.begin <= at < contact.finish:
                return contact
        return None

    def open_at(self, at: Instant) -> list[tuple[int, int]]:
        """The pairs (a < b) in contact at an instant, in order."""
        rows = self.open_rows(at)
        return sorted(zip(self.a[rows].tolist(), self.b[rows].tolist(), strict=True))

    def open_rows(self, at: Instant) -> IntArray:
        """The rows of the columns whose contact stands at an instant."""
        return np.flatnonzero((self.begin <= at) & (at < self.finish))

    def snapshot(self, at: Instant) -> Any:
        """A networkx Graph of the contacts open at an instant.

        Nodes are names with `kind` and `site`; edges carry `delay_ns` and `rate_bps`.
        """
        import networkx  # ten times slower to import than to search: only for who asks

        graph = networkx.Graph(at=at)
        for site, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            graph.add_node(name, kind=kind, site=site)
        for row in self.open_rows(at).tolist():
            a, b = int(self.a[row]), int(self.b[row])
            rate = float(self.rate_bps[row])
            graph.add_edge(
                self.names[a], self.names[b], delay_ns=self.light_time_ns(a, b, at), rate_bps=rate
            )
        return graph

    def next_change(self, site: int, at: Instant) -> Instant | None:
        """The first instant after `at` when a contact of this site begins or finishes, or None."""
        changes = self._changes.get(site)
        if changes is None:
            edges = {edge for c in self.contacts_of(site) for edge in (c.begin, c.finish)}
            changes = self._changes[site] = tuple(sorted(edges))
        place = bisect_right(changes, at)
        return changes[place] if place < len(changes) else None


class Columns(NamedTuple):
    """Contacts on their way into a plan, in any order, a < b."""

    a: IntArray
    b: IntArray
    begin: IntArray
    finish: IntArray
    rate_bps: FloatArray


class Header(NamedTuple):
    """What a plan is about."""

    sky_digest: str
    policy_code: str
    digest: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    start: Instant
    end: Instant


class _Rows(NamedTuple):
    """The rows of each site, by begin, then peer; of site s: row[first[s]:first[s + 1]]."""

    first: IntArray
    row: IntArray

    def of(self, site: int) -> IntArray:
        return self.row[self.first[site] : self.first[site + 1]]


def assemble(
    header: Header,
    columns: Columns,
    trajectory: Trajectory | None,
    light_time_ns: LightTime,
    sites_failed: tuple[Failure, ...] = (),
    like: ContactPlan | None = None,
) -> ContactPlan:
    """A plan of these contacts, sorted and indexed; one `like` it has the same names."""
    order = np.lexsort((columns.b, columns.a, columns.begin))
    a, b = columns.a[order].astype(np.int32), columns.b[order].astype(np.int32)
    names = header.names
    return ContactPlan(
        *header,
        a=a,
        b=b,
        begin=columns.begin[order],
        finish=columns.finish[order],
        rate_bps=columns.rate_bps[order],
        trajectory=trajectory,
        sites_failed=sites_failed,
        light_time_ns=light_time_ns,
        _index=like._index if like else {fold(name): s for s, name in enumerate(names)},
        _sites=like._sites if like else {name: s for s, name in enumerate(names)},
        _rows=_rows_of(a, b, len(names)),
        _by_site={},
        _by_peer={},
        _changes={},
        derived={},
    )


def plan_of_rows(plan: ContactPlan, rows: IntArray) -> ContactPlan:
    """The plan that has these contacts of another alone, with its sites, window and digest."""
    header = Header(
        plan.sky_digest, plan.policy_code, plan.digest, plan.names, plan.kinds, plan.start, plan.end
    )
    a, b = plan.a[rows].astype(np.int64), plan.b[rows].astype(np.int64)
    columns = Columns(a, b, plan.begin[rows], plan.finish[rows], plan.rate_bps[rows])
    return assemble(header, columns, plan.trajectory, plan.light_time_ns, plan.sites_failed, plan)


def plan_digest(sky_digest: str, policy_code: str, start: Instant, end: Instant) -> str:
    """sha256 (hex) over what a plan follows from."""
    return hashlib.sha256(f"{sky_digest}|{policy_code}|{start}|{end}".encode()).hexdigest()


def _rows_of(a: np.ndarray, b: np.ndarray, sites: int) -> _Rows:
    """Rows of the columns by site. Sorted by (begin, a, b), a site's are so by (begin, peer)."""
    count = np.arange(a.size)
    site, row = np.concatenate([a, b]), np.concatenate([count, count])
    order = np.lexsort((row, site))
    first = np.searchsorted(site[order], np.arange(sites + 1))
    return _Rows(first, row[order])


def plan_from_contacts(
    kinds: Sequence[Kind],
    contacts: Iterable[tuple[int, int, Instant, Instant]],
    light_time_ns: Duration | LightTime,
    window: tuple[Instant, Instant] | None = None,
    names: Sequence[str] = (),
) -> ContactPlan:
    """A plan of given contacts (a, b, begin, finish) and a given light time: for tests and labs.

    Sites are named `n0`, `n1`... unless named; rates are 10 Gb/s; the window is what the contacts
    span unless given. `light_time_ns` is one number for every pair, or a function of
    (a, b, instant).
    """
    rows = sorted((min(a, b), max(a, b), begin, finish) for a, b, begin, finish in contacts)
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    if window is None:
        window = (int(table[:, 2].min()), int(table[:, 3].max())) if rows else (0, 0)
    digest = hashlib.sha256(repr((rows, tuple(kinds), window)).encode()).hexdigest()
    light = FixedLight(light_time_ns) if isinstance(light_time_ns, int) else light_time_ns
    header = Header(
        sky_digest="given",
        policy_code="given",
        digest=digest,
        names=tuple(names) or tuple(f"n{site}" for site in range(len(kinds))),
        kinds=tuple(kinds),
        start=window[0],
        end=window[1],
    )
    a, b, begin_at, finish_at = table.T
    columns = Columns(a, b, begin_at, finish_at, np.full(len(rows), 10e9))
    return assemble(header, columns, None, light)
