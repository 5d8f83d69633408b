"""Custody: a packet is held by at least one node until it is delivered or given up with a code.

What is in custody of one node alone, in memory, goes down with it. Nothing else loses a packet: not
a link, not a refusal, not a neighbour's word. And a durable one that a relay has accepted is on its
disk, and there when it starts again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import protocols
from meshd.forwarding.custody import Key, kept, kept_in
from meshd.seam import Effect, Event, Note, PayloadLost, SendFrame, Started
from protocols import LinkMessage
from protocols.forward import Accepted, Packet
from protocols.record import Verifier
from protocols.types import Instant, PacketId
from sim.host import Host
from sim.laws.law import Law, require
from sim.laws.packets import sniff

LONG_NS = 5_000_000_000


class Custody(Law):
    """Counts the custodians of every packet by what changes at the node that was touched."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._held: dict[int, dict[Key, Instant]] = {}
        self._custodians: Counter[PacketId] = Counter()
        self._settled: set[PacketId] = set()
        self._durable: set[PacketId] = set()

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        assert host.node is not None
        if isinstance(heard, Packet):
            self._received(host, heard)
        for effect in effects:
            self._given_up(effect)
        held, before = host.node.forwarder._hold.packets, self._held.setdefault(host.index, {})
        if held.keys() == before.keys():
            return
        for key in [key for key in held if key not in before]:
            before[key] = told
            self._custodians[key[0]] += 1
            if held[key].packet.durable:
                self._durable.add(key[0])
        gone = [key for key in before if key not in held]
        if isinstance(event, Started) and "custody" in host.excused:
            self._settled.update(packet for packet, _ in gone)
        for key in gone:
            self.saw["a packet was held for more than 5 s"] += told - before[key] > LONG_NS
            del before[key]
            self._custodians[key[0]] -= 1
            safe = self._custodians[key[0]] > 0 or key[0] in self._settled
            require(safe, "custody is held until the end", host.name, key, event)

    def _received(self, host: Host, packet: Packet) -> None:
        """Here it has arrived, if this is its destination."""
        assert host.node is not None
        if packet.destination == host.id and packet.id in host.node.forwarder._delivered:
            self._settled.add(packet.id)

    def _given_up(self, effect: Effect) -> None:
        match effect:
            case PayloadLost(packet=packet):
                self._settled.add(packet)
            case Note(code="packet-dropped", fields=fields):
                self._settled.add(PacketId(str(fields["packet"])))

    def swallowed(self, packet: PacketId) -> None:
        self._settled.add(packet)

    def effect(self, host: Host, effect: Effect) -> None:
        """An acknowledgement leaves: what it promises is on disk."""
        if not isinstance(effect, SendFrame) or sniff(effect.frame) != b"\xa8accepted":
            return
        said = protocols.LINK.decode(effect.frame)
        assert isinstance(said, Accepted) and host.node is not None
        custody = host.node.forwarder._hold.packets.get((said.packet, said.hop + 1))
        if custody is not None and custody.packet.durable:
            row = kept(custody.packet).key in host.rows
            require(row, "a durable packet is on disk before it is accepted", host.name, said)

    def killed(self, host: Host) -> None:
        """What was in memory alone is gone; what is on disk will be there again."""
        on_disk = {(packet.id, len(packet.hops)) for packet in kept_in(host.rows.items())}
        for key in list(self._held.get(host.index, {})):
            if key in on_disk:
                self.saw["a durable packet outlived a crash of the node that held it"] += 1
            else:
                self._lost(host, key)

    def _lost(self, host: Host, key: Key) -> None:
        packet, hops = key
        del self._held[host.index][key]
        self._custodians[packet] -= 1
        if packet in self._durable and hops > 1:
            return  # not accepted yet: the node before it holds it
        # That may hold it still, and let go when an Accepted arrives that was under way: so the
        # packet may be lost, however many hold it now.
        self._settled.add(packet)
        self.saw["a packet went down with the node that held it"] += self._custodians[packet] <= 0
