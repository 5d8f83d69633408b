"""Gossip: the newest signed statement of every author, spread over the links there are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec.structs import replace

import protocols
from meshd.gossip.kept import Kept
from meshd.gossip.level import Level
from meshd.gossip.peer import ADDED_NS, CLOSED_NS, RELAY_NS, Peer
from meshd.gossip.reach import News, Reach
from meshd.gossip.table import Table
from meshd.gossip.unproven import Unproven, Waiting
from meshd.gossip.wants import Wants
from meshd.router.roster import Entry, Roster, entry_of
from meshd.seam import (
    Barred,
    CloseLink,
    Effect,
    ElementsHeard,
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
from meshd.trust.trust import Trust
from protocols import LinkMessage
from protocols.bounds import HOPS_EVERYWHERE
from protocols.errors import ProtocolError
from protocols.gossip import Ask, Digest, Have, Held, Listing, Records
from protocols.record import (
    KINDS,
    Beacon,
    Body,
    LinkState,
    Orbit,
    Presence,
    Record,
    Signer,
    Statement,
    Verifier,
    kind_of,
    sign,
    verify,
)
from protocols.tag import tag_of
from protocols.types import SECOND, Duration, Instant, NodeId

ANTI_ENTROPY_NS = 10 * SECOND
FUTURE_MAX_NS = 60 * SECOND
TABLE_MAX = 65_536
BEACON_HOPS = 8
"""Beacons are for those who may send work: within so many hops some 144 nodes of a grid."""
WAITS_NS = {News.CLOSED: CLOSED_NS, News.OPENED: RELAY_NS, News.ADDED: ADDED_NS}

SEQUENCE_BLOCK = 1_000
SEQUENCE_ROW = "sequence"


class Gossip:
    """Signs our statements, verifies others', and keeps every neighbour level with us.

    What is ours is given to every neighbour; what is others' is announced, and given to who asks.
    """

    def __init__(
        self, me: NodeId, rng: Random, signer: Signer, verifier: Verifier, trust: Trust
    ) -> None:
        self._me = me
        self._rng = rng
        self._signer = signer
        self._verifier = verifier
        self._trust = trust
        self._unproven = Unproven()
        self._kept = Kept()
        self._rows: list[Effect] = []
        """To be written behind all that this event leads to: nothing waits for these rows."""
        self._table = Table()
        self._peers: dict[NodeId, Peer] = {}
        self._wants = Wants()
        self._level = Level(me, self._table, self._wants)
        self._reach = Reach()
        self._sequence = self._reserved = 0
        self._level_at: Instant | None = None

    def view(self) -> tuple[Statement, ...]:
        return tuple(entry.statement for entry in self._table.all())

    def presence(self, author: NodeId) -> tuple[Record, ...]:
        """An author's presence, as signed, if we hold it: a roster entry for others."""
        entry = self._table.get(tag_of(author, KINDS[Presence]))
        return () if entry is None else (entry.record,)

    def sequence(self, tag: int) -> int:
        """That of the statement held under a tag; 0 for none."""
        return self._table.sequence(tag)

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        effects = self._handle(event, now)
        if not self._rows:
            return effects
        rows, self._rows = self._rows, []
        return [*effects, *rows]

    def _handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started(rows=rows):
                self._sequence = max((int(v) for k, v in rows if k == SEQUENCE_ROW), default=0)
                self._level_at = now + self._rng.randrange(ANTI_ENTROPY_NS)
                records, useless = self._kept.restore(rows, now)
                self._rows += useless
                return [*self._reserve(), *self._receive(self._me, records, now)]
            case Publish():
                return self._publish(event, now)
            case LinkReady():
                return self._meet(event, now)
            case LinkLost(node=node):
                self._peers.pop(node, None)
                self._wants.part(node)
                self._level.part(node)
                return self._ask(now)
            case MessageReceived(node=node, message=Records(records=records, hops=hops)):
                return [*self._receive(node, records, now, hops), *self._ask(now)]
            case MessageReceived(node=node, message=message):
                peer = self._peers.get(node)
                return self._hear(node, peer, message, now) if peer else []
            case RecordsLoaded(records=records):
                return self._receive(self._me, records, now)
            case RosterLoaded(roster=roster):
                return self._load(roster, now)
            case Barred(node=node):
                return self._bar(node)
            case _:
                assert isinstance(event, Woke)
                return self._wake(now)

    def _hear(self, node: NodeId, peer: Peer, message: LinkMessage, now: Instant) -> list[Effect]:
        match message:
            case Have(held=held):
                return self._heard_of(node, peer, held, now)
            case Ask(tags=tags):
                return self._asked(peer, tags, now)
            case Digest():
                return self._level.answer(node, peer, message, now)
            case Listing(held=held):
                for tag in self._level.lacking(message):
                    peer.queue(tag, now)
                effects = peer.flush(self._table, now) if peer.tell else []
                return [*effects, *self._heard_of(node, peer, held, now)]
            case _:
                return []

    def next_deadline(self) -> Instant | None:
        times = [peer.due_at for peer in self._peers.values()]
        times += [self._level_at, self._wants.next_deadline(), self._level.next_deadline()]
        return min((at for at in times if at is not None), default=None)

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for node in sorted(self._peers):
            effects += self._peers[node].due(self._table, now)
        if self._level_at is not None and self._level_at <= now:
            self._level_at = now + ANTI_ENTROPY_NS
            self._forget(now)
            effects += self._renew(now)
            idle = [node for node, peer in sorted(self._peers.items()) if not peer.busy]
            if idle:
                effects += self._level.digest(self._peers[self._rng.choice(idle)])
        return [*effects, *self._ask(now)]

    def _forget(self, now: Instant) -> None:
        for entry in self._table.forget_expired(now):
            if isinstance(entry.statement.body, LinkState):
                self._reach.change(entry.statement.author, None)
            self._rows += self._kept.forget(entry)

    # --- our own statements ---------------------------------------------------------------------

    def _reserve(self) -> list[Effect]:
        """Numbers are promised on disk well before they are used: none is ever used twice."""
        if self._sequence + SEQUENCE_BLOCK // 2 < self._reserved:
            return []
        self._reserved = self._sequence + SEQUENCE_BLOCK
        return [Persist(SEQUENCE_ROW, str(self._reserved).encode())]

    def _publish(self, event: Publish, now: Instant) -> list[Effect]:
        tag = tag_of(self._me, kind_of(event.body))
        roster = self._table.roster
        silent = self._table.get(tag) is roster.entries.get(tag)
        if (
            silent
            and not event.anew
            and (roster.holds(self._me, event.body) or self._foretold(event.body))
        ):
            return [Learnt(self._me, event.body, now)]  # everyone knows
        return self._say(event.body, event.ttl_ns, now)

    def _say(self, body: Body, ttl_ns: Duration, now: Instant) -> list[Effect]:
        self._sequence += 1
        statement = Statement(self._me, self._sequence, now, ttl_ns, body)
        hops = BEACON_HOPS if isinstance(body, Beacon) else HOPS_EVERYWHERE
        entry = entry_of(sign(statement, self._signer))
        self._store(replace(entry, hops=hops), now)
        self._rows += self._kept.keep(entry, neighbour=False)
        return [*self._reserve(), _news(statement)]

    def _foretold(self, body: Body) -> bool:
        """Whether our presence says that this is our load unless we say otherwise."""
        mine = self._table.get(tag_of(self._me, KINDS[Presence]))
        said = mine.statement.body if mine else None
        return isinstance(said, Presence) and said.idle == body

    def _renew(self, now: Instant) -> list[Effect]:
        """What is still true is said again at half its life: no one forgets who stays silent.

        What the roster says is not forgotten, nor what we have foretold.
        """
        old = [e for e in self._mine() if e.statement.issued_at + e.statement.ttl_ns // 2 <= now]
        return [
            effect
            for entry in old
            if not self._table.roster.holds(self._me, entry.statement.body)
            and not self._foretold(entry.statement.body)
            for effect in self._again(entry, now)
        ]

    def _mine(self) -> list[Entry]:
        found = [self._table.get(tag_of(self._me, kind)) for kind in sorted(KINDS.values())]
        return [entry for entry in found if entry]

    def _load(self, roster: Roster, now: Instant) -> list[Effect]:
        """What it says need not be said; what we say otherwise is said again, above its number."""
        self._table.load(roster, self._me)
        for peer in self._peers.values():
            peer.roster = None
        entries = [roster.entries.get(tag_of(self._me, kind)) for kind in KINDS.values()]
        listed = {entry.tag: entry.statement.sequence for entry in entries if entry}
        self._sequence = max(self._sequence, *listed.values(), 0)
        effects = self._reserve()
        for entry in self._mine():
            if not roster.holds(self._me, entry.statement.body) and (
                entry.statement.sequence <= listed.get(entry.tag, 0)
            ):
                effects += self._again(entry, now)
        return effects

    # --- others' statements ---------------------------------------------------------------------

    def _receive(
        self,
        node: NodeId,
        records: tuple[Record, ...],
        now: Instant,
        hops: int = HOPS_EVERYWHERE,
    ) -> list[Effect]:
        effects: list[Effect] = []
        try:
            for record in records:
                effects += self._accept(node, entry_of(record), now, hops)
        except ProtocolError as error:
            effects.append(Note(error.code, {"node": node, "message": error.message}))
            peer = self._peers.get(node)
            if peer is not None:
                effects.append(CloseLink(peer.link, error.code))
        return effects

    def _accept(self, node: NodeId, entry: Entry, now: Instant, hops: int) -> list[Effect]:
        record, statement, known = entry.record, entry.statement, self._table.get(entry.tag)
        news = known is None or statement.sequence > known.statement.sequence
        if news:  # before anything is believed of it: also that what was wanted has come
            verify(record, statement, self._verifier)
        holders = self._wants.came(entry.tag, statement.sequence, node, now)
        if known is not None and not news:
            if statement.sequence == known.statement.sequence and node in self._peers:
                self._peers[node].has(entry.tag)
            return []
        if statement.author == self._me and not isinstance(statement.body, Orbit):
            # Our own voice from a life before: number on from there, and say what is so now. Where
            # we have said nothing yet, whoever knows what is so hears what was.
            self._sequence = max(self._sequence, statement.sequence)
            was = Learnt(self._me, statement.body, statement.issued_at)
            return self._reserve() + (self._again(known, now) if known else [was])
        if statement.issued_at > now + FUTURE_MAX_NS:
            return [Note("record-from-future", {"author": statement.author, "via": node})]
        if statement.issued_at + statement.ttl_ns <= now:
            return []
        if known is None and len(self._table) >= TABLE_MAX:
            return [Note("gossip-table-full", {"author": statement.author, "max": TABLE_MAX})]
        code = self._trust.refusal(statement, now)
        if code:
            return self._unproven.refuse(code, Waiting(node, entry, hops), now)
        if isinstance(statement.body, Beacon):
            entry = replace(entry, hops=min(hops, BEACON_HOPS - 1))
        self._store(entry, now, holders)
        return self._believed(entry, now)

    def _believed(self, entry: Entry, now: Instant) -> list[Effect]:
        """What follows when a statement is held: who hears of it, what is kept of it on disk."""
        author, body = entry.statement.author, entry.statement.body
        effects: list[Effect] = [_news(entry.statement)]
        if isinstance(body, Presence):
            for via, waiting, hops in self._unproven.of(author):
                effects += self._accept(via, waiting, now, hops)
        self._rows += self._kept.keep(entry, neighbour=author in self._peers)
        return effects

    def _bar(self, node: NodeId) -> list[Effect]:
        """Nothing that a node said is held any longer."""
        self._reach.change(node, None)
        for entry in self._table.forget_author(node):
            self._rows += self._kept.forget(entry)
        return []

    def _again(self, known: Entry, now: Instant) -> list[Effect]:
        return self._say(known.statement.body, known.statement.ttl_ns, now)

    def _store(self, entry: Entry, now: Instant, holders: Sequence[NodeId] = ()) -> None:
        """Keep it, and tell or give it to all neighbours but those known to hold it."""
        author, body, wait_ns = entry.statement.author, entry.statement.body, RELAY_NS
        if isinstance(body, LinkState):
            wait_ns = WAITS_NS[self._reach.change(author, body)]
        elif isinstance(body, protocols.record.Doubts):
            wait_ns = CLOSED_NS
        self._table.put(entry)
        give = author == self._me or isinstance(body, Beacon)
        for node, peer in self._peers.items() if entry.hops else ():
            if node in holders:
                peer.has(entry.tag)
            else:
                peer.queue(entry.tag, now, give=give, wait_ns=wait_ns)

    # --- what neighbours have -------------------------------------------------------------------

    def _meet(self, ready: LinkReady, now: Instant) -> list[Effect]:
        node = ready.node
        peer = self._peers[node] = Peer(ready.link, ready.delay_ns)
        self._wants.part(node)
        self._wants.meet(node, ready.delay_ns)
        self._level.part(node)
        self._forget(now)
        said = self._table.get(tag_of(node, KINDS[Presence]))
        self._rows += self._kept.keep(said, neighbour=True)
        near = [entry for entry in self._table.beacons() if entry.hops]
        for entry in (*self._mine(), *near):
            if entry is not self._table.roster.entries.get(entry.tag):
                peer.give[entry.tag] = None
        effects = peer.flush(self._table, now)
        return [*effects, *self._level.open(node, peer), *self._ask(now)]

    def _heard_of(
        self, node: NodeId, peer: Peer, held: tuple[Held, ...], now: Instant
    ) -> list[Effect]:
        """Ask for what we lack, unless another neighbour has been asked already."""
        full = len(self._table) >= TABLE_MAX
        for item in held:
            known = self._table.get(item.tag)
            if known is None:
                lacks = not full
            else:
                lacks = known.statement.sequence < item.sequence
                if known.statement.sequence == item.sequence:
                    peer.has(item.tag)
            if lacks and not self._unproven.has(item.tag, item.sequence, now):
                self._wants.heard(item.tag, item.sequence, node)
        return self._ask(now)

    def _ask(self, now: Instant) -> list[Effect]:
        asked = [
            SendFrame(self._peers[node].link, protocols.LINK.encode(Ask(tuple(tags))))
            for node, tags in self._wants.ask(now).items()
        ]
        return [*asked, *self._level.go_on(now)]

    def _asked(self, peer: Peer, tags: tuple[int, ...], now: Instant) -> list[Effect]:
        for tag in tags:
            if self._table.get(tag) is not None:
                peer.queue(tag, now, give=True)
        return peer.flush(self._table, now)


def _news(statement: Statement) -> Effect:
    """What is made of a statement that is believed: elements are for who makes the plans."""
    body = statement.body
    if isinstance(body, Orbit):
        return ElementsHeard(body)
    return Learnt(statement.author, body, statement.issued_at)
