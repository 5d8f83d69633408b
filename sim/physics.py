"""Physics: how a simulated world behaves, apart from its sky and its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocols.types import Duration
from sim.crypto import Crypto


@dataclass(frozen=True, slots=True)
class Physics:
    """What a world is like beyond its plan."""

    loss: float = 0.0
    """Probability that a frame is lost on a link."""
    commit_ns: Duration = 0
    """What a Persist takes."""
    roster: Literal["neighbours", "all", "none"] = "neighbours"
    """Whom a node knows when it starts: those who live where its contacts lead, by name alone; or
    all of the mesh, by one signed roster that all nodes share, so that nothing of it is gossiped.
    """
    beat_ns: Duration = 0
    """After how much silence nodes ask for a sign of life; 0: they are told what would have come of
    it (`sim.silence`).
    """
    caches: bool = False
    """Whether a node's store keeps what is released."""
    crypto: Crypto = "modelled"
    operators: int = 0
    """How many certify the nodes, in turn; none: an open mesh."""
    predict: bool = True
    """Whether to ask the source's router, for every packet sent, when it will arrive."""
    check: bool = True
    lines_max: int = 0
