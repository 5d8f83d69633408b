"""Gossip: the newest signed statement of every author, spread over the links there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import protocols
from meshd.seam import (
    CloseLink,
    Effect,
    Event,
    Learnt,
    LinkLost,
    LinkReady,
    MessageReceived,
    Note,
    Persist,
    Publish,
    RecordsLoaded,
    SendFrame,
    Started,
    Woke,
)
from protocols.bounds import DIGEST_ENTRIES_MAX, RECORDS_MAX
from protocols.errors import ProtocolError
from protocols.gossip import Digest, Held, Records
from protocols.record import (
    KINDS,
    Presence,
    Record,
    Signer,
    Statement,
    Verifier,
    read,
    sign,
    verify,
)
from protocols.types import MILLISECOND, SECOND, Instant, LinkId, NodeId

FLUSH_NS = 100 * MILLISECOND
"""News waits this long for company: one frame then carries many records."""

ANTI_ENTROPY_NS = 10 * SECOND
FUTURE_MAX_NS = 60 * SECOND
TABLE_MAX = 65_536
KNOWN_MAX = 2 * TABLE_MAX
"""What one neighbour is remembered to hold; it may hold what we have no room for."""

FRAME_RECORDS_BYTES_MAX = 131_072
SEQUENCE_BLOCK = 1_000
SEQUENCE_ROW = "sequence"

OPEN = ("", "")

Key = tuple[NodeId, str]
"""(author, kind of statement)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest statement of an author and kind, and the record that proves it."""

    statement: Statement
    record: Record

    def expired(self, now: Instant) -> bool:
        return self.statement.issued_at + self.statement.ttl_ns <= now


@dataclass(slots=True)
class Peer:
    """What one neighbour is known to hold, and what waits to be sent to it."""

    link: LinkId
    knows: dict[Key, int] = field(default_factory=dict)
    pending: dict[Key, None] = field(default_factory=dict)
    flush_at: Instant | None = None

    def told(self, key: Key, sequence: int) -> None:
        """It says it holds this. Forgetting that costs a record sent in vain, no more."""
        if key in self.knows or len(self.knows) < KNOWN_MAX:
            self.knows[key] = sequence


class Gossip:
    """Signs our statements, verifies others', and keeps every neighbour level with us."""

    def __init__(self, me: NodeId, rng: Random, signer: Signer, verifier: Verifier) -> None:
        self._me = me
        self._rng = rng
        self._signer = signer
        self._verifier = verifier
        self._table: dict[Key, Entry] = {}
        self._peers: dict[NodeId, Peer] = {}
        self._sequence = 0
        self._reserved = 0
        self._level_at: Instant | None = None

    def view(self) -> tuple[Statement, ...]:
        return tuple(self._table[key].statement for key in sorted(self._table))

    def presence(self, author: NodeId) -> tuple[Record, ...]:
        """An author's presence, as signed, if we hold it: a roster entry for others."""
        entry = self._table.get((author, KINDS[Presence]))
        return () if entry is None else (entry.record,)

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started(rows=rows):
                self._sequence = max((int(v) for k, v in rows if k == SEQUENCE_ROW), default=0)
                self._level_at = now + self._rng.randrange(ANTI_ENTROPY_NS)
                return self._reserve()
            case Publish():
                return self._publish(event, now)
            case LinkReady(link=link, node=node):
                self._peers[node] = Peer(link)
                return self._digests(self._peers[node], now, OPEN, OPEN, answer=False)
            case LinkLost(node=node):
                self._peers.pop(node, None)
            case MessageReceived(node=node, message=Records() as message):
                return self._receive(node, message.records, now)
            case RecordsLoaded(records=records):
                return self._receive(self._me, records, now)
            case MessageReceived(node=node, message=Digest() as digest):
                return self._level(node, digest, now)
            case _:
                assert isinstance(event, Woke | MessageReceived)
                return self._wake(now)
        return []

    def next_deadline(self) -> Instant | None:
        times = [peer.flush_at for peer in self._peers.values() if peer.flush_at is not None]
        if self._level_at is not None:
            times.append(self._level_at)
        return min(times, default=None)

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for node in sorted(self._peers):
            peer = self._peers[node]
            if peer.flush_at is not None and peer.flush_at <= now:
                effects += self._flush(peer, now)
        if self._level_at is not None and self._level_at <= now:
            self._level_at = now + ANTI_ENTROPY_NS
            for key in [key for key, entry in self._table.items() if entry.expired(now)]:
                del self._table[key]
            effects += self._renew(now)
            if self._peers:
                peer = self._peers[self._rng.choice(sorted(self._peers))]
                effects += self._digests(peer, now, OPEN, OPEN, answer=False)
        return effects

    # --- our own statements ---------------------------------------------------------------------

    def _reserve(self) -> list[Effect]:
        """Numbers are promised on disk well before they are used: none is ever used twice."""
        if self._sequence + SEQUENCE_BLOCK // 2 < self._reserved:
            return []
        self._reserved = self._sequence + SEQUENCE_BLOCK
        return [Persist(SEQUENCE_ROW, str(self._reserved).encode())]

    def _publish(self, event: Publish, now: Instant) -> list[Effect]:
        self._sequence += 1
        statement = Statement(self._me, self._sequence, now, event.ttl_ns, event.body)
        self._store(statement, sign(statement, self._signer), now)
        return [*self._reserve(), Learnt(self._me, event.body, now)]

    def _renew(self, now: Instant) -> list[Effect]:
        """What is still true is said again at half its life: no one forgets who stays silent."""
        mine = [self._table.get((self._me, kind)) for kind in sorted(KINDS.values())]
        old = [e for e in mine if e and e.statement.issued_at + e.statement.ttl_ns // 2 <= now]
        return [effect for entry in old for effect in self._again(entry, now)]

    # --- others' statements ---------------------------------------------------------------------

    def _receive(self, node: NodeId, records: tuple[Record, ...], now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        try:
            for record in records:
                effects += self._accept(node, record, now)
        except ProtocolError as error:
            effects.append(Note(error.code, {"node": node, "message": error.message}))
            peer = self._peers.get(node)
            if peer is not None:
                effects.append(CloseLink(peer.link, error.code))
        return effects

    def _accept(self, node: NodeId, record: Record, now: Instant) -> list[Effect]:
        statement = read(record)
        key = (statement.author, KINDS[type(statement.body)])
        peer = self._peers.get(node)
        if peer is not None:
            peer.told(key, max(statement.sequence, peer.knows.get(key, 0)))
        known = self._table.get(key)
        if known is not None and statement.sequence <= known.statement.sequence:
            return []
        if statement.author == self._me:
            # Our own voice from before the store was lost: number on from there.
            verify(record, statement, self._verifier)
            self._sequence = max(self._sequence, statement.sequence)
            return self._reserve() + (self._again(known, now) if known else [])
        if statement.issued_at > now + FUTURE_MAX_NS:
            return [Note("record-from-future", {"author": statement.author, "via": node})]
        if statement.issued_at + statement.ttl_ns <= now:
            return []
        if known is None and len(self._table) >= TABLE_MAX:
            return [Note("gossip-table-full", {"author": statement.author, "max": TABLE_MAX})]
        verify(record, statement, self._verifier)
        self._store(statement, record, now)
        return [Learnt(statement.author, statement.body, statement.issued_at)]

    def _again(self, known: Entry, now: Instant) -> list[Effect]:
        return self._publish(Publish(known.statement.body, known.statement.ttl_ns), now)

    def _store(self, statement: Statement, record: Record, now: Instant) -> None:
        key = (statement.author, KINDS[type(statement.body)])
        self._table[key] = Entry(statement, record)
        for peer in self._peers.values():
            if peer.knows.get(key, 0) < statement.sequence:
                self._queue(peer, key, now)

    # --- keeping neighbours level ---------------------------------------------------------------

    def _queue(self, peer: Peer, key: Key, now: Instant) -> None:
        peer.pending[key] = None
        if peer.flush_at is None:
            peer.flush_at = now + FLUSH_NS

    def _flush(self, peer: Peer, now: Instant) -> list[Effect]:
        """One frame of what waits; the rest goes with the next flush."""
        batch: list[Record] = []
        size = 0
        while peer.pending and len(batch) < RECORDS_MAX and size < FRAME_RECORDS_BYTES_MAX:
            key = next(iter(peer.pending))
            del peer.pending[key]
            entry = self._table.get(key)
            if entry is None or peer.knows.get(key, 0) >= entry.statement.sequence:
                continue
            peer.told(key, entry.statement.sequence)
            batch.append(entry.record)
            size += len(entry.record.statement) + len(entry.record.signature)
        peer.flush_at = now + FLUSH_NS if peer.pending else None
        if not batch:
            return []
        return [SendFrame(peer.link, protocols.LINK.encode(Records(tuple(batch))))]

    def _digests(
        self, peer: Peer, now: Instant, low: tuple[str, str], high: tuple[str, str], *, answer: bool
    ) -> list[Effect]:
        """What we hold between two keys, cut into digests that each fit a frame.

        Each begins with the key that the last one ended with, so that no key falls between two.
        """
        keys = [key for key in self._range(low, high) if not self._table[key].expired(now)]
        step = DIGEST_ENTRIES_MAX - 1
        cuts = [keys[i : i + step + 1] for i in range(0, max(1, len(keys) - 1), step)]
        effects: list[Effect] = []
        for number, cut in enumerate(cuts):
            held = tuple(Held(a, k, self._table[a, k].statement.sequence) for a, k in cut)
            start = low if number == 0 else _pair(cut[0])
            end = high if number == len(cuts) - 1 else _pair(cuts[number + 1][0])
            digest = Digest(start, end, held, answer)
            effects.append(SendFrame(peer.link, protocols.LINK.encode(digest)))
        return effects

    def _level(self, node: NodeId, digest: Digest, now: Instant) -> list[Effect]:
        peer = self._peers.get(node)
        if peer is None:
            return []
        theirs: dict[Key, int] = {(h.author, h.kind): h.sequence for h in digest.held}
        for key, sequence in theirs.items():
            peer.told(key, sequence)
        lacking = False
        for key in self._range(digest.low, digest.high):
            entry = self._table[key]
            if theirs.get(key, 0) < entry.statement.sequence and not entry.expired(now):
                peer.knows.pop(key, None)
                self._queue(peer, key, now)
        for key, sequence in theirs.items():
            known = self._table.get(key)
            lacking = lacking or known is None or known.statement.sequence < sequence
        effects = self._flush(peer, now) if peer.pending else []
        if lacking and not digest.answer:
            effects += self._digests(peer, now, digest.low, digest.high, answer=True)
        return effects

    def _range(self, low: tuple[str, str], high: tuple[str, str]) -> list[Key]:
        return [k for k in sorted(self._table) if k >= low and (high == OPEN or k < high)]


def _pair(key: Key) -> tuple[str, str]:
    return (key[0], key[1])
