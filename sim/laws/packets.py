"""Packets: what a node may put on a link: in time, in a contact, one hop further, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import protocols
from meshd.seam import Effect, Event, PayloadArrived, SendFrame, Started
from protocols import LinkMessage
from protocols.bounds import HOP_LIMIT_MAX
from protocols.forward import Accepted, Packet, Refused
from protocols.gossip import Listing
from protocols.priority import Priority
from protocols.record import Verifier
from protocols.types import Instant, LinkId, NodeId, PacketId
from sim.host import Host
from sim.laws.law import Law, require

SNIFFED = {b"\xa6packet", b"\xa8accepted", b"\xa7refused", b"\xa7listing"}


def sniff(frame: bytes) -> bytes:
    """The tag of a link message as it is on the wire, without decoding the rest."""
    return frame[1 : 2 + (frame[1] & 0x1F)] if len(frame) > 1 else b""


class Packets(Law):
    """Remembers with how many hops behind it each packet came to each node."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._came: dict[tuple[int, PacketId], set[int]] = {}
        self._accepted: set[tuple[int, PacketId, int]] = set()
        self._sent: set[tuple[int, NodeId, PacketId, int]] = set()
        self._delivered: set[tuple[int, int, PacketId]] = set()
        self._urgent: dict[PacketId, Priority] = {}

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        if isinstance(heard, Packet):
            self._came.setdefault((host.index, heard.id), set()).add(len(heard.hops))
        if isinstance(event, Started):
            self._accepted = {key for key in self._accepted if key[0] != host.index}
        for effect in effects:
            if isinstance(effect, SendFrame) and sniff(effect.frame) in SNIFFED:
                self._said(host, effect, protocols.LINK.decode(effect.frame), told)
            elif isinstance(effect, PayloadArrived):
                key = (host.index, host.life, effect.packet)
                require(key not in self._delivered, "a packet is delivered once", effect.packet)
                self._delivered.add(key)

    def _said(self, host: Host, said: SendFrame, message: LinkMessage, told: Instant) -> None:
        urgent = message.priority if isinstance(message, Packet) else Priority.CONTROL
        require(said.priority == urgent, "a frame goes as urgent as it is", host.name, message)
        match message:
            case Packet():
                first = self._urgent.setdefault(message.id, urgent)
                require(first == urgent, "no hop changes a packet's priority", message.id)
                self._forwarded(host, said.link, message, told)
            case Accepted(packet=packet, hop=hop):
                key = (host.index, packet, hop)
                self.saw["a packet came again and was accepted again"] += key in self._accepted
                self._accepted.add(key)
                self._custody(host, packet, hop)
            case Refused(code=code):
                require(code != "", "every refusal has a code", message)
                self.saw[f"a packet was refused: {code}"] += 1
            case Listing():
                self.saw["gossip was levelled by a listing"] += 1

    def _forwarded(self, host: Host, link: LinkId, packet: Packet, told: Instant) -> None:
        hops = len(packet.hops)
        require(packet.expires_at > told, "what has expired is not sent on", host.name, packet.id)
        require(packet.hops[-1].node == host.id, "a packet's last hop is who sends it", packet.id)
        behind = self._came.get((host.index, packet.id), set())
        mine = packet.source == host.id and hops == 1
        require(mine or hops - 1 in behind, "a hop is counted at every hop", host.name, packet.id)
        require(hops <= min(packet.hop_limit, HOP_LIMIT_MAX) + 1, "hops end", packet.id, hops)
        there = host.links.get(link)
        if there is not None and host.clock is None and host.stall is None:
            require(there.path.open_at(told), "no packet is sent at a contact's end", packet.id)
            key = (host.index, packet.destination, packet.id, hops)
            self.saw["a packet was sent again"] += key in self._sent
            self._sent.add(key)
        self.saw["a dead link was written on a packet"] += bool(packet.dead)

    def _custody(self, host: Host, packet: PacketId, hop: int) -> None:
        """What a node accepts it has, or has had."""
        assert host.node is not None
        seen = (packet, hop) in host.node.forwarder._seen
        require(seen, "who accepts a packet remembers it", host.name, packet, hop)
