"""Gossip: the newest signed statement of every author, spread over the links there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import protocols
from meshd.gossip.table import OPEN, Table
from meshd.router.roster import Entry, Key, Roster, key_of
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
    RosterLoaded,
    SendFrame,
    Started,
    Woke,
)
from protocols.bounds import DIGEST_ENTRIES_MAX, RECORDS_MAX
from protocols.errors import ProtocolError
from protocols.gossip import Digest, Held, Records
from protocols.record import (
    KINDS,
    Body,
    Presence,
    Record,
    Signer,
    Statement,
    Verifier,
    read,
    sign,
    verify,
)
from protocols.types import MILLISECOND, SECOND, Duration, Instant, LinkId, NodeId

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


@dataclass(slots=True)
class Peer:
    """What one neighbour is known to hold, and what waits to be sent to it."""

    link: LinkId
    knows: dict[Key, int] = field(default_factory=dict)
    pending: dict[Key, None] = field(default_factory=dict)
    flush_at: Instant | None = None
    roster: str | None = None
    """The digest of the roster it leaves out of its digests; None until it has sent one."""

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
        self._table = Table()
        self._peers: dict[NodeId, Peer] = {}
        self._sequence = 0
        self._reserved = 0
        self._level_at: Instant | None = None

    def view(self) -> tuple[Statement, ...]:
        return tuple(entry.statement for entry in self._table.all())

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
            case RosterLoaded(roster=roster):
                return self._load(roster, now)
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
            self._table.forget_expired(now)
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
        key = (self._me, KINDS[type(event.body)])
        roster = self._table.roster
        if self._table.get(key) is roster.entries.get(key) and roster.holds(self._me, event.body):
            return [Learnt(self._me, event.body, now)]  # everyone knows
        return self._say(event.body, event.ttl_ns, now)

    def _say(self, body: Body, ttl_ns: Duration, now: Instant) -> list[Effect]:
        self._sequence += 1
        statement = Statement(self._me, self._sequence, now, ttl_ns, body)
        self._store(statement, sign(statement, self._signer), now)
        return [*self._reserve(), Learnt(self._me, body, now)]

    def _renew(self, now: Instant) -> list[Effect]:
        """What is still true is said again at half its life: no one forgets who stays silent.

        What the roster says is not forgotten.
        """
        old = [e for e in self._mine() if e.statement.issued_at + e.statement.ttl_ns // 2 <= now]
        return [
            effect
            for entry in old
            if not self._table.roster.holds(self._me, entry.statement.body)
            for effect in self._again(entry, now)
        ]

    def _mine(self) -> list[Entry]:
        found = [self._table.get((self._me, kind)) for kind in sorted(KINDS.values())]
        return [entry for entry in found if entry]

    def _load(self, roster: Roster, now: Instant) -> list[Effect]:
        """What it says need not be said; what we say otherwise is said again, above its number."""
        self._table.load(roster, self._me)
        for peer in self._peers.values():
            peer.roster = None
        entries = [roster.entries.get((self._me, kind)) for kind in KINDS.values()]
        listed = {key_of(e.statement): e.statement.sequence for e in entries if e}
        self._sequence = max(self._sequence, *listed.values(), 0)
        effects = self._reserve()
        for entry in self._mine():
            if not roster.holds(self._me, entry.statement.body) and (
                entry.statement.sequence <= listed.get(key_of(entry.statement), 0)
            ):
                effects += self._again(entry, now)
        return effects

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
        key = key_of(statement)
        peer = self._peers.get(node)
        if peer is not None:
            peer.told(key, max(statement.sequence, peer.knows.get(key, 0)))
        known = self._table.get(key)
        if known is not None and statement.sequence <= known.statement.sequence:
            return []
        if statement.author == self._me:
            # Our own voice from a life before: number on from there, and say what is so now. Where
            # we have said nothing yet, whoever knows what is so hears what was.
            verify(record, statement, self._verifier)
            self._sequence = max(self._sequence, statement.sequence)
            was = Learnt(self._me, statement.body, statement.issued_at)
            return self._reserve() + (self._again(known, now) if known else [was])
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
        return self._say(known.statement.body, known.statement.ttl_ns, now)

    def _store(self, statement: Statement, record: Record, now: Instant) -> None:
        key = key_of(statement)
        self._table.put(key, Entry(statement, record))
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
        What the roster says is left out for a neighbour that has the same, or has not said.
        """
        roster = (
            self._table.roster.digest if peer.roster in (None, self._table.roster.digest) else ""
        )
        entries = self._table.held(low, high, now, whole=not roster)
        held = [Held(*key, entry.statement.sequence) for key, entry in entries]
        step = DIGEST_ENTRIES_MAX - 1
        cuts = [held[i : i + step + 1] for i in range(0, max(1, len(held) - 1), step)]
        effects: list[Effect] = []
        for number, cut in enumerate(cuts):
            start = low if number == 0 else (cut[0].author, cut[0].kind)
            end = high
            if number < len(cuts) - 1:
                end = (cuts[number + 1][0].author, cuts[number + 1][0].kind)
            digest = Digest(start, end, tuple(cut), answer, roster)
            effects.append(SendFrame(peer.link, protocols.LINK.encode(digest)))
        return effects

    def _level(self, node: NodeId, digest: Digest, now: Instant) -> list[Effect]:
        peer = self._peers.get(node)
        if peer is None:
            return []
        peer.roster = digest.roster
        theirs: dict[Key, int] = {(h.author, h.kind): h.sequence for h in digest.held}
        for key, sequence in theirs.items():
            peer.told(key, sequence)
        strange = digest.roster not in ("", self._table.roster.digest)
        for key, entry in self._table.held(digest.low, digest.high, now, whole=not digest.roster):
            sequence = theirs.get(key, 0)
            if sequence < entry.statement.sequence and (key in theirs or not strange):
                peer.knows.pop(key, None)
                self._queue(peer, key, now)
        lacking = strange or self._lacks(theirs)
        effects = self._flush(peer, now) if peer.pending else []
        if lacking and not digest.answer:
            # One that leaves out another roster shows but a part: ours asks for the whole.
            effects += self._digests(peer, now, digest.low, digest.high, answer=not strange)
        return effects

    def _lacks(self, theirs: dict[Key, int]) -> bool:
        for key, sequence in theirs.items():
            known = self._table.get(key)
            if known is None or known.statement.sequence < sequence:
                return True
        return False
