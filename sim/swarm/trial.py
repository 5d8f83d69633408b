"""Trial: one scenario under one seed, run to its end or to the first broken law."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from protocols.errors import MeshError
from sim import heap
from sim.heap import HeapMesh
from sim.laws.law import Violation
from sim.mesh import Mesh
from sim.play import Player
from sim.scenario.schema import Scenario
from sim.scenario.setting import setting_of
from sim.swarm.draw import draw


@dataclass(slots=True)
class Trial:
    """What one seed came to. `broken` is the law that failed, "" for none."""

    seed: int
    broken: str = ""
    about: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    saw: dict[str, int] = field(default_factory=dict)
    checks: int = 0
    events: int = 0
    trace_hash: str = ""
    shape: str = ""


def try_seed(seed: int) -> Trial:
    """Draw a seed's scenario and run it."""
    drawn = draw(seed)
    trial = try_scenario(drawn.scenario, seed)
    trial.faults, trial.shape = dict(drawn.faults), drawn.shape
    return trial


def try_scenario(scenario: Scenario, seed: int, folder: Path = Path()) -> Trial:
    """Run it under the heap driver. A broken law, or any error of a node, ends it."""
    trial = Trial(seed)
    held: list[HeapMesh] = []
    setting = setting_of(scenario, folder)

    async def body(mesh: Mesh) -> None:
        assert isinstance(mesh, HeapMesh)
        held.append(mesh)
        await Player(scenario, setting, mesh).finish()

    try:
        heap.carry(scenario, setting, seed, body)
    except Violation as violation:
        trial.broken, trial.about = violation.law, str(violation)
    except MeshError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a node raises is a finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        trial.broken = f"{type(error).__name__} in {Path(where.filename).name}:{where.name}"
        trial.about = f"{trial.broken}, line {where.lineno}: {error}"
    if held:
        world = held[0].world
        checkers = world.checkers
        saw: Counter[str] = checkers.saw if checkers else Counter()
        trial.saw = {name: count for name, count in sorted(saw.items()) if count}
        trial.checks = checkers.checks if checkers else 0
        trial.events, trial.trace_hash = world.events, world.trace.hash
    return trial
