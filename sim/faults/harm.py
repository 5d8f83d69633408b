"""Harm: does to a world what a timeline says, and undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshd.ephemeris import parse_duration
from meshd.seam import Event
from protocols.types import SECOND
from sim.chance import number
from sim.faults import foe
from sim.faults.clock import SkewedClock
from sim.faults.disk import Commit
from sim.faults.noise import Noise
from sim.faults.stall import Stall
from sim.host import Host
from sim.scenario.actions import (
    Backup,
    Behave,
    Calm,
    ClearDisk,
    Cut,
    Disturb,
    FailCommit,
    FillDisk,
    Mend,
    Names,
    Pause,
    Recover,
    Resume,
    Rollback,
    Settled,
    Skew,
    Slow,
    Swallow,
    Tell,
)
from sim.tally import custody_on

if TYPE_CHECKING:
    from sim.world import World

RESTART_NS = SECOND
"""After a daemon has stopped by itself, its supervisor starts it again."""


class Harm:
    """The faults of one world. `table` has an entry for every action it performs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.table: dict[type, Callable[[Any], None]] = {
            Cut: self._cut,
            Mend: lambda action: world.medium.barriers.mend(*self._ends(action.between)),
            Disturb: self._disturb,
            Calm: lambda action: self._each(action, self._calm),
            Pause: lambda action: self._each(action, self._pause),
            Slow: self._slow,
            Resume: lambda action: self._each(action, self._resume),
            Skew: lambda action: self._each(action, lambda host: self._skew(host, action)),
            FailCommit: lambda action: self._each(action, _fail),
            FillDisk: lambda action: self._each(action, lambda host: _fill(host, True)),
            ClearDisk: lambda action: self._each(action, lambda host: _fill(host, False)),
            Backup: lambda action: self._each(action, lambda host: host.disk.keep_copy()),
            Rollback: lambda action: self._each(action, self._roll_back),
            Swallow: lambda action: self._each(action, _swallow),
            Behave: lambda action: self._each(action, _behave),
            Tell: lambda action: self._each(action, lambda h: foe.tell(world, h, action.lie)),
            Recover: lambda action: self.recover(),
            Settled: lambda action: world.must_be_settled(),
        }

    def _hosts(self, nodes: Names) -> list[Host]:
        names = (nodes,) if isinstance(nodes, str) else nodes
        return [self._world.host(name) for name in names]

    def _each(self, action: Any, do: Callable[[Host], None]) -> None:
        for host in self._hosts(action.nodes):
            do(host)

    def _ends(self, names: tuple[str, ...]) -> tuple[int, int]:
        a, b = (self._world.host(name).index for name in names)
        return a, b

    # --- links ----------------------------------------------------------------------------------

    def _cut(self, action: Cut) -> None:
        self._world.medium.barriers.cut(*self._ends(action.between), one_way=action.one_way)
        self._world.links.notice_silence()

    def _disturb(self, action: Disturb) -> None:
        for host in self._hosts(action.nodes):
            self._world.medium.noise[host.index] = Noise(
                loss=action.loss,
                burst=action.burst,
                duplicate=action.duplicate,
                reorder=action.reorder,
                corrupt=action.corrupt,
                replay=action.replay,
                delay_ns=parse_duration(action.delay),
                rate=action.rate,
                outbox_bytes=action.outbox_bytes,
            )

    def _calm(self, host: Host) -> None:
        self._world.medium.noise.pop(host.index, None)

    # --- a node's time --------------------------------------------------------------------------

    def _slow(self, action: Slow) -> None:
        for host in self._hosts(action.nodes):
            host.work_speed = action.speed
            self._stall(host, Stall(parse_duration(action.lag)))

    def _pause(self, host: Host) -> None:
        self._stall(host, Stall())
        if host.stall is not None:
            self._world.links.stand_still(host)

    def _stall(self, host: Host, stall: Stall) -> None:
        if host.node is not None and host.disk.start is None:
            self._resume_events(host)
            host.stall = stall

    def begin(self, host: Host) -> None:
        """What a node is told after its start waits until that is on disk, as in its driver."""
        if host.disk.unsynced:
            host.stall = host.disk.start = Stall()

    def begun(self, host: Host) -> None:
        """The first commit of a life is done."""
        start, host.disk.start = host.disk.start, None
        if start is not None and host.stall is start:
            self._resume_events(host)

    def hold(self, host: Host, event: Event) -> None:
        """An event for a node that stands or is slow."""
        stall = host.stall
        assert stall is not None
        stall.add(event)
        if stall.lag_ns is not None:
            world = self._world
            world.schedule(world.now + stall.lag_ns, self._late, (host, stall))

    def _late(self, host: Host, stall: Stall) -> None:
        if host.stall is stall and stall.waiting and host.node is not None:
            self._world.take(host, stall.waiting.popleft())

    def _resume(self, host: Host) -> None:
        host.work_speed = 1.0
        if host.disk.start is None:
            self._resume_events(host)

    def _resume_events(self, host: Host) -> None:
        """All that waited comes at once; timers first, as in the daemon's loop."""
        stall = host.stall
        if stall is None:
            return
        self._world.saw("events waited for a node that stood still", len(stall.waiting) > 8)
        stall.timers_first()
        while stall.waiting and host.stall is stall:  # it may die of what it hears
            self._world.take(host, stall.waiting.popleft())
        if host.stall is stall:
            host.stall = None

    def _skew(self, host: Host, action: Skew) -> None:
        world = self._world
        told = host.clock.read(world.now) if host.clock else world.now
        by = parse_duration(action.by.removeprefix("-"))
        offset = -by if action.by.startswith("-") else by
        host.clock = SkewedClock(world.now, offset, round(action.drift_ppm), told)
        stands = told > world.now + offset
        world.saw("a node's clock stood until the true time was there", stands)
        world.arm(host, host.deadline)

    # --- a node's disk --------------------------------------------------------------------------

    def store_failed(self, host: Host, commit: Commit) -> None:
        """A commit has failed: its rows may be there or not, and the daemon ends."""
        world, disk = self._world, host.disk
        disk.failing = False
        if number(world.seed, "eio", host.name, host.life) % 2:
            disk.write(commit)
            world.saw("rows of a commit that failed were on disk all the same")
        world.saw("a commit failed and the daemon stopped")
        world.kill(host.name)
        world.schedule(world.now + RESTART_NS, self._back, (host, host.life))

    def _back(self, host: Host, life: int) -> None:
        if host.node is None and host.life == life:
            self._world.restart(host.name)

    def _roll_back(self, host: Host) -> None:
        if host.node is not None:
            self._world.kill(host.name)
        gone = set(custody_on(host.disk.rows)).difference(custody_on(host.disk.copy))
        self._world.tally.died(gone)
        host.disk.rows = dict(host.disk.copy)
        host.excused |= {"sequence", "jobs", "results", "custody"}
        self._world.saw("a node came back on an old copy of its database")

    # --- after all ------------------------------------------------------------------------------

    def recover(self) -> None:
        """Every fault ends, and whoever has lived and is down comes back."""
        world = self._world
        world.heal()
        world.medium.noise.clear()
        for host in world.hosts.values():
            host.disk.failing = False
            _fill(host, False)
            _behave(host)
            self._resume(host)
            if host.clock is not None:
                self._skew(host, Skew(nodes=(), by="0s"))
            if host.node is None and host.life:
                world.restart(host.name)


def _fail(host: Host) -> None:
    host.disk.failing = True


def _fill(host: Host, full: bool) -> None:
    host.blobs.full = full
    if full:
        host.excused.add("disk")


def _swallow(host: Host) -> None:
    host.swallows = True


def _behave(host: Host) -> None:
    host.swallows = False
