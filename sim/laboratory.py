"""Laboratory: what whole daemons stand on in simulated time instead of sockets and chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshd.adapters.executor import Executor, WorkerPool
from meshd.daemon.daemon import Daemon, Light
from meshd.ports import ExecutorPort
from meshd.seam import Event
from meshd.topology import ContactPlan
from protocols.types import Instant
from sim.ground import Ground, Ways
from sim.orders import Bar
from sim.simclock import SimClock, SimMission
from sim.wire import Wire, WireTransport
from sim.work import ModelledWork, TimedWork


class Laboratory(Ground):
    """The ground of one simulated mesh. Within `trio.run(..., clock=clock)`.

    Keys, chance, light time and order follow from (seed, name); Noise's own ephemeral keys do not,
    so bytes differ from run to run, decisions do not.
    """

    def __init__(
        self,
        seed: int,
        clock: SimClock,
        start: Instant,
        plan: ContactPlan | None = None,
        ways: Ways | None = None,
    ) -> None:
        self.mission = SimMission(clock, start)
        super().__init__(seed, self.mission, WorkerPool(busy=clock.held), plan, ways or Ways())
        self.wire = Wire(self.medium, self.mission)

    def address_of(self, name: str) -> str:
        return f"{self.wire.address_of(self.end_of(name))}/p2p/{self.node_of(name)}"

    # --- Ground ---------------------------------------------------------------------------------

    def at(self, instant: Instant, call: Callable[..., None], *arguments: Any) -> None:
        self.mission.at(instant, call, *arguments)

    def bar(self, order: Bar) -> None:
        super().bar(order)
        self.wire.notice_silence()

    def sever(self, name: str) -> None:
        """Its connections end first: the kernel, or the sky, does that for the dead."""
        self.wire.sever(self.end_of(name))

    @property
    def connections(self) -> int:
        return self.wire.connections

    # --- Shared ---------------------------------------------------------------------------------

    def transport(self, daemon: Daemon) -> WireTransport:
        return self.wire.transport(self.end_of(daemon.name))

    def light(self, daemon: Daemon) -> Light:
        return "carried"

    def executor(self, daemon: Daemon, post: Callable[[Event], None]) -> ExecutorPort:
        if not self.ways.real_workers:
            return ModelledWork(self.mission, daemon.blobs, post, self.ways.speed)

        def make(tell: Callable[[Event], None]) -> Executor:
            return Executor(self.pool, daemon.blobs, tell, daemon.config.allow_command)

        return TimedWork(make, self.mission, post, self.ways.speed)
