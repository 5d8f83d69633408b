"""Forwarder: custody of packets until the next hop accepts them, whatever the sky does."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise

import msgspec

import protocols
from meshd.forwarding.custody import Custody, Hold, Key, is_kept, kept, kept_in, let_go
from meshd.forwarding.neighbours import Neighbours
from meshd.router.found import DeadLinks
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    Event,
    LinkLost,
    LinkReady,
    MessageReceived,
    Note,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    PayloadTaken,
    RoutesChanged,
    Started,
    Woke,
)
from protocols.bounds import DEAD_LINKS_MAX, HOP_LIMIT_MAX, PAYLOAD_BYTES_MAX
from protocols.errors import ProtocolError
from protocols.forward import Accepted, Hop, Packet, Refused, Undelivered, answer_id
from protocols.priority import Priority
from protocols.types import SECOND, Instant, NodeId, PacketId

REPORT_PORT = "report"
REPORT_LIFETIME_NS = 60 * SECOND

SEEN_MAX = 16_384

ACK_MARGIN_NS = 2 * SECOND
"""Beyond two light times: what a busy neighbour may take to answer."""

TRIES_MAX = 3

BUSY_NS = SECOND // 5
"""How long bulk waits for a neighbour that had no room for it."""

BUSY_MAX = 25
"""Times that bulk waits so, before it looks for another way."""

LOOK_AGAIN_NS = SECOND
"""How often a packet without a way is looked at again when nothing else wakes it."""


class Forwarder:
    """Routes each packet by this node's own table; keeps it until the next hop accepts."""

    def __init__(self, me: NodeId, router: Router, neighbours: Neighbours) -> None:
        self._me = me
        self._router = router
        self._neighbours = neighbours
        self._hold = Hold()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._delivered: OrderedDict[PacketId, None] = OrderedDict()

    def view(self) -> tuple[Custody, ...]:
        return tuple(self._hold.packets[key] for key in sorted(self._hold.packets))

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started(rows=rows):
                return self._restore(rows, now)
            case PayloadOffered():
                return self._offer(event, now)
            case MessageReceived(node=node, message=Packet() as packet):
                return self._receive(node, packet, now)
            case MessageReceived(node=node, message=Accepted() as accepted):
                return self._accepted(node, (accepted.packet, accepted.hop), now)
            case MessageReceived(node=node, message=Refused() as refused):
                return self._refused(node, refused, now)
            case LinkReady() | RoutesChanged():
                return self._route_all(self._hold.waiting(), now)
            case LinkLost(node=node):
                return self._route_all(self._hold.sent_to(node), now)
            case _:
                assert isinstance(event, Woke | PayloadArrived)
                return self._report(event) if isinstance(event, PayloadArrived) else self._wake(now)

    def next_deadline(self) -> Instant | None:
        return self._hold.next_deadline()

    def _restore(self, rows: tuple[tuple[str, bytes], ...], now: Instant) -> list[Effect]:
        """Go on with what was accepted in a life before."""
        effects: list[Effect] = []
        for packet in kept_in(rows):
            custody = self._hold.add(packet, now)
            self._remember(self._seen, (packet.id, len(packet.hops) - 1))
            effects += self._route(custody, now)
        return effects

    def _offer(self, offer: PayloadOffered, now: Instant) -> list[Effect]:
        packet = Packet(
            id=offer.packet,
            source=self._me,
            destination=offer.destination,
            port=offer.port,
            payload=offer.payload,
            sent_at=now,
            expires_at=now + offer.lifetime_ns,
            hop_limit=HOP_LIMIT_MAX,
            hops=(Hop(self._me, now),),
            durable=offer.durable,
            priority=offer.priority,
        )
        if (packet.id, 1) in self._hold.packets:
            return []
        if len(offer.payload) > PAYLOAD_BYTES_MAX:
            return self._give_up(packet, "payload-too-large", now)
        if offer.destination == self._me:
            return self._deliver(packet)
        if not self._hold.has_room(packet):
            return self._give_up(packet, "store-full", now)
        hop = self._router.next_hop(offer.destination, now, (), len(packet.payload))
        if hop is None:
            known = offer.destination in self._router.members
            return self._give_up(packet, "no-route" if known else "unknown-node", now)
        if hop.arrive > packet.expires_at:
            return self._give_up(packet, "expires-before-arrival", now)
        return self._route(self._hold.add(packet, now), now)

    def _receive(self, node: NodeId, packet: Packet, now: Instant) -> list[Effect]:
        behind = len(packet.hops)
        key = (packet.id, behind)
        if not packet.hops or packet.hops[-1].node != node:
            return self._neighbours.frame(node, Refused(packet.id, behind, "bad-hops"))
        if packet.source == packet.destination == self._me:
            # Ours to us never travels: somebody speaks in our name.
            return self._neighbours.frame(node, Refused(packet.id, behind, "forged-source"))
        accepted = self._neighbours.frame(node, Accepted(packet.id, behind))
        if key in self._seen:
            return [*self._on_disk(packet, behind + 1), *accepted]
        if (packet.id, behind + 1) in self._hold.packets:
            return self._neighbours.frame(node, Refused(packet.id, behind, "duplicate-id"))
        if packet.destination != self._me and not self._hold.has_room(packet):
            full = "busy" if packet.priority is Priority.BULK else "store-full"
            return self._neighbours.frame(node, Refused(packet.id, behind, full))
        self._remember(self._seen, key)
        carried = self._carry(self._stamp(packet, now), now)
        if not packet.durable:
            return accepted + carried
        # It goes on at once; the acknowledgement alone waits for the disk.
        return [*carried, *self._on_disk(packet, behind + 1), *accepted]

    def _carry(self, packet: Packet, now: Instant) -> list[Effect]:
        """Deliver what has just come, send it on, or give it up."""
        if packet.destination == self._me:
            return self._deliver(packet)
        if packet.expires_at <= now:
            return self._give_up(packet, "expired", now)
        if len(packet.hops) - 1 > min(packet.hop_limit, HOP_LIMIT_MAX - 1):
            return self._give_up(packet, "hop-limit", now)
        return self._route(self._hold.add(packet, now), now)

    def _on_disk(self, packet: Packet, hops: int) -> list[Effect]:
        """What stands behind this waits until a durable packet is on disk, or has left it."""
        if not packet.durable:
            return []
        custody = self._hold.packets.get((packet.id, hops))
        return [let_go((packet.id, hops)) if custody is None else kept(custody.packet)]

    def _accepted(self, node: NodeId, key: Key, now: Instant) -> list[Effect]:
        custody = self._hold.packets.get(key)
        if custody is None or custody.sent_to != node:
            return []
        dropped = self._drop(key)
        effects: list[Effect] = []
        if custody.packet.priority is Priority.BULK and key[1] == 1:
            effects.append(PayloadTaken(key[0]))
        for waiting in self._hold.queued_for((node, custody.packet.priority)):
            custody = self._hold.packets[waiting]
            if self._hold.crowded(node, custody.packet):
                break
            effects += self._route(custody, now)
        return effects + dropped

    def _drop(self, key: Key) -> list[Effect]:
        packet = self._hold.drop(key)
        return [let_go(key)] if is_kept(packet) else []

    def _stamp(self, packet: Packet, now: Instant) -> Packet:
        """The packet with this hop on it. Where it has been here before, the way it took then came
        back: that link is dead for this packet, or two nodes would toss it until gossip is level.
        """
        been = packet.hops
        taken = [
            (self._me, after.node)
            for hop, after in pairwise(been)
            if hop.node == self._me and (self._me, after.node) not in packet.dead
        ]
        dead = (*packet.dead, *taken)[-DEAD_LINKS_MAX:]
        return msgspec.structs.replace(packet, hops=(*been, Hop(self._me, now)), dead=dead)

    def _refused(self, node: NodeId, refused: Refused, now: Instant) -> list[Effect]:
        key = (refused.packet, refused.hop)
        custody = self._hold.packets.get(key)
        if custody is None or custody.sent_to != node:
            return []
        if refused.code == "busy" and custody.busy < BUSY_MAX:
            return self._wait(replace(custody, busy=custody.busy + 1), now + BUSY_NS)
        return self._avoid(custody, node, now)

    def _route_all(self, keys: list[Key], now: Instant) -> list[Effect]:
        packets = self._hold.packets
        return [effect for key in keys for effect in self._route(packets[key], now)]

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for custody in self._hold.due(now):
            if custody.sent_to is not None and custody.tries >= TRIES_MAX:
                effects += self._avoid(custody, custody.sent_to, now)
            else:
                effects += self._route(custody, now)
        return effects

    # --- one packet -----------------------------------------------------------------------------

    def _route(self, custody: Custody, now: Instant) -> list[Effect]:
        """Send the packet on its way, or hold it until it can go."""
        packet = custody.packet
        if packet.expires_at <= now:
            dropped = self._drop(custody.key)
            return self._give_up(packet, "expired", now) + dropped
        size_bytes = len(packet.payload)
        hop = self._router.next_hop(packet.destination, now, packet.dead, size_bytes)
        if hop is None and packet.dead:
            # Every way found so far is dead; what was met may have healed since.
            packet = msgspec.structs.replace(packet, dead=())
            custody = replace(custody, packet=packet)
        if hop is None:
            return self._wait(custody, now + LOOK_AGAIN_NS)
        if hop.depart > now:
            return self._wait(custody, hop.depart)
        if self._neighbours.link_to(hop.node) is None:
            return self._wait(custody, now + LOOK_AGAIN_NS)
        if custody.sent_to != hop.node and self._hold.crowded(hop.node, packet):
            return self._wait(custody, now + LOOK_AGAIN_NS, hop.node)
        tries = custody.tries + 1 if custody.sent_to == hop.node else 1
        patience = 2 * hop.hop_ns + ACK_MARGIN_NS * tries
        self._hold.put(Custody(packet, hop.node, now + patience, tries, busy=custody.busy))
        return self._neighbours.frame(hop.node, packet)

    def _wait(self, custody: Custody, until: Instant, behind: NodeId | None = None) -> list[Effect]:
        wake_at = min(until, custody.packet.expires_at)
        self._hold.put(Custody(custody.packet, None, wake_at, queued_for=behind, busy=custody.busy))
        return []

    def _avoid(self, custody: Custody, node: NodeId, now: Instant) -> list[Effect]:
        """This neighbour will not have it: note that on the packet and try another way."""
        dead: DeadLinks = (*custody.packet.dead, (self._me, node))[-DEAD_LINKS_MAX:]
        packet = msgspec.structs.replace(custody.packet, dead=dead)
        return self._route(Custody(packet, None, now), now)

    def _deliver(self, packet: Packet) -> list[Effect]:
        if packet.id in self._delivered:
            return []
        self._remember(self._delivered, packet.id)
        return [
            PayloadArrived(
                packet=packet.id,
                source=packet.source,
                port=packet.port,
                payload=packet.payload,
                sent_at=packet.sent_at,
                hops=tuple(hop.node for hop in packet.hops),
                arrived=tuple(hop.arrived_at for hop in packet.hops),
            )
        ]

    def _give_up(self, packet: Packet, code: str, now: Instant) -> list[Effect]:
        """Custody ends here: tell the source why."""
        if packet.source == self._me:
            return [PayloadLost(packet.id, packet.port, packet.destination, code, self._me)]
        note = Note("packet-dropped", {"packet": packet.id, "code": code, "port": packet.port})
        if packet.port == REPORT_PORT:
            return [note]
        report = Undelivered(packet.id, packet.port, packet.destination, code)
        offer = PayloadOffered(
            packet=answer_id(packet.id, "!"),
            destination=packet.source,
            port=REPORT_PORT,
            payload=protocols.REPORT.encode(report),
            lifetime_ns=REPORT_LIFETIME_NS,
            priority=Priority.CONTROL,
        )
        return [note, *self._offer(offer, now)]

    def _report(self, arrived: PayloadArrived) -> list[Effect]:
        if arrived.port != REPORT_PORT:
            return []
        try:
            lost = protocols.REPORT.decode(arrived.payload)
        except ProtocolError as error:
            return [Note(error.code, {"node": arrived.source, "message": error.message})]
        return [PayloadLost(lost.packet, lost.port, lost.destination, lost.code, arrived.source)]

    @staticmethod
    def _remember(memory: OrderedDict, key: Key | PacketId) -> None:  # type: ignore[type-arg]
        memory[key] = None
        if len(memory) > SEEN_MAX:
            memory.popitem(last=False)
