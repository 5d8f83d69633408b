"""Both: one scenario under the heap and under the full driver, for sim/parity.py to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim import full, heap
from sim.mesh import Mesh
from sim.outcome import Outcome
from sim.play import Player
from sim.scenario.schema import Scenario
from sim.scenario.setting import setting_of


def both(scenario: Scenario, seed: int) -> tuple[Outcome, Outcome]:
    """The outcomes of a scenario under the heap and under the full driver."""
    return carried(heap.carry, scenario, seed), carried(full.carry, scenario, seed)


def carried(carry: Callable[..., Outcome], scenario: Scenario, seed: int) -> Outcome:
    """The outcome under one driver."""
    setting = setting_of(scenario, Path())

    async def body(mesh: Mesh) -> Outcome:
        return await Player(scenario, setting, mesh).finish()

    return carry(scenario, setting, seed, body)
