"""Mesh: what a scenario and a script can do to nodes, whichever driver carries them."""

from __future__ import annotations

from typing import Protocol

from protocols.types import Instant
from sim.outcome import Outcome
from sim.scenario.actions import Action


class Mesh(Protocol):
    """Nodes under one driver: `heap` (sim/heap.py), `full` (sim/full.py) or `real` (sim/real.py).

    Time goes on in `run_until` alone. Waiting is real under `real`, simulated under the others;
    under `heap` no method ever suspends.
    """

    seed: int
    start: Instant
    names: tuple[str, ...]
    """Every node, in the order of the plan."""

    @property
    def now(self) -> Instant:
        """Mission time."""
        ...

    async def run_until(self, at: Instant) -> None:
        """Let everything happen up to an instant, and what happens at it too."""
        ...

    async def act(self, action: Action) -> str:
        """Do it now, `at` or not. Gives the name of the packet or job that began, else "".

        Nodes are named as in `names`, no patterns. Raises InputError "unsupported-action" for
        what this driver cannot do.
        """
        ...

    async def sample(self) -> None:
        """Note the figures of this instant; `outcome` has them all."""
        ...

    async def holder(self) -> str:
        """The node with the most unfinished shards of all jobs, ties by name; "" for none."""
        ...

    async def outcome(self) -> Outcome:
        """What has become of everything so far."""
        ...
