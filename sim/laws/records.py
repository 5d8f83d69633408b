"""Records: an author's sequence rises as every node sees it, and nothing unsigned is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.gossip.gossip import Key
from meshd.seam import Effect, Event, Started
from protocols import LinkMessage
from protocols import gossip as wire
from protocols.record import DOMAIN, KINDS, read
from protocols.types import Instant, NodeId
from sim.chance import make_verifier
from sim.host import Host
from sim.laws.law import Law, require


class Records(Law):
    """Looks at what a frame of records has changed in the table of its receiver."""

    def __init__(self, saw: Counter[str]) -> None:
        super().__init__(saw)
        self._genuine = make_verifier()
        self._proved: set[int] = set()
        self._seen: dict[tuple[int, int, Key], int] = {}
        self._own: dict[NodeId, int] = {}

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        assert host.node is not None
        mine = host.node.gossip._sequence
        before = self._own.get(host.id, 0)
        if isinstance(event, Started) and "sequence" not in host.excused:
            require(mine > before, "no sequence number is used twice", host.name, mine, before)
        if not isinstance(event, Started):
            require(mine >= before, "an author's sequence rises", host.name, mine, before)
        self._own[host.id] = mine
        if isinstance(heard, wire.Records):
            self._received(host, heard, told)

    def _received(self, host: Host, message: wire.Records, told: Instant) -> None:
        assert host.node is not None
        table = host.node.gossip._table
        for record in message.records:
            statement = read(record)
            key = (statement.author, KINDS[type(statement.body)])
            entry = table.get(key)
            self.saw["a node heard its own voice from a life before"] += (
                statement.author == host.id and entry is not None
                and entry.statement.sequence > statement.sequence
            )  # fmt: skip
            if entry is None:
                continue
            sequence, place = entry.statement.sequence, (host.index, host.life, key)
            last = self._seen.get(place, 0)
            require(sequence >= last, "a table's sequence never falls", host.name, key, sequence)
            self._seen[place] = sequence
            if sequence != last or entry.record is record:
                proof = entry.record
                genuine = self._genuine(
                    entry.statement.author, DOMAIN + proof.statement, proof.signature
                )
                require(genuine, "nothing is believed that is not signed", host.name, key)
                ahead = entry.statement.issued_at > told + 61_000_000_000
                require(not ahead, "nothing is believed that comes from the future", key)
