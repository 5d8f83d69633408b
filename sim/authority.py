"""Authority: operators of a simulated mesh, and what they certify; all follows from the seed."""

from __future__ import annotations

from meshd.trust.certificates import seal
from meshd.trust.policy import Operator, TrustPolicy
from protocols.certificate import ELEMENTS, Certificate, Sealed
from protocols.types import Instant, NodeId
from sim.chance import node_id
from sim.crypto import Crypto, signer_of

EVER: Instant = 1 << 61


class Authorities:
    """So many operators, who trust each other; the nodes are theirs in turn. None: an open mesh.

    The operator number 2 flies the satellites `sat-2-*`, whoever else is in the sky.
    """

    def __init__(self, seed: int, crypto: Crypto, count: int) -> None:
        self._seed, self._crypto = seed, crypto
        self.ids = tuple(node_id(seed, f"operator-{number}") for number in range(count))

    def policy(self, index: int, node: NodeId, site: str) -> TrustPolicy:
        """What a node is made with."""
        if not self.ids:
            return TrustPolicy()
        operators = tuple(
            Operator(known, f"operator-{number}", (f"sat-{number}-*",))
            for number, known in enumerate(self.ids)
        )
        return TrustPolicy(operators, (), self.certify(index, node, site))

    def certify(self, index: int, node: NodeId, site: str, ends: Instant = EVER) -> Sealed:
        """By the operator whose turn it is."""
        number = index % len(self.ids)
        operator = self.ids[number]
        plain = Certificate(node, operator, (ELEMENTS,), site, 0, ends, index + 1)
        return seal(plain, signer_of(self._crypto, self._seed, f"operator-{number}", operator))
