"""Roster: what all nodes of a mesh have signed before launch, loaded once and shared by all.

It is to gossip what the contact plan is to links: known beforehand, named by its digest, never
changed. Nodes keep and spread only what differs from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from protocols.bounds import HOPS_EVERYWHERE
from protocols.errors import ProtocolError
from protocols.record import KINDS, Beacon, Presence, Record, Statement, Verifier, read, verify
from protocols.tag import tag_of
from protocols.types import Instant, NodeId

if TYPE_CHECKING:
    from meshd.router.binding import Binding

Key: TypeAlias = tuple[NodeId, str]
"""(author, kind of statement)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest statement of an author and kind, and the record that proves it."""

    statement: Statement
    record: Record
    hops: int = HOPS_EVERYWHERE
    """How much further it goes from here."""

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
    entries: dict[Key, Entry]
    members: dict[NodeId, Member]
    beacons: dict[NodeId, tuple[Beacon, Instant]]
    """With the instant of issue."""
    bindings: dict[str, Binding] = field(repr=False)
    """Members as vertices of a plan, by its digest: worked out once for all (`binding.py`)."""

    def holds(self, author: NodeId, body: object) -> bool:
        """Whether this is what the roster says of an author."""
        entry = self.entries.get((author, KINDS[type(body)]))
        return entry is not None and entry.statement.body == body


NOBODY = Roster("", {}, {}, {}, {})
"""The roster of a node that was given none."""


@lru_cache(16)
def members_by_tag(roster: Roster) -> dict[int, NodeId]:
    """Worked out once for all nodes that have it."""
    return {tag_of(node): node for node in roster.members}


def key_of(statement: Statement) -> Key:
    return statement.author, KINDS[type(statement.body)]


def roster_of(records: Iterable[Record], verifier: Verifier) -> Roster:
    """The roster of these records, in whatever order; its digest is of what they say.

    Raises ProtocolError "bad-record", "bad-signature", or "twice-in-roster".
    """
    found: dict[Key, Entry] = {}
    for record in records:
        statement = read(record)
        verify(record, statement, verifier)
        key = key_of(statement)
        if key in found:
            raise ProtocolError("twice-in-roster", f"two records are the {key[1]} of {key[0]}")
        found[key] = Entry(statement, record)
    entries = {key: found[key] for key in sorted(found)}
    digest = hashlib.sha256()
    for entry in entries.values():
        digest.update(hashlib.sha256(entry.record.statement).digest())
    members: dict[NodeId, Member] = {}
    beacons: dict[NodeId, tuple[Beacon, Instant]] = {}
    for (author, _), entry in entries.items():
        issued_at = entry.statement.issued_at
        match entry.statement.body:
            case Presence() as presence:
                members[author] = Member(author, presence, issued_at)
            case Beacon() as beacon:
                beacons[author] = (beacon, issued_at)
    return Roster(digest.hexdigest(), entries, members, beacons, {})
