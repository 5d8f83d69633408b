"""Records: an author's sequence rises as every node sees it, and nothing unsigned is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import protocols
from meshd.gossip.gossip import SEQUENCE_ROW
from meshd.router.roster import entry_of
from meshd.seam import Effect, Event, SendFrame
from protocols import LinkMessage
from protocols import gossip as wire
from protocols.record import DOMAIN, Verifier
from protocols.types import Instant, NodeId
from sim.host import Host
from sim.laws.law import Law, require
from sim.laws.packets import sniff


class Records(Law):
    """Looks at what a frame of records has changed in the table of its receiver."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._proved: set[int] = set()
        self._seen: dict[tuple[int, int, int], int] = {}
        self._forgiven: set[NodeId] = set()
        """Authors that were rolled back, and so use numbers again."""
        self._said: dict[tuple[NodeId, int], bytes] = {}
        """What was sent by its own author, under each number."""

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        if "sequence" in host.excused:
            self._forgiven.add(host.id)
        if isinstance(heard, wire.Records):
            self._received(host, heard, told)

    def effect(self, host: Host, effect: Effect) -> None:
        if not isinstance(effect, SendFrame) or sniff(effect.frame) != b"\xa7records":
            return
        message = protocols.LINK.decode(effect.frame)
        assert isinstance(message, wire.Records)
        promised = int(host.rows.get(SEQUENCE_ROW, b"0"))
        for record in message.records:
            said = entry_of(record).statement
            if said.author != host.id or "sequence" in host.excused:
                continue
            number = said.sequence
            reserved = number <= promised
            require(reserved, "a number is reserved on disk before it is used", host.name, number)
            same = self._said.setdefault((host.id, number), record.statement) == record.statement
            require(same, "no sequence number is used twice", host.name, number)

    def _received(self, host: Host, message: wire.Records, told: Instant) -> None:
        assert host.node is not None
        table = host.node.gossip._table
        for record in message.records:
            said = entry_of(record)
            statement, entry = said.statement, table.get(said.tag)
            self.saw["a node heard its own voice from a life before"] += (
                statement.author == host.id and entry is not None
                and entry.statement.sequence > statement.sequence
            )  # fmt: skip
            if entry is None:
                continue
            sequence, place = entry.statement.sequence, (host.index, host.life, said.tag)
            last = self._seen.get(place, 0)
            risen = sequence >= last or statement.author in self._forgiven
            require(risen, "a table's sequence never falls", host.name, said.key, sequence)
            self._seen[place] = sequence
            if sequence != last:
                proof = entry.record
                genuine = self.genuine(
                    entry.statement.author, DOMAIN + proof.statement, proof.signature
                )
                require(genuine, "nothing is believed that is not signed", host.name, said.key)
                ahead = entry.statement.issued_at > told + 61_000_000_000
                require(not ahead, "nothing is believed that comes from the future", said.key)
