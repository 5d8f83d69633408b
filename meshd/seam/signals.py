"""Signals: what one machine of a node tells another, or the world tells all of them.

A signal leaves a machine as an effect and comes back to its subscribers as an event (`node.py` has
the table). Drivers see those that concern them too: payloads arrived or lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from protocols import LinkMessage
from protocols.priority import Priority
from protocols.record import Body
from protocols.types import Cid, Duration, Instant, LinkId, NodeId, PacketId


@dataclass(frozen=True, slots=True)
class BlobStored:
    """The blob is whole, verified against its cid, and on disk."""

    cid: Cid
    size: int


@dataclass(frozen=True, slots=True)
class PayloadOffered:
    """An application, or a machine of this node, gives a payload to carry."""

    packet: PacketId
    destination: NodeId
    port: str
    payload: bytes
    lifetime_ns: Duration
    durable: bool = False
    """Whether each relay has it on disk before it accepts it; here, whoever offers it must."""
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True)
class PayloadArrived:
    packet: PacketId
    source: NodeId
    port: str
    payload: bytes
    sent_at: Instant
    hops: tuple[NodeId, ...]
    arrived: tuple[Instant, ...]


@dataclass(frozen=True, slots=True)
class PayloadLost:
    """Custody ended without delivery: `code` is the reason, `node` who gave up."""

    packet: PacketId
    port: str
    destination: NodeId
    code: str
    node: NodeId


@dataclass(frozen=True, slots=True)
class PayloadTaken:
    """The first hop has accepted a bulk payload of ours: there is room for another."""

    packet: PacketId


@dataclass(frozen=True, slots=True)
class LinkReady:
    """A neighbour has greeted and is who it should be. `planned`: a predicted contact covers it."""

    link: LinkId
    node: NodeId
    planned: bool
    delay_ns: Duration


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A ready link, or a planned one that never came up, is gone. `expected`: its contact ended."""

    link: LinkId | None
    node: NodeId
    expected: bool
    code: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One decoded message of a greeted neighbour."""

    link: LinkId
    node: NodeId
    message: LinkMessage


@dataclass(frozen=True, slots=True)
class Publish:
    """Sign this statement of our own and spread it."""

    body: Body
    ttl_ns: Duration
    anew: bool = False
    """Also where everyone has it already."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A newer verified statement of an author (our own included) is now what we hold."""

    author: NodeId
    body: Body
    issued_at: Instant


@dataclass(frozen=True, slots=True)
class Judged:
    """What is thought of a node, by who doubts it and whether anybody hears it."""

    node: NodeId
    verdict: Literal["alive", "suspect", "gone"]


@dataclass(frozen=True, slots=True)
class Barred:
    """The certificate of a node holds no more: what it said is void, and it is no neighbour."""

    node: NodeId
    code: str


@dataclass(frozen=True, slots=True)
class StandingWanted:
    """A link that no plan predicts is asked for, or its end: by a person (`meshd connect`), and so
    kept over restarts, or, unless `keep`, by a node that looks for a way into the mesh.
    """

    node: NodeId
    address: str
    wanted: bool = True
    keep: bool = True


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """The router knows something new: what was held may go another way."""


@dataclass(frozen=True, slots=True)
class BlobWanted:
    """Fetch a blob from a node that has it, unless it is already here. Given up when nothing has
    come of it for `lifetime_ns`.
    """

    cid: Cid
    source: NodeId
    lifetime_ns: Duration


@dataclass(frozen=True, slots=True)
class BlobUnwanted:
    """One BlobWanted (or a shard's output) less: without any left the blob may be dropped, and
    if it is still on its way, that ends.
    """

    cid: Cid


@dataclass(frozen=True, slots=True)
class BlobFailed:
    """A wanted blob could not be had."""

    cid: Cid
    code: str


Signal: TypeAlias = (
    PayloadOffered
    | PayloadArrived
    | PayloadLost
    | PayloadTaken
    | LinkReady
    | LinkLost
    | MessageReceived
    | Publish
    | Learnt
    | Judged
    | Barred
    | StandingWanted
    | RoutesChanged
    | BlobStored
    | BlobWanted
    | BlobUnwanted
    | BlobFailed
)
