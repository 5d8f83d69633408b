"""TrustPolicy: the operators that a daemon trusts, as its own operator has written them down."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from protocols.certificate import Sealed
from protocols.types import NodeId

OPERATORS_MAX = 64


@dataclass(frozen=True, slots=True)
class Operator:
    """One that may certify nodes, and the satellites it flies, as names or patterns (`ONE-*`)."""

    id: NodeId
    name: str = ""
    satellites: tuple[str, ...] = ("*",)

    def flies(self, satellite: str) -> bool:
        return any(fnmatchcase(satellite, pattern) for pattern in self.satellites)


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Without an operator the mesh is **open**: who is heard is believed, as in a laboratory.

    With `allow`, only those nodes may be neighbours, open or not.
    """

    operators: tuple[Operator, ...] = ()
    allow: tuple[NodeId, ...] = ()
    certificate: Sealed | None = None
    """This node's own, to be shown."""

    @property
    def open(self) -> bool:
        return not self.operators

    def trusts(self, operator: NodeId) -> bool:
        return any(known.id == operator for known in self.operators)

    def owner_of(self, satellite: str) -> NodeId | None:
        """The operator that flies a satellite; of two that claim it, neither."""
        claims = [known.id for known in self.operators if known.flies(satellite)]
        return claims[0] if len(claims) == 1 else None
