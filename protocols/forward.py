"""Packets: carried hop by hop, each hop in custody until the next one accepts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.bounds import (
    DEAD_LINKS_MAX,
    HOP_LIMIT_MAX,
    PACKET_ID_MAX,
    PAYLOAD_BYTES_MAX,
    Code,
    Name,
    Nanoseconds,
    Node,
    Packet_,
)
from protocols.priority import Priority
from protocols.types import Instant, NodeId, PacketId


class PacketIds:
    """Names for one author's packets, never used twice: not within a life, nor after a restart."""

    def __init__(self, author: NodeId, use: str) -> None:
        self._prefix = f"{author[-8:]}{use}"
        self._count = 0

    def next(self, now: Instant) -> PacketId:
        self._count += 1
        return PacketId(f"{self._prefix}{now:x}.{self._count:x}")


def answer_id(packet: PacketId, mark: str) -> PacketId:
    """The name of the one answer to a packet: its own, marked, and still a legal name."""
    return PacketId(packet[-(PACKET_ID_MAX - len(mark)) :] + mark)


class Hop(msgspec.Struct, frozen=True, array_like=True):
    """A node the packet has been at, and when it came there (mission time)."""

    node: Node
    arrived_at: Nanoseconds


class Packet(msgspec.Struct, frozen=True, array_like=True, tag="packet"):
    """`dead` is what the packet met: links found dead, so that no later hop tries them again.

    A `durable` one is on disk at each relay before that accepts it.
    """

    id: Packet_
    source: Node
    destination: Node
    port: Name
    payload: Annotated[bytes, Meta(max_length=PAYLOAD_BYTES_MAX)]
    sent_at: Nanoseconds
    expires_at: Nanoseconds
    hop_limit: Annotated[int, Meta(ge=0, le=HOP_LIMIT_MAX)]
    hops: Annotated[tuple[Hop, ...], Meta(max_length=HOP_LIMIT_MAX + 1)] = ()
    dead: Annotated[tuple[tuple[Node, Node], ...], Meta(max_length=DEAD_LINKS_MAX)] = ()
    durable: bool = False
    priority: Priority = Priority.INTERACTIVE


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag="accepted"):
    """I have custody of the packet you sent (`hop` of them behind it); you may forget it."""

    packet: Packet_
    hop: Annotated[int, Meta(ge=0, le=HOP_LIMIT_MAX + 1)]


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """I do not take it: keep custody, and try another way."""

    packet: Packet_
    hop: Annotated[int, Meta(ge=0, le=HOP_LIMIT_MAX + 1)]
    code: Code


class Undelivered(msgspec.Struct, frozen=True, array_like=True, tag="undelivered"):
    """Payload of a report to the source: its packet was given up, where and why."""

    packet: Packet_
    port: Name
    destination: Node
    code: Code
