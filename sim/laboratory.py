"""Laboratory: what whole daemons stand on in simulated time instead of sockets and chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from meshd.adapters.executor import Executor, WorkerPool
from meshd.adapters.identity import Identity, load_or_create, write_key
from meshd.daemon.daemon import Daemon, Light, Shared
from meshd.daemon.plans import Plans, World
from meshd.ports import ClockPort, ExecutorPort
from meshd.seam import Event
from meshd.topology import ContactPlan
from protocols.types import Instant, NodeId
from sim.chance import node_id, number, secret
from sim.medium import Medium
from sim.simclock import SimClock, SimMission
from sim.wire import Wire, WireTransport
from sim.work import ModelledWork, TimedWork


class GivenPlan(Plans):
    """One contact plan, made before, whatever the sky and the time."""

    def __init__(self, plan: ContactPlan | None) -> None:
        super().__init__()
        self.plan = plan

    async def ahead(
        self, world: World | None, clock: ClockPort
    ) -> AsyncGenerator[ContactPlan, None]:
        if self.plan is not None:
            yield self.plan

    async def at(self, world: World, now: Instant) -> ContactPlan:
        assert self.plan is not None
        return self.plan


@dataclass(frozen=True, slots=True)
class Ways:
    """How a laboratory differs from one that is ideal."""

    loss: float = 0.0
    """Probability that the medium loses a segment; it is sent again, so it comes late."""
    speed: float = 1.0
    """Of the hosts: a shard takes its estimate, divided by this."""
    real_workers: bool = False
    """Run shards in worker processes, with time held, instead of modelling them."""


class Laboratory(Shared):
    """Everything that daemons of one simulated mesh share. Within `trio.run(..., clock=clock)`.

    Keys, chance, light time and order follow from (seed, name); Noise's own ephemeral keys do not,
    so bytes differ from run to run, decisions do not. Names are places in the plan, where it has
    them.
    """

    def __init__(
        self,
        seed: int,
        clock: SimClock,
        start: Instant,
        plan: ContactPlan | None = None,
        ways: Ways | None = None,
    ) -> None:
        self.seed, self.ways = seed, ways or Ways()
        self.mission = SimMission(clock, start)
        super().__init__(self.mission, WorkerPool(busy=clock.held), GivenPlan(plan))
        self.medium = Medium(seed, plan, self.ways.loss)
        self.wire = Wire(self.medium, self.mission)
        self._plan = plan
        self._ends: dict[str, int] = {}
        self._lives: Counter[str] = Counter()

    def end_of(self, name: str) -> int:
        """The index of a host in the medium; a new name is given the next, at its site."""
        if name not in self._ends:
            end = self._ends[name] = len(self._ends)
            if self._plan is not None and name in self._plan.names:
                self.medium.place(end, self._plan.index_of(name))
        return self._ends[name]

    def node_of(self, name: str) -> NodeId:
        return node_id(self.seed, name)

    def address_of(self, name: str) -> str:
        return f"{self.wire.address_of(self.end_of(name))}/p2p/{self.node_of(name)}"

    # --- Shared ---------------------------------------------------------------------------------

    def identity(self, daemon: Daemon) -> Identity:
        path = daemon.home / "identity.key"
        if not path.exists():
            write_key(path, secret(self.seed, daemon.name))
        return load_or_create(path)

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

    def chance(self, daemon: Daemon) -> int:
        life = self._lives[daemon.name]
        self._lives[daemon.name] += 2  # a start and an end: as sim.host.Host counts
        return number(self.seed, daemon.name, "node", life)
