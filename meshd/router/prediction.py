"""What the router says of a packet: its next hop, or its whole way."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.types import Duration, Instant, NodeId


@dataclass(frozen=True, slots=True)
class NextHop:
    """Hand the packet to `node`, not before `depart`; it reaches its destination at `arrive`."""

    node: NodeId
    depart: Instant
    arrive: Instant
    hop_ns: Duration


@dataclass(frozen=True, slots=True)
class Leg:
    node: NodeId
    depart: Instant
    arrive: Instant


@dataclass(frozen=True, slots=True)
class Prediction:
    """The best way from one node to another for a departure at `at`."""

    at: Instant
    source: NodeId
    legs: tuple[Leg, ...]

    @property
    def arrive(self) -> Instant:
        return self.legs[-1].arrive if self.legs else self.at

    @property
    def path(self) -> tuple[NodeId, ...]:
        return (self.source, *(leg.node for leg in self.legs))
