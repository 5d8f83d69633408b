"""Trusting: whom one daemon trusts, read from its configuration and checked before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from meshd.adapters.address import validate_address
from meshd.adapters.trustfile import CERTIFICATE, read_trust
from meshd.config import Config
from meshd.ephemeris.timescale import format_time
from meshd.trust.certificates import certified, lapse
from meshd.trust.policy import TrustPolicy
from protocols.certificate import Certificate, unseal
from protocols.errors import InputError, MeshError, ProtocolError
from protocols.record import Verifier
from protocols.types import Instant, NodeId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon
    from meshd.daemon.plans import World

Json: TypeAlias = dict[str, Any]


def policy_of(config: Config, home: Path) -> TrustPolicy:
    """Raises InputError "bad-trust", "bad-certificate" or "unreadable-file"."""
    own = Path(config.certificate).expanduser() if config.certificate else home / CERTIFICATE
    return read_trust(config.trust, own if config.certificate or own.exists() else None)


def check_policy(
    policy: TrustPolicy, me: NodeId, site: str, verifier: Verifier, now: Instant
) -> None:
    """Raises MeshError, saying what to do, when this node would be believed by nobody."""
    if policy.open:
        return
    how = f"ask an operator for: meshd operator sign {me}" + (f" --site {site!r}" if site else "")
    try:
        certificate = certified(policy.certificate, me, policy, verifier)
    except ProtocolError as error:
        raise MeshError(error.code, f"{error.message}; {how}") from None
    if code := lapse(certificate, now, {}):
        raise MeshError(code, f"the certificate of this node {_span(certificate)}; {how}")
    if certificate.site != site:
        message = f"this node is certified as {certificate.site!r}, not as {site!r}; {how}"
        raise MeshError("site-mismatch", message)


def check_owners(policy: TrustPolicy, world: World | None) -> None:
    """Raises InputError "bad-trust" where two operators claim one satellite of the sky."""
    if world is None or len(policy.operators) < 2:
        return
    for name in world.sky.names:
        claims = [operator.name for operator in policy.operators if operator.flies(name)]
        if len(claims) > 1:
            message = f"{' and '.join(claims)} both claim to fly {name}; name the satellites of "
            raise InputError("bad-trust", message + 'each in its operator.toml, as ["ONE-*"]')


def bootstrap_of(config: Config) -> tuple[tuple[NodeId, str], ...]:
    """Raises InputError "bad-address" or "address-without-id"."""
    return tuple(validate_address(address) for address in config.bootstrap)


def trust_view(daemon: Daemon) -> Json:
    """What a daemon says of whom it trusts."""
    trust = daemon.node.trust
    policy = trust.policy
    shown = unseal(policy.certificate) if policy.certificate is not None else None
    return {
        "open": policy.open,
        "operators": [
            {"id": o.id, "name": o.name, "satellites": list(o.satellites)} for o in policy.operators
        ],
        "allow": list(policy.allow),
        "certificate": _told(shown) if shown is not None else None,
        "revoked": {operator: list(serials) for operator, serials in trust.revoked.items()},
    }


def _told(certificate: Certificate) -> Json:
    return {
        "operator": certificate.operator,
        "serial": certificate.serial,
        "site": certificate.site,
        "roles": list(certificate.roles),
        "not_before": format_time(certificate.not_before),
        "not_after": format_time(certificate.not_after),
    }


def _span(certificate: Certificate) -> str:
    begin, end = format_time(certificate.not_before), format_time(certificate.not_after)
    return f"holds from {begin} until {end}"
