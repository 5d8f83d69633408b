"""Certificate: an operator's word that a node is one of its own, where it lives and what it may do.

An operator is an Ed25519 key, named as a node is. What it takes back it lists (`Revocations`, which
goes by gossip under the operator's name).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.bounds import (
    CERTIFICATE_BYTES_MAX,
    REVOKED_MAX,
    ROLES_MAX,
    Count,
    Name,
    Nanoseconds,
    Node,
)
from protocols.errors import MALFORMED, ProtocolError

DOMAIN = b"meshd/certificate/1\n"
"""Signed ahead of a certificate, so that no other signed thing can pass for one."""

ELEMENTS = "elements"
"""The role of a node that may give new elements of every satellite of its operator."""


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """What an operator signs about a node. It holds from `not_before`, until `not_after`."""

    node: Node
    operator: Node
    roles: Annotated[tuple[Name, ...], Meta(max_length=ROLES_MAX)]
    site: Name
    """The satellite or station that the node is; "" for none."""
    not_before: Nanoseconds
    not_after: Nanoseconds
    serial: Count
    """Unlike that of any other certificate of the operator: it is revoked by this."""


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A certificate as bytes, and its operator's Ed25519 signature over DOMAIN + those bytes."""

    certificate: Annotated[bytes, Meta(max_length=CERTIFICATE_BYTES_MAX)]
    signature: Annotated[bytes, Meta(max_length=64)]


class Revocations(msgspec.Struct, frozen=True, array_like=True, tag="revocations"):
    """The certificates that an operator has taken back, all of them, by serial number."""

    serials: Annotated[tuple[Count, ...], Meta(max_length=REVOKED_MAX)]


_decode = msgspec.msgpack.Decoder(Certificate).decode


def unseal(sealed: Sealed) -> Certificate:
    """The certificate inside, not yet verified. Raises ProtocolError("bad-certificate")."""
    try:
        return _decode(sealed.certificate)
    except MALFORMED as error:
        message = f"a certificate cannot be read: {error}"
        raise ProtocolError("bad-certificate", message) from None
