"""Custody: a packet is held by at least one node until it is delivered or given up with a code.

Custody is in memory today: a packet in custody of one node alone goes down with it. What is
promised is that nothing else loses it: not a link, not a refusal, not a neighbour's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.forwarding.forwarder import Key
from meshd.seam import Effect, Event, Note, PayloadLost
from protocols import LinkMessage
from protocols.forward import Packet
from protocols.record import Verifier
from protocols.types import Instant, PacketId
from sim.host import Host
from sim.laws.law import Law, require

LONG_NS = 5_000_000_000


class Custody(Law):
    """Counts the custodians of every packet by what changes at the node that was touched."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._held: dict[int, dict[Key, Instant]] = {}
        self._custodians: Counter[PacketId] = Counter()
        self._settled: set[PacketId] = set()

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
        held, before = host.node.forwarder._held, self._held.setdefault(host.index, {})
        if held.keys() == before.keys():
            return
        for key in [key for key in held if key not in before]:
            before[key] = told
            self._custodians[key[0]] += 1
        gone = [key for key in before if key not in held]
        for key in gone:
            self.saw["a packet was held for more than 5 s"] += told - before[key] > LONG_NS
            del before[key]
            self._custodians[key[0]] -= 1
            kept = self._custodians[key[0]] > 0 or key[0] in self._settled
            require(kept, "custody is held until the end", host.name, key, event)

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

    def killed(self, host: Host) -> None:
        for packet, _ in self._held.pop(host.index, {}):
            # The node before it may hold it still, and let go when an Accepted arrives that was
            # under way: so it may be lost, however many hold it now.
            self._custodians[packet] -= 1
            self._settled.add(packet)
            self.saw["a packet went down with the node that held it"] += (
                self._custodians[packet] <= 0
            )
