"""Certificates judged: pure functions of what was shown, the operators trusted, and the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from meshd.trust.policy import TrustPolicy
from protocols.certificate import DOMAIN, Certificate, Sealed, unseal
from protocols.errors import ProtocolError
from protocols.record import Signer, Verifier
from protocols.types import Instant, NodeId

BARS = (
    "no-certificate",
    "bad-certificate",
    "certificate-mismatch",
    "not-trusted",
    "not-allowed",
    "certificate-not-yet",
    "certificate-expired",
    "certificate-revoked",
)
"""The codes by which a node may be refused as a neighbour."""

Revoked = Mapping[NodeId, Collection[int]]
"""By operator, the serial numbers it has taken back."""


def seal(certificate: Certificate, signer: Signer) -> Sealed:
    """A certificate as its operator signs it."""
    data = msgspec.msgpack.encode(certificate)
    return Sealed(data, signer(DOMAIN + data))


def certified(
    sealed: Sealed | None, node: NodeId, policy: TrustPolicy, verifier: Verifier
) -> Certificate:
    """What a trusted operator says of a node, whatever the time. Raises ProtocolError.

    "no-certificate", "bad-certificate" (unreadable, or not signed by its operator),
    "certificate-mismatch" (another node's), "not-trusted" (by an operator nobody named here).
    """
    if sealed is None:
        message = f"{node} shows no certificate, and this daemon trusts operators"
        raise ProtocolError("no-certificate", message)
    certificate = unseal(sealed)
    if certificate.node != node:
        message = f"{node} shows the certificate of {certificate.node}"
        raise ProtocolError("certificate-mismatch", message)
    if not policy.trusts(certificate.operator):
        message = f"{node} is certified by {certificate.operator}, which is not trusted here"
        raise ProtocolError("not-trusted", message)
    if not verifier(certificate.operator, DOMAIN + sealed.certificate, sealed.signature):
        message = f"{certificate.operator} did not sign the certificate of {node}"
        raise ProtocolError("bad-certificate", message)
    return certificate


def lapse(certificate: Certificate, now: Instant, revoked: Revoked) -> str:
    """Why a genuine certificate does not hold at an instant; "" when it does."""
    if certificate.serial in revoked.get(NodeId(certificate.operator), ()):
        return "certificate-revoked"
    if now < certificate.not_before:
        return "certificate-not-yet"
    return "certificate-expired" if now >= certificate.not_after else ""
