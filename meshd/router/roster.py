"""Roster: what all nodes of a mesh have signed before launch, loaded once and shared by all.

It is to gossip what the contact plan is to links: known beforehand, named by its digest, never
changed. Nodes keep and spread only what differs from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from protocols.bounds import HOPS_EVERYWHERE
from protocols.errors import ProtocolError
from protocols.record import (
    Beacon,
    Body,
    Presence,
    Record,
    Statement,
    Verifier,
    kind_of,
    read,
    verify,
)
from protocols.tag import tag_of
from protocols.types import Instant, NodeId

if TYPE_CHECKING:
    from meshd.router.binding import Binding


READ_MAX = 16_384
"""Records remembered as read: the nodes of a process meet the same ones, and keep them once."""


class Entry(msgspec.Struct, frozen=True):
    """A statement, its tag, and the record that proves it."""

    statement: Statement
    record: Record
    tag: int
    hops: int = HOPS_EVERYWHERE
    """How much further it goes from here."""

    @property
    def key(self) -> tuple[NodeId, str]:
        """(author, kind)."""
        return self.statement.author, kind_of(self.statement.body)

    def expired(self, now: Instant) -> bool:
        return self.statement.issued_at + self.statement.ttl_ns <= now


@dataclass(frozen=True, slots=True)
class Member:
    """A node that has told its name, site and addresses."""

    node: NodeId
    presence: Presence
    issued_at: Instant


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """Signed statements, at most one of an author and kind; they stand however old they are.

    A `Presence` says who lives where. A `Beacon` is the forecast of a node's load: while it is as
    the roster says, the node need not say so.
    """

    digest: str
    entries: dict[int, Entry]
    """By tag, in order of author and kind."""
    members: dict[NodeId, Member]
    beacons: dict[NodeId, tuple[Beacon, Instant]]
    """With the instant of issue."""
    bindings: dict[str, Binding] = field(repr=False)
    """Members as vertices of a plan, by its digest: worked out once for all (`binding.py`)."""

    def agrees(self, member: Member) -> bool:
        """Whether this is what the roster says of who a node is."""
        known = self.members.get(member.node)
        return known is not None and known.presence == member.presence

    def holds(self, author: NodeId, body: Body) -> bool:
        """Whether this is what the roster says of an author."""
        entry = self.entries.get(tag_of(author, kind_of(body)))
        return entry is not None and entry.statement.body == body


NOBODY = Roster("", {}, {}, {}, {})
"""The roster of a node that was given none."""


@lru_cache(16)
def members_by_tag(roster: Roster) -> dict[int, NodeId]:
    """Worked out once for all nodes that have it."""
    return {tag_of(node): node for node in roster.members}


def entry_of(record: Record) -> Entry:
    """What a record says, not yet verified. Raises ProtocolError("bad-record")."""
    return _read(record.statement, record.signature)


@lru_cache(READ_MAX)
def _read(data: bytes, signature: bytes) -> Entry:
    record = Record(data, signature)
    statement = read(record)
    return Entry(statement, record, tag_of(statement.author, kind_of(statement.body)))


def roster_of(records: Iterable[Record], verifier: Verifier) -> Roster:
    """The roster of these records, in whatever order; its digest is of what they say.

    Raises ProtocolError "bad-record", "bad-signature", or "twice-in-roster".
    """
    found: dict[int, Entry] = {}
    for record in records:
        entry = entry_of(record)
        verify(record, entry.statement, verifier)
        if entry.tag in found:
            author, kind = entry.key
            raise ProtocolError("twice-in-roster", f"two records are the {kind} of {author}")
        found[entry.tag] = entry
    entries = {entry.tag: entry for entry in sorted(found.values(), key=lambda e: e.key)}
    digest = hashlib.sha256()
    for entry in entries.values():
        digest.update(hashlib.sha256(entry.record.statement).digest())
    members: dict[NodeId, Member] = {}
    beacons: dict[NodeId, tuple[Beacon, Instant]] = {}
    for entry in entries.values():
        author, issued_at = entry.statement.author, entry.statement.issued_at
        match entry.statement.body:
            case Presence() as presence:
                members[author] = Member(author, presence, issued_at)
            case Beacon() as beacon:
                beacons[author] = (beacon, issued_at)
    return Roster(digest.hexdigest(), entries, members, beacons, {})
