"""Compare: one scenario under the heap and under the full driver, decision by decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.types import Duration
from sim import full, heap
from sim.mesh import Mesh
from sim.outcome import JobFate, Outcome, PacketFate
from sim.play import Player
from sim.scenario.schema import Scenario
from sim.scenario.setting import setting_of


@dataclass
class Agreement:
    """What was compared, what differed, and the longest time between two like events."""

    decisions: int = 0
    differences: list[str] = field(default_factory=list)
    packets_apart_ns: Duration = 0
    jobs_apart_ns: Duration = 0

    def same(self, what: str, one: object, other: object) -> None:
        self.decisions += 1
        if one != other:
            self.differences.append(f"{what}: heap {one}, full {other}")


def both(scenario: Scenario, seed: int) -> tuple[Outcome, Outcome]:
    """The outcomes of a scenario under the heap and under the full driver."""
    return carried(heap.carry, scenario, seed), carried(full.carry, scenario, seed)


def carried(carry: Callable[..., Outcome], scenario: Scenario, seed: int) -> Outcome:
    """The outcome under one driver."""
    setting = setting_of(scenario, Path())

    async def body(mesh: Mesh) -> Outcome:
        return await Player(scenario, setting, mesh).finish()

    return carry(scenario, setting, seed, body)


def compare(one: Outcome, other: Outcome) -> Agreement:
    """Predictions, hops and refusals of packets; status, holders, epochs and codes of jobs."""
    found = Agreement()
    found.same("counts", (len(one.packets), len(one.jobs)), (len(other.packets), len(other.jobs)))
    for a, b in zip(one.packets, other.packets, strict=True):
        _packet(found, a, b)
    for c, d in zip(one.jobs, other.jobs, strict=True):
        _job(found, c, d)
    return found


def _packet(found: Agreement, a: PacketFate, b: PacketFate) -> None:
    name = f"{a.packet}, {a.source} to {a.destination},"
    found.same(f"{name} predicted", a.predicted_path, b.predicted_path)
    found.same(f"{name} path", a.path, b.path)
    found.same(f"{name} lost", a.lost, b.lost)
    found.packets_apart_ns = max(found.packets_apart_ns, _apart(a.arrived_at, b.arrived_at))


def _job(found: Agreement, a: JobFate, b: JobFate) -> None:
    found.same(f"{a.job} status", (a.status, a.code), (b.status, b.code))
    for one, other in zip(a.shards, b.shards, strict=True):
        found.same(f"{a.job}/{one.index} holder", one.holder, other.holder)
        found.same(f"{a.job}/{one.index} end", (one.phase, one.epoch), (other.phase, other.epoch))
    found.jobs_apart_ns = max(found.jobs_apart_ns, _apart(a.ended_at, b.ended_at))


def _apart(a: Any, b: Any) -> Duration:
    return 0 if a is None or b is None else abs(a - b)
