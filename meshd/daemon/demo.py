"""The demo: 72 whole daemons on loopback, a route, a real job, a satellite lost in the middle."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

import meshd.examples
from meshd.config import Config
from meshd.daemon.daemon import Shared
from meshd.daemon.digits import Digits, load_digits
from meshd.daemon.fleet import Fleet, open_fleet
from meshd.daemon.mesh import JobFacts, LinkFacts, Mesh, RouteFacts
from meshd.daemon.plans import world_of
from protocols.errors import MeshError

if TYPE_CHECKING:
    from trio_typing import TaskStatus

CITIES = ("London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg")
EPOCH = "2026-01-01T00:58:00Z"
"""Fixed, so that every run sees the same sky: half a minute in which several links change."""

LINKS_WITHIN_S = 40.0
JOB_WITHIN_S = 90.0
PINGS = 5

Tell = Callable[[str], None]


class DemoFacts(msgspec.Struct, frozen=True):
    """What a run of the demo found. Times are in the unit their name ends in."""

    daemons: int
    daemons_alive: int
    """At the end: one was killed."""
    epoch: str
    links: LinkFacts
    route: RouteFacts
    job: JobFacts
    seconds: float


@dataclass(slots=True)
class Demo:
    """One run. `tell` gets a line of progress for people.

    `share` makes what the daemons share: a laboratory gives them something else than this world.
    """

    tell: Tell
    keep: bool = False
    slots: int = 1
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="meshd-")))
    record: Path | None = None
    """Where each daemon's life is written down, as SITE.rec."""
    share: Callable[[Config], Shared] = Shared.for_config

    async def run(self, *, task_status: TaskStatus[DemoFacts] = trio.TASK_STATUS_IGNORED) -> None:
        """Show everything, then report the facts through `task_status`; with `keep` live on.

        Raises MeshError with a code when a part does not do what the demo claims.
        """
        started = trio.current_time()
        digits = load_digits(Path(meshd.examples.__file__).parent / "digits")
        config = Config(
            constellation="iridium",
            stations=CITIES,
            emulate_light=True,
            epoch=EPOCH,
            slots=self.slots,
        )
        shared = self.share(config)
        async with (
            trio.open_nursery() as nursery,
            open_fleet(shared, self.folder, self.keep) as fleet,
        ):
            await nursery.start(shared.pool.run)
            nursery.start_soon(shared.pool.prewarm)
            await self._launch(fleet, config)
            facts = await self._show(fleet, digits, started)
            task_status.started(facts)
            if self.keep:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    async def _launch(self, fleet: Fleet, config: Config) -> None:
        world, shared = world_of(config), fleet.shared
        assert world is not None
        # The plan is built first, so that no daemon waits for it with its links down.
        await shared.plans.at(world, shared.clock.now())
        self.tell(f"contacts predicted for {len(world.sky.names)} sites at {EPOCH}")
        sites = list(zip(world.sky.names, world.sky.kinds, strict=True))
        for count, (name, kind) in enumerate(sites, 1):
            where = {"satellite": name} if kind == "satellite" else {"city": name, "slots": 0}
            if self.record is not None:
                where["record"] = str(self.record / f"{fleet.home(name).name}.rec")
            await fleet.start(name, msgspec.structs.replace(config, **where), world)
            if count % 12 == 0 or count == len(sites):
                self.tell(f"{count} of {len(sites)} daemons up")
        fleet.introduce()

    async def _show(self, fleet: Fleet, digits: Digits, started: float) -> DemoFacts:
        mesh = Mesh(fleet)
        links = await mesh.linked(LINKS_WITHIN_S, self.tell)
        self.tell(f"{links.up} lasers and ground links up, of {links.planned} planned now")
        route = await mesh.measure("London", "Sydney", PINGS)
        self._tell_route(route)
        job = await mesh.work(digits, ("London", "Sydney"), JOB_WITHIN_S, self.tell)
        self.tell(
            f"job done in {job.seconds:.1f} s: {job.completed} of {job.shards} shards, "
            f"{job.replaced} placed anew; "
            f"accuracy {job.accuracy:.1%} on {job.held_out} held-out images; "
            f"{'equal to' if job.matches_local else 'NOT equal to'} a local run"
        )
        seconds = trio.current_time() - started
        return DemoFacts(
            fleet.started, len(fleet.daemons), EPOCH, links, route, job, round(seconds, 2)
        )

    def _tell_route(self, route: RouteFacts) -> None:
        self.tell(f"London to Sydney: {' > '.join(route.path)}")
        self.tell(
            f"round trip: predicted {route.predicted_rtt_ms:.3f} ms, "
            f"measured {route.measured_rtt_ms:.3f} ms (median of {len(route.measured_ms)}, "
            f"{route.excess_ms:+.3f} ms of software on {2 * route.hops} hops); "
            f"the path holds until {route.valid_until}"
        )


async def run_demo(demo: Demo, done: Callable[[DemoFacts], None]) -> None:
    """Run until the facts are known, or, with `keep`, until cancelled. Raises MeshError."""
    try:
        async with trio.open_nursery() as nursery:
            done(await nursery.start(demo.run))
    except BaseExceptionGroup as group:
        raise first_error(group) from None


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error a person can act on, out of what a tree of tasks raised."""
    meant, rest = group.split(MeshError)
    chosen: BaseException = meant if meant is not None else rest or group
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return chosen
