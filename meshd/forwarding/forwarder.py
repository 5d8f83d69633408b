"""Forwarder: custody of packets until the next hop accepts them, whatever the sky does."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

import protocols
from meshd.forwarding.neighbours import Neighbours
from meshd.router.routes import DeadLinks, Router
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
    RoutesChanged,
    Woke,
)
from protocols.bounds import DEAD_LINKS_MAX, HOP_LIMIT_MAX, PAYLOAD_BYTES_MAX
from protocols.errors import ProtocolError
from protocols.forward import Accepted, Hop, Packet, Refused, Undelivered, answer_id
from protocols.types import SECOND, Instant, NodeId, PacketId

REPORT_PORT = "report"
REPORT_LIFETIME_NS = 60 * SECOND

HELD_MAX = 4_096
HELD_BYTES_MAX = 64 << 20
SEEN_MAX = 16_384
TIMERS_MAX = 8 * HELD_MAX

ACK_MARGIN_NS = 2 * SECOND
"""Beyond two light times: what a busy neighbour may take to answer."""

TRIES_MAX = 3

FLIGHT_BYTES_MAX = 1 << 20
"""Sent to one neighbour and not yet accepted: well below an outbox, which ends a link if full."""

LOOK_AGAIN_NS = SECOND
"""How often a packet without a way is looked at again when nothing else wakes it."""

Key = tuple[PacketId, int]
"""A packet at one point of its journey: id and number of hops behind it."""


@dataclass(frozen=True, slots=True)
class Custody:
    """A packet held here. `sent_to` is None while it waits for a contact or a way."""

    packet: Packet
    sent_to: NodeId | None
    wake_at: Instant
    tries: int = 0
    queued_for: NodeId | None = None
    """The neighbour whose earlier packets it waits behind."""


class Forwarder:
    """Routes each packet by this node's own table; keeps it until the next hop accepts."""

    def __init__(self, me: NodeId, router: Router, neighbours: Neighbours) -> None:
        self._me = me
        self._router = router
        self._neighbours = neighbours
        self._held: dict[Key, Custody] = {}
        self._held_bytes = 0
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._delivered: OrderedDict[PacketId, None] = OrderedDict()
        self._timers: list[tuple[Instant, Key]] = []
        self._flight: Counter[NodeId] = Counter()
        """Bytes sent to each neighbour and not yet accepted."""
        self._queues: dict[NodeId, dict[Key, None]] = {}

    def view(self) -> tuple[Custody, ...]:
        return tuple(self._held[key] for key in sorted(self._held))

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case PayloadOffered():
                return self._offer(event, now)
            case MessageReceived(node=node, message=Packet() as packet):
                return self._receive(node, packet, now)
            case MessageReceived(node=node, message=Accepted() as accepted):
                return self._accepted(node, (accepted.packet, accepted.hop), now)
            case MessageReceived(node=node, message=Refused() as refused):
                return self._refused(node, refused, now)
            case LinkReady() | RoutesChanged():
                return self._again(now, lambda c: c.sent_to is None)
            case LinkLost(node=node):
                return self._again(now, lambda c: c.sent_to == node)
            case _:
                assert isinstance(event, Woke | MessageReceived | PayloadArrived)
                return self._report(event) if isinstance(event, PayloadArrived) else self._wake(now)

    def next_deadline(self) -> Instant | None:
        return self._timers[0][0] if self._timers else None

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
        )
        if len(offer.payload) > PAYLOAD_BYTES_MAX:
            return self._give_up(packet, "payload-too-large", now)
        if offer.destination == self._me:
            return self._deliver(packet)
        if self._full(packet):
            return self._give_up(packet, "store-full", now)
        hop = self._router.next_hop(offer.destination, now, (), len(packet.payload))
        if hop is None:
            known = offer.destination in self._router.members
            return self._give_up(packet, "no-route" if known else "unknown-node", now)
        if hop.arrive > packet.expires_at:
            return self._give_up(packet, "expires-before-arrival", now)
        self._hold(packet, now)
        return self._route((packet.id, len(packet.hops)), now)

    def _receive(self, node: NodeId, packet: Packet, now: Instant) -> list[Effect]:
        behind = len(packet.hops)
        key = (packet.id, behind)
        if not packet.hops or packet.hops[-1].node != node:
            return self._neighbours.frame(node, Refused(packet.id, behind, "bad-hops"))
        if packet.source == packet.destination == self._me:
            # Ours to us never travels: somebody speaks in our name.
            return self._neighbours.frame(node, Refused(packet.id, behind, "forged-source"))
        if key in self._seen:
            return self._neighbours.frame(node, Accepted(packet.id, behind))
        if (packet.id, behind + 1) in self._held:
            return self._neighbours.frame(node, Refused(packet.id, behind, "duplicate-id"))
        if packet.destination != self._me and self._full(packet):
            return self._neighbours.frame(node, Refused(packet.id, behind, "store-full"))
        self._remember(self._seen, key)
        effects = self._neighbours.frame(node, Accepted(packet.id, behind))
        here = self._stamp(packet, now)
        if packet.destination == self._me:
            return effects + self._deliver(here)
        if packet.expires_at <= now:
            return effects + self._give_up(here, "expired", now)
        if behind > min(packet.hop_limit, HOP_LIMIT_MAX - 1):
            return effects + self._give_up(here, "hop-limit", now)
        self._hold(here, now)
        return effects + self._route((here.id, len(here.hops)), now)

    def _accepted(self, node: NodeId, key: Key, now: Instant) -> list[Effect]:
        custody = self._held.get(key)
        if custody is None or custody.sent_to != node:
            return []
        self._release(key)
        effects: list[Effect] = []
        for waiting in list(self._queues.get(node, ())):
            if self._crowded(node, self._held[waiting].packet):
                break
            effects += self._route(waiting, now)
        return effects

    def _crowded(self, node: NodeId, packet: Packet) -> bool:
        flight = self._flight[node]
        return flight > 0 and flight + len(packet.payload) > FLIGHT_BYTES_MAX

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
        custody = self._held.get(key)
        if custody is None or custody.sent_to != node:
            return []
        return self._avoid(key, node, now)

    def _again(self, now: Instant, concerned: Callable[[Custody], bool]) -> list[Effect]:
        effects: list[Effect] = []
        for key in [key for key, custody in self._held.items() if concerned(custody)]:
            effects += self._route(key, now)
        return effects

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            at, key = heapq.heappop(self._timers)
            custody = self._held.get(key)
            if custody is None or custody.wake_at > at:
                continue
            if custody.sent_to is None:
                effects += self._route(key, now)
            elif custody.tries >= TRIES_MAX:
                effects += self._avoid(key, custody.sent_to, now)
            else:
                effects += self._route(key, now)
        return effects

    # --- one packet -----------------------------------------------------------------------------

    def _route(self, key: Key, now: Instant) -> list[Effect]:
        """Send the packet on its way, or hold it until it can go."""
        custody = self._held[key]
        packet = custody.packet
        if packet.expires_at <= now:
            self._release(key)
            return self._give_up(packet, "expired", now)
        size_bytes = len(packet.payload)
        hop = self._router.next_hop(packet.destination, now, packet.dead, size_bytes)
        if hop is None and packet.dead:
            # Every way found so far is dead; what was met may have healed since.
            packet = msgspec.structs.replace(packet, dead=())
            custody = replace(custody, packet=packet)
        if hop is None:
            return self._wait(key, custody, now + LOOK_AGAIN_NS)
        if hop.depart > now:
            return self._wait(key, custody, hop.depart)
        if self._neighbours.link_to(hop.node) is None:
            return self._wait(key, custody, now + LOOK_AGAIN_NS)
        if custody.sent_to != hop.node and self._crowded(hop.node, packet):
            return self._wait(key, custody, now + LOOK_AGAIN_NS, hop.node)
        tries = custody.tries + 1 if custody.sent_to == hop.node else 1
        patience = 2 * hop.hop_ns + ACK_MARGIN_NS * tries
        self._set(key, Custody(packet, hop.node, now + patience, tries))
        return self._neighbours.frame(hop.node, packet)

    def _wait(
        self, key: Key, custody: Custody, until: Instant, behind: NodeId | None = None
    ) -> list[Effect]:
        wake_at = min(until, custody.packet.expires_at)
        self._set(key, Custody(custody.packet, None, wake_at, queued_for=behind))
        return []

    def _avoid(self, key: Key, node: NodeId, now: Instant) -> list[Effect]:
        """This neighbour will not have it: note that on the packet and try another way."""
        custody = self._held[key]
        dead: DeadLinks = (*custody.packet.dead, (self._me, node))[-DEAD_LINKS_MAX:]
        packet = msgspec.structs.replace(custody.packet, dead=dead)
        self._unsend(key)
        self._held[key] = Custody(packet, None, now)
        return self._route(key, now)

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

    # --- the store ------------------------------------------------------------------------------

    def _full(self, packet: Packet) -> bool:
        too_many = len(self._held) >= HELD_MAX
        return too_many or self._held_bytes + len(packet.payload) > HELD_BYTES_MAX

    def _hold(self, packet: Packet, now: Instant) -> None:
        self._held[(packet.id, len(packet.hops))] = Custody(packet, None, now)
        self._held_bytes += len(packet.payload)

    def _set(self, key: Key, custody: Custody) -> None:
        self._unsend(key)
        self._held[key] = custody
        if custody.sent_to is not None:
            self._flight[custody.sent_to] += len(custody.packet.payload)
        if custody.queued_for is not None:
            self._queues.setdefault(custody.queued_for, {})[key] = None
        heapq.heappush(self._timers, (custody.wake_at, key))
        if len(self._timers) > TIMERS_MAX:
            self._timers = [(custody.wake_at, key) for key, custody in self._held.items()]
            heapq.heapify(self._timers)

    def _unsend(self, key: Key) -> None:
        """Take a packet out of the flight or the queue it is counted in."""
        custody = self._held[key]
        if custody.sent_to is not None:
            self._flight[custody.sent_to] -= len(custody.packet.payload)
        if custody.queued_for is not None:
            queue = self._queues[custody.queued_for]
            del queue[key]
            if not queue:
                del self._queues[custody.queued_for]

    def _release(self, key: Key) -> None:
        self._unsend(key)
        custody = self._held.pop(key)
        self._held_bytes -= len(custody.packet.payload)

    @staticmethod
    def _remember(memory: OrderedDict, key: Key | PacketId) -> None:  # type: ignore[type-arg]
        memory[key] = None
        if len(memory) > SEEN_MAX:
            memory.popitem(last=False)
