"""Custody: the packets that a node answers for, until the next hop does."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import protocols
from meshd.seam import Persist
from protocols.forward import Packet
from protocols.priority import Priority
from protocols.types import Instant, NodeId, PacketId

HELD_MAX = 4_096
HELD_BYTES_MAX = 64 << 20
BULK_SHARE = 2
"""Bulk may fill one part in so many of the store: there is always room for what is not."""

TIMERS_MAX = 8 * HELD_MAX

FLIGHT_BYTES_MAX = 1 << 20
"""Sent to one neighbour at one priority and not yet accepted: three of them are below an outbox,
which ends a link if full."""

Key = tuple[PacketId, int]
"""A packet at one point of its journey: id and number of hops behind it."""

Lane = tuple[NodeId, Priority]
"""What is under way to one neighbour at one priority: bulk crowds out nothing but bulk."""

CUSTODY_ROW = "custody/"


def is_kept(packet: Packet) -> bool:
    """Whether a packet in custody has a row: a durable one that a neighbour was relieved of."""
    return packet.durable and len(packet.hops) > 1


def kept(packet: Packet) -> Persist:
    """Its row."""
    return Persist(_row_key((packet.id, len(packet.hops))), protocols.LINK.encode(packet))


def let_go(key: Key) -> Persist:
    """No such row; what stands behind this waits all the same for the rows before it."""
    return Persist(_row_key(key), None)


def kept_in(rows: Iterable[tuple[str, bytes]]) -> list[Packet]:
    """The packets among the rows of a store."""
    found = [protocols.LINK.decode(value) for key, value in rows if key.startswith(CUSTODY_ROW)]
    return [packet for packet in found if isinstance(packet, Packet)]


def _row_key(key: Key) -> str:
    return f"{CUSTODY_ROW}{key[0]}/{key[1]}"


@dataclass(frozen=True, slots=True)
class Custody:
    """A packet held here. `sent_to` is None while it waits for a contact or a way."""

    packet: Packet
    sent_to: NodeId | None
    wake_at: Instant
    tries: int = 0
    queued_for: NodeId | None = None
    """The neighbour whose earlier packets it waits behind."""
    busy: int = 0
    """How often in a row the next hop had no room for it."""

    @property
    def key(self) -> Key:
        return self.packet.id, len(self.packet.hops)


class Hold:
    """All of them, with what each neighbour has been sent, and when each is to be looked at."""

    def __init__(self) -> None:
        self.packets: dict[Key, Custody] = {}
        """In the order in which they came; only `add`, `put` and `drop` may change it."""
        self.bytes = 0
        self.bulk_count = self.bulk_bytes = 0
        self.flight: Counter[Lane] = Counter()
        """Bytes sent to each neighbour at each priority and not yet accepted."""
        self.timers: list[tuple[Instant, Key]] = []
        self._queues: dict[Lane, dict[Key, None]] = {}

    # --- what is asked --------------------------------------------------------------------------

    def waiting(self) -> list[Key]:
        """Those that are under way to nobody."""
        return [key for key, custody in self.packets.items() if custody.sent_to is None]

    def sent_to(self, node: NodeId) -> list[Key]:
        return [key for key, custody in self.packets.items() if custody.sent_to == node]

    def queued_for(self, lane: Lane) -> list[Key]:
        """Those that wait until this neighbour has accepted more, first come first."""
        return list(self._queues.get(lane, ()))

    def has_room(self, packet: Packet) -> bool:
        size = len(packet.payload)
        if packet.priority is Priority.BULK and (
            self.bulk_count >= HELD_MAX // BULK_SHARE
            or self.bulk_bytes + size > HELD_BYTES_MAX // BULK_SHARE
        ):
            return False
        return len(self.packets) < HELD_MAX and self.bytes + size <= HELD_BYTES_MAX

    def crowded(self, node: NodeId, packet: Packet) -> bool:
        """Whether a neighbour has to accept what it was sent before it is sent this."""
        flight = self.flight[node, packet.priority]
        return flight > 0 and flight + len(packet.payload) > FLIGHT_BYTES_MAX

    def next_deadline(self) -> Instant | None:
        return self.timers[0][0] if self.timers else None

    # --- what changes ---------------------------------------------------------------------------

    def add(self, packet: Packet, now: Instant) -> Custody:
        """Take custody of a packet; `put` must say next when it is looked at again."""
        custody = Custody(packet, None, now)
        assert custody.key not in self.packets, f"{custody.key} is held already"
        self.packets[custody.key] = custody
        self._count(packet, 1)
        return custody

    def put(self, custody: Custody) -> None:
        """Say anew what is done with a packet that is held."""
        key = custody.key
        self._unsend(key)
        self.packets[key] = custody
        if custody.sent_to is not None:
            lane = custody.sent_to, custody.packet.priority
            self.flight[lane] += len(custody.packet.payload)
        if custody.queued_for is not None:
            lane = custody.queued_for, custody.packet.priority
            self._queues.setdefault(lane, {})[key] = None
        heapq.heappush(self.timers, (custody.wake_at, key))
        if len(self.timers) > TIMERS_MAX:
            self.timers = [(custody.wake_at, key) for key, custody in self.packets.items()]
            heapq.heapify(self.timers)

    def drop(self, key: Key) -> Packet:
        """Let go of a packet."""
        self._unsend(key)
        packet = self.packets.pop(key).packet
        self._count(packet, -1)
        return packet

    def due(self, now: Instant) -> Iterator[Custody]:
        """Each whose time has come, as it is when its turn comes."""
        while self.timers and self.timers[0][0] <= now:
            at, key = heapq.heappop(self.timers)
            custody = self.packets.get(key)
            if custody is not None and custody.wake_at <= at:
                yield custody

    def _unsend(self, key: Key) -> None:
        """Take a packet out of the flight or the queue it is counted in."""
        custody = self.packets[key]
        if custody.sent_to is not None:
            self.flight[custody.sent_to, custody.packet.priority] -= len(custody.packet.payload)
        if custody.queued_for is not None:
            lane = custody.queued_for, custody.packet.priority
            del self._queues[lane][key]
            if not self._queues[lane]:
                del self._queues[lane]

    def _count(self, packet: Packet, sign: int) -> None:
        size = sign * len(packet.payload)
        self.bytes += size
        if packet.priority is Priority.BULK:
            self.bulk_count += sign
            self.bulk_bytes += size
