"""The full driver: what whole daemons cost in simulated time, and how much memory a host takes."""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from sim.full import carry
from sim.mesh import Mesh
from sim.outcome import Outcome
from sim.scenario.schema import Cable, Scenario
from sim.scenario.setting import setting_of

SIDE = 8
"""Daemons in a row and in a column of the torus."""

DURATION_S = 600


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took of this machine."""

    daemons: int
    links: int
    simulated_s: float
    wall_s: float
    cpu_s: float
    bytes_a_host: float
    """Resident, beyond what the process held before the first daemon."""
    events: int


def torus(side: int = SIDE, duration_s: int = DURATION_S) -> Scenario:
    """side x side nodes, each joined to four by cables of 5 ms; idle but for gossip."""
    name = [[f"n{row}-{column}" for column in range(side)] for row in range(side)]
    cables = []
    for row in range(side):
        for column in range(side):
            cables.append(Cable((name[row][column], name[row][(column + 1) % side])))
            cables.append(Cable((name[row][column], name[(row + 1) % side][column])))
    return Scenario(
        name="torus",
        question="What does the full driver cost?",
        method="Run idle daemons of degree four.",
        expectation="Four wall-minutes at most for ten simulated ones, 1 MB a host.",
        duration=f"{duration_s}s",
        members=tuple(node for line in name for node in line),
        cables=tuple(cables),
    )


def measure(side: int = SIDE, duration_s: int = DURATION_S) -> Cost:
    """Run the torus in this process, after a small one that has everything imported and warm."""
    if side > 3:
        measure(3, 10)
    scenario = torus(side, duration_s)
    setting = setting_of(scenario, Path())
    gc.collect()
    before = psutil.Process().memory_info().rss

    async def body(mesh: Mesh) -> tuple[Outcome, int]:
        await mesh.run_until(scenario.end)
        return await mesh.outcome(), psutil.Process().memory_info().rss

    wall, cpu = time.perf_counter(), _cpu_s()
    outcome, after = carry(scenario, setting, 1, body)
    return Cost(
        daemons=side * side,
        links=len(scenario.cables),
        simulated_s=duration_s,
        wall_s=time.perf_counter() - wall,
        cpu_s=_cpu_s() - cpu,
        bytes_a_host=(after - before) / (side * side),
        events=round(outcome.counters["events"]),
    )


def show(console: Console) -> None:
    """Print what the torus costs, beside what it may."""
    cost = measure()
    table = Table("full driver", "measured", "at most", title=f"{cost.daemons} whole daemons")
    table.add_row("simulated", f"{cost.simulated_s:.0f} s, {cost.events:,} events", "")
    table.add_row("wall time", f"{cost.wall_s:.0f} s ({cost.cpu_s:.0f} s of CPU)", "240 s")
    table.add_row("memory a host", f"{cost.bytes_a_host / 1e6:.2f} MB, degree 4", "1 MB")
    console.print(table)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
