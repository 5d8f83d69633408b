"""Ground: what daemons of an experiment stand on, whatever time it is run in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from meshd.adapters.clock import MissionClock
from meshd.adapters.executor import WorkerPool
from meshd.adapters.identity import Identity, load_or_create, write_key
from meshd.daemon.daemon import Daemon, Shared
from meshd.daemon.plans import Plans, World
from meshd.ports import ClockPort
from meshd.topology import ContactPlan
from protocols.types import Duration, Instant, NodeId
from sim.chance import node_id, number, secret
from sim.faults.clock import SkewedClock
from sim.faults.noise import Noise
from sim.medium import Medium
from sim.orders import Bar, Skewed, Trouble


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


class OwnClock:
    """A daemon's own clock: that of the mission, unless it is off."""

    def __init__(self, clock: MissionClock, skewed: Callable[[], SkewedClock | None]) -> None:
        self._clock, self._skewed = clock, skewed

    def now(self) -> Instant:
        skewed, now = self._skewed(), self._clock.now()
        return now if skewed is None else skewed.read(now)

    def real_seconds_until(self, instant: Instant) -> float:
        skewed = self._skewed()
        at = instant if skewed is None else skewed.when(instant)
        return self._clock.real_seconds_until(at)


class Ground(Shared, ABC):
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
        self._skewed: dict[str, SkewedClock] = {}

    @abstractmethod
    def at(self, instant: Instant, call: Callable[..., None], *arguments: Any) -> None:
        """Call when mission time is there."""

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

    def bar(self, order: Bar) -> None:
        """From now on this, and nothing else, stands between daemons."""
        barriers = self.medium.barriers
        barriers.clear()
        barriers.part(frozenset(map(self.end_of, order.parted)))
        barriers.cut_off(frozenset(map(self.end_of, order.out)))
        for a, b in order.cuts:
            barriers.cut(self.end_of(a), self.end_of(b))

    def trouble(self, order: Trouble) -> None:
        """A stream comes late where the medium loses of it, or carries less."""
        end, bad = self.end_of(order.name), order.disturb
        self.medium.noise.pop(end, None)
        if bad is not None:
            self.medium.noise[end] = Noise(loss=bad.loss, burst=bad.burst, rate=bad.rate)

    def skew(self, order: Skewed) -> None:
        """What a daemon is told of the time goes on from what it was told last."""
        last = self._skewed.get(order.name)
        now = self.clock.now()
        told = last.read(now) if last else now
        self._skewed[order.name] = SkewedClock(now, order.offset_ns, order.drift_ppm, told)

    async def set_off(self, real: Instant) -> None:
        """Let mission time pass from a real instant on, where it does not by itself."""

    def sever(self, name: str) -> None:
        """A daemon is about to be killed: nothing it says from now on may be heard."""

    @property
    def connections(self) -> int:
        """Made so far, where that is known."""
        return 0

    # --- Shared ---------------------------------------------------------------------------------

    def clock_of(self, daemon: Daemon) -> ClockPort:
        return OwnClock(self.clock, lambda: self._skewed.get(daemon.name))

    def identity(self, daemon: Daemon) -> Identity:
        path = daemon.home / "identity.key"
        if not path.exists():
            write_key(path, secret(self.seed, daemon.name))
        return load_or_create(path)

    def chance(self, daemon: Daemon) -> int:
        life = self._lives[daemon.name]
        self._lives[daemon.name] += 2  # a start and an end: as sim.host.Host counts
        return number(self.seed, daemon.name, "node", life)
