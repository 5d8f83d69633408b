"""Player: takes a mesh through a scenario, step by step, and says what came of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from meshd.ephemeris import parse_duration
from protocols.types import Instant
from sim.mesh import Mesh
from sim.outcome import Happened, Outcome
from sim.scenario.actions import Action, Kill, Names, Ping, Restart, Send, Submit
from sim.scenario.names import listed
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.scenario.steps import HOLDER, Step, steps_of

QUIET = (Send, Ping, Submit)
"""Actions whose trace is in the fates of packets and jobs."""

Tell = Callable[[Instant], None]


class Player:
    """Performs what is due as time goes on. `tell` hears the time after every stretch of it."""

    def __init__(
        self, scenario: Scenario, setting: Setting, mesh: Mesh, tell: Tell = lambda now: None
    ) -> None:
        self.scenario = scenario
        self.setting = setting
        self.mesh = mesh
        self.happened: list[Happened] = []
        self.measured: dict[str, float] = {}
        self.broken: list[str] = []
        self._tell = tell
        self._steps: deque[Step] = deque(steps_of(scenario, setting, mesh.seed))
        self._sample_ns = parse_duration(scenario.sample_every)
        self._sample_at: Instant = scenario.start

    async def run_until(self, at: Instant) -> None:
        """Let time go on to an instant; all steps due by then are done at theirs."""
        while True:
            due = self._steps[0].at if self._steps else at
            stop = min(due, self._sample_at, at)
            await self.mesh.run_until(stop)
            self._tell(stop)
            if stop == self._sample_at:
                await self.mesh.sample()
                self._sample_at += self._sample_ns
            while self._steps and self._steps[0].at <= stop:
                await self.act(self._steps.popleft().action)
            if stop == at:
                return

    async def act(self, action: Action) -> str:
        """Do one thing now, and note that it was done."""
        if isinstance(action, Kill | Restart) and action.nodes == HOLDER:
            action = msgspec.structs.replace(action, nodes=await self._holder(action))
        begun = await self.mesh.act(action) if getattr(action, "nodes", True) else ""
        if not isinstance(action, QUIET):
            nodes: Names = getattr(action, "nodes", getattr(action, "between", ()))
            what = str(type(action).__struct_config__.tag)
            self.happened.append(Happened(self.mesh.now, what, listed(nodes)))
        return begun

    async def finish(self) -> Outcome:
        """Go on to the scenario's end. Raises `sim.checkers.Violation` under the heap driver."""
        await self.run_until(self.scenario.end)
        return msgspec.structs.replace(
            await self.mesh.outcome(),
            happened=tuple(self.happened),
            measured=self.measured,
            broken=tuple(self.broken),
        )

    async def _holder(self, action: Kill | Restart) -> tuple[str, ...]:
        """Who is meant by `holder`: the busiest now, or to restart, whoever was killed last."""
        if isinstance(action, Kill):
            name = await self.mesh.holder()
            return (name,) if name else ()
        killed = [done.nodes for done in self.happened if done.what == "kill" and done.nodes]
        return killed[-1] if killed else ()
