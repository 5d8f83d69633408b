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
    TLE_LINE_MAX,
    Count,
    Name,
    Nanoseconds,
    Node,
    Slots,
    Text,
)
from protocols.certificate import Revocations, Sealed
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
    certificate: Sealed | None = None
    """That all this is so, by its operator; None in a mesh without operators."""


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


class Orbit(msgspec.Struct, frozen=True, array_like=True, tag="orbit"):
    """New elements of one satellite (SGP4's mean elements), and from when all nodes plan by them.

    Angles are degrees. With `line1` and `line2`, the TLE they were read from, SGP4 gets its very
    digits. Whether an orbit can have them is for the reader to check.
    """

    at: Nanoseconds
    name: Name
    norad_id: Count
    epoch: Nanoseconds
    inclination_deg: float
    raan_deg: float
    eccentricity: float
    argp_deg: float
    mean_anomaly_deg: float
    mean_motion_rev_day: float
    bstar: float = 0.0
    ndot: float = 0.0
    nddot: float = 0.0
    line1: Annotated[str, Meta(max_length=TLE_LINE_MAX)] = ""
    line2: Annotated[str, Meta(max_length=TLE_LINE_MAX)] = ""
    certificate: Sealed | None = None
    """Of a node that is its author; None where an operator is."""

    @property
    def satellite(self) -> str:
        """What the satellite is known by: its number, or, without one, its name."""
        return str(self.norad_id or self.name)


Body: TypeAlias = Presence | Beacon | LinkState | Doubts | Revocations | Orbit

KINDS: dict[type, str] = {
    Presence: "presence",
    Beacon: "beacon",
    LinkState: "links",
    Doubts: "doubts",
    Revocations: "revocations",
    Orbit: "orbit",
}


def kind_of(body: Body) -> str:
    """What an author says once at most of at a time; of each satellite's elements once."""
    kind = KINDS[type(body)]
    return f"{kind}/{body.satellite}" if isinstance(body, Orbit) else kind


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
