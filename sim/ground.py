"""Ground: what daemons of an experiment stand on, whatever time it is run in."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from meshd.adapters.clock import MissionClock
from meshd.adapters.executor import WorkerPool
from meshd.adapters.identity import Identity, load_or_create, write_key
from meshd.daemon.daemon import Daemon, Shared
from meshd.daemon.plans import Plans, World
from meshd.ports import ClockPort
from meshd.topology import ContactPlan
from protocols.types import Duration, Instant, NodeId
from sim.chance import node_id, number, secret
from sim.medium import Medium


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


class Ground(Shared):
    """Everything that daemons of one experiment share: keys and chance of a seed, and a medium.

    Names are places in the plan, where it has them; ends of the medium are counted as they come.
    """

    def __init__(
        self, seed: int, clock: MissionClock, pool: WorkerPool, plan: ContactPlan | None, ways: Ways
    ) -> None:
        super().__init__(clock, pool, GivenPlan(plan))
        self.seed, self.ways = seed, ways
        self.medium = Medium(seed, plan, ways.loss)
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

    def furnish(
        self, names: tuple[str, ...], cables: tuple[tuple[str, str, Duration], ...]
    ) -> None:
        """A host for everyone, and the cables between them."""
        for name in names:
            self.end_of(name)
        for a, b, light_ns in cables:
            self.medium.lay(self.end_of(a), self.end_of(b), light_ns)

    def bar(self, parted: tuple[str, ...], out: tuple[str, ...]) -> None:
        """From now on nothing passes between those parted and the rest, nor at those out."""
        self.medium.barriers.part(frozenset(map(self.end_of, parted)))
        self.medium.barriers.cut_off(frozenset(map(self.end_of, out)))

    async def set_off(self, real: Instant) -> None:
        """Let mission time pass from a real instant on, where it does not by itself."""

    def sever(self, name: str) -> None:
        """A daemon is about to be killed: nothing it says from now on may be heard."""

    @property
    def connections(self) -> int:
        """Made so far, where that is known."""
        return 0

    # --- Shared ---------------------------------------------------------------------------------

    def identity(self, daemon: Daemon) -> Identity:
        path = daemon.home / "identity.key"
        if not path.exists():
            write_key(path, secret(self.seed, daemon.name))
        return load_or_create(path)

    def chance(self, daemon: Daemon) -> int:
        life = self._lives[daemon.name]
        self._lives[daemon.name] += 2  # a start and an end: as sim.host.Host counts
        return number(self.seed, daemon.name, "node", life)
