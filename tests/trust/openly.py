"""Trust as in a laboratory, and as where there are operators: for tests of other machines too."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshd.trust.certificates import seal
from meshd.trust.policy import Operator, TrustPolicy
from meshd.trust.trust import Trust
from protocols.certificate import Certificate, Revocations, Sealed
from protocols.record import Record, Statement, sign
from protocols.types import HOUR, Instant, NodeId
from sim.chance import make_verifier, signer

EVER = 10_000 * HOUR


def open_trust(me: NodeId) -> Trust:
    """Everyone is believed."""
    return Trust(me, TrustPolicy(), make_verifier())


@dataclass(frozen=True)
class Authority:
    """An operator with its key."""

    id: NodeId
    satellites: tuple[str, ...] = ("*",)

    @property
    def trusted(self) -> Operator:
        return Operator(self.id, str(self.id), self.satellites)

    def certify(self, node: NodeId, site: str = "", **changes: object) -> Sealed:
        """A certificate of a node, for a long time unless told otherwise."""
        plain = Certificate(node, self.id, (), site, 0, EVER, hash_of(node))
        fields = {name: getattr(plain, name) for name in Certificate.__struct_fields__}
        return seal(Certificate(**(fields | changes)), signer(self.id))  # type: ignore[arg-type]

    def revoke(self, *serials: int, sequence: int = 1, at: Instant) -> Record:
        return sign(Statement(self.id, sequence, at, EVER, Revocations(serials)), signer(self.id))


def hash_of(node: NodeId) -> int:
    """A serial number that a test can name."""
    return sum(node.encode())


def trusting(me: NodeId, *operators: Authority, mine: Sealed | None = None) -> Trust:
    """A node that trusts these operators, and was certified by one of them."""
    policy = TrustPolicy(tuple(operator.trusted for operator in operators), (), mine)
    return Trust(me, policy, make_verifier())


def allowing(trust: Trust, *nodes: NodeId) -> Trust:
    """The same with an allow-list."""
    return Trust(trust._me, replace(trust.policy, allow=nodes), make_verifier())
