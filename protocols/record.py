"""Record: one author's signed, sequenced statement. The signature covers the bytes as received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import (
    ADDRESSES_MAX,
    DOUBTS_MAX,
    RECORD_BYTES_MAX,
    SPEED_MAX,
    STANDING_MAX,
    Count,
    Name,
    Nanoseconds,
    Node,
    Slots,
    Text,
)
from protocols.errors import MALFORMED, ProtocolError
from protocols.tag import Tag
from protocols.types import NodeId

DOMAIN = b"meshd/record/1\n"
"""Signed ahead of the statement, so that no other signed thing can pass for a record."""

Signer: TypeAlias = Callable[[bytes], bytes]
Verifier: TypeAlias = Callable[[NodeId, bytes, bytes], bool]
"""(author, message, signature) -> genuine. Injected: a simulation may use a cheap keyed hash."""


class Beacon(msgspec.Struct, frozen=True, array_like=True, tag="beacon"):
    """What a node can take on: its slots, its queue, and when a new shard would start."""

    slots: Slots
    running: Slots
    queued: Slots
    wait_ns: Nanoseconds
    speed: Annotated[float, Meta(gt=0, le=SPEED_MAX)]
    """Work done per second, against the submitter's estimate (1.0 = as estimated)."""
    kinds: Annotated[tuple[Name, ...], Meta(max_length=8)]


class Presence(msgspec.Struct, frozen=True, array_like=True, tag="presence"):
    """Binds a node to its name, its site in the sky ("" for none) and its addresses.

    `idle` foretells its load: the beacon of a node with nothing to do, true while it sends none.
    """

    name: Name
    site: Name
    addresses: Annotated[tuple[Text, ...], Meta(max_length=ADDRESSES_MAX)]
    idle: Beacon | None = None


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """A link that no plan predicts, with its one-way delay as measured by its hello."""

    peer: Tag
    delay_ns: Nanoseconds


class LinkState(msgspec.Struct, frozen=True, array_like=True, tag="links"):
    """What the plan does not know of an author's links: up without it, or down despite it.

    Peers are named by their tags: whoever has heard of a node knows its tag.
    """

    standing: Annotated[tuple[Standing, ...], Meta(max_length=STANDING_MAX)]
    down: Annotated[tuple[Tag, ...], Meta(max_length=STANDING_MAX)]


class Doubt(msgspec.Struct, frozen=True, array_like=True):
    """A neighbour that was silent over a contact, by its tag, and the epoch at which it was known:
    when its presence was issued.
    """

    peer: Tag
    epoch: Nanoseconds


class Doubts(msgspec.Struct, frozen=True, array_like=True, tag="doubts"):
    """Whom an author could not hear where it should have. Who is there says its presence anew: that
    is another epoch, of which nobody has doubted it.
    """

    peers: Annotated[tuple[Doubt, ...], Meta(max_length=DOUBTS_MAX)]


Body: TypeAlias = Presence | Beacon | LinkState | Doubts

KINDS: dict[type, str] = {
    Presence: "presence",
    Beacon: "beacon",
    LinkState: "links",
    Doubts: "doubts",
}


class Statement(msgspec.Struct, frozen=True, array_like=True):
    """What an author signs. `sequence` rises with every statement of the same author and kind."""

    author: Node
    sequence: Count
    issued_at: Nanoseconds
    ttl_ns: Nanoseconds
    body: Body


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A statement as bytes, and its author's Ed25519 signature over DOMAIN + those bytes."""

    statement: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    signature: Annotated[bytes, Meta(max_length=64)]


_decode = msgspec.msgpack.Decoder(Statement).decode


def sign(statement: Statement, signer: Signer) -> Record:
    """The record of a statement."""
    data = msgspec.msgpack.encode(statement)
    return Record(data, signer(DOMAIN + data))


def read(record: Record) -> Statement:
    """The statement inside, not yet verified. Raises ProtocolError("bad-record")."""
    try:
        return _decode(record.statement)
    except MALFORMED as error:
        raise ProtocolError("bad-record", f"a record cannot be read: {error}") from None


def verify(record: Record, statement: Statement, verifier: Verifier) -> None:
    """Raises ProtocolError("bad-signature") when the author did not sign these very bytes."""
    if not verifier(statement.author, DOMAIN + record.statement, record.signature):
        raise ProtocolError("bad-signature", f"a record of {statement.author} is not signed by it")
