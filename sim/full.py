"""FullMesh: the full driver. Whole daemons in one trio run, in simulated time.

The trio driver, libp2p hosts with Noise and yamux, SQLite and the control API are those of
`meshd up`; clock, wire, keys and chance are a laboratory's (sim/laboratory.py).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import trio
from msgspec.structs import replace

from meshd.daemon.daemon import Daemon
from meshd.daemon.demo import first_error
from meshd.daemon.fleet import Fleet, open_fleet
from meshd.seam import Effect, Event
from protocols.types import Instant
from sim.crew import Crew, Hear
from sim.daemons import DaemonMesh
from sim.ground import Ground, Ways
from sim.laboratory import Laboratory
from sim.mesh import Mesh
from sim.outcome import Outcome
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.simclock import SimClock
from sim.trace import Keep, Trace

T = TypeVar("T")


class FullMesh(DaemonMesh):
    """A `Mesh` of daemons that live in a fleet. `launch` it before anything else."""

    driver = "full"

    def __init__(
        self, scenario: Scenario, setting: Setting, laboratory: Laboratory, fleet: Fleet
    ) -> None:
        super().__init__(scenario, setting, laboratory.seed, fleet.nursery)
        self.laboratory, self.fleet = laboratory, fleet
        laboratory.furnish(setting.names, setting.cables)
        crew = _TracedCrew(scenario, setting, laboratory, fleet, self.tally.hear)
        self.trace = crew.trace
        self.hosts = (crew,)

    async def launch(self) -> None:
        await super().launch()
        await self.laboratory.mission.clock.settle()

    async def _set_off(self) -> None:
        """Simulated time passes once nothing more can happen, unasked."""

    @property
    def now(self) -> Instant:
        return self.laboratory.mission.now()

    async def run_until(self, at: Instant) -> None:
        await trio.sleep(self.laboratory.mission.real_seconds_until(at))
        await self.laboratory.mission.clock.settle()

    async def outcome(self) -> Outcome:
        outcome = await super().outcome()
        counters = {**outcome.counters, "trace_items": self.trace.count}
        return replace(outcome, counters=counters, trace_hash=self.trace.hash)

    def _address_of(self, name: str) -> str:
        """Known before it lives: who is wired to a sleeper calls it from the start."""
        return self.laboratory.address_of(name)


class _TracedCrew(Crew):
    """A crew that writes a trace of all that its nodes take and want."""

    def __init__(
        self, scenario: Scenario, setting: Setting, ground: Ground, fleet: Fleet, hear: Hear
    ) -> None:
        super().__init__(scenario, setting, ground, fleet, hear)
        self.trace, self._names = Trace(), setting.names

    def _follow(self, daemon: Daemon) -> None:
        super()._follow(daemon)
        daemon.driver.journal = _Witness(self.trace, self._names.index(daemon.name))


class _Witness:
    """Tells the trace what one node takes and wants."""

    def __init__(self, trace: Trace, index: int) -> None:
        self._trace, self._index, self._now = trace, index, 0

    def begin(self, event: Event, now: Instant) -> None:
        self._now = now
        self._trace.event(now, self._index, event)

    def end(self, effects: list[Effect]) -> None:
        self._trace.effects(self._now, self._index, effects)


def carry(
    scenario: Scenario,
    setting: Setting,
    seed: int,
    body: Callable[[Mesh], Coroutine[Any, Any, T]],
    keep: Keep | None = None,
) -> T:
    """Run a body over a mesh of this driver, in a trio run of its own."""
    clock = SimClock(seed)

    async def main() -> T:
        ways = Ways(scenario.link.loss, scenario.node.speed)
        laboratory = Laboratory(seed, clock, scenario.start, setting.plan, ways)
        async with open_fleet(laboratory) as fleet:
            mesh = FullMesh(scenario, setting, laboratory, fleet)
            mesh.trace.keep = keep
            await mesh.launch()
            return await body(mesh)

    try:
        return trio.run(main, clock=clock)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
