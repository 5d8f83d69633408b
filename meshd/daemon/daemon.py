"""Daemon: puts one node together with everything it runs on, and takes it apart again."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal, TypeAlias

import trio

from meshd.adapters.blobstore import BlobStore
from meshd.adapters.clock import MissionClock, parse_epoch
from meshd.adapters.control import serve_control
from meshd.adapters.executor import Executor, WorkerPool
from meshd.adapters.home import HomeLock
from meshd.adapters.identity import Identity, Verifier, load_or_create
from meshd.adapters.libp2p import Libp2pLinks
from meshd.adapters.metrics_socket import serve_metrics
from meshd.adapters.recorder import Recorder
from meshd.adapters.requests import Requests
from meshd.adapters.store import Store
from meshd.adapters.updates import read_updates
from meshd.config import Config
from meshd.daemon.clients import Clients
from meshd.daemon.console import Console
from meshd.daemon.plans import Coming, Plans, World, world_of
from meshd.daemon.renewal import Renewal
from meshd.daemon.trusting import bootstrap_of, check_owners, check_policy, policy_of
from meshd.driver import Driver, Ports
from meshd.forwarding.pulse import BEAT_NS
from meshd.node import Node, NodeConfig
from meshd.ports import ClockPort, ExecutorPort
from meshd.recording import Header, Journal
from meshd.scheduler.holder import WorkPolicy
from meshd.seam import Event, PlanLoaded
from protocols.errors import MeshError
from protocols.types import SECOND, NodeId

if TYPE_CHECKING:
    from libp2p.abc import ITransport
    from trio_typing import TaskStatus

    from meshd.topology import ContactPlan

MEGABYTE = 1 << 20
PORT_FILE = "listening"

Light: TypeAlias = Literal["none", "held", "carried"]
"""Light time of frames: none, held for it where they are received, or that of what carries them."""


@dataclass(slots=True)
class Shared:
    """What the daemons of one operating-system process share: clock, workers, plans, signatures."""

    clock: MissionClock
    pool: WorkerPool
    plans: Plans = field(default_factory=Plans)
    verifier: Verifier = field(default_factory=Verifier)

    # What a laboratory gives its daemons instead of this, it overrides (sim/laboratory.py).

    def identity(self, daemon: Daemon) -> Identity:
        """Its key, made at its first start."""
        return load_or_create(daemon.home / "identity.key")

    def clock_of(self, daemon: Daemon) -> ClockPort:
        """What tells its node the time."""
        return self.clock

    def transport(self, daemon: Daemon) -> ITransport | None:
        """What carries its connections; None for TCP."""
        return None

    def light(self, daemon: Daemon) -> Light:
        """Where its frames get their light time."""
        return "held" if daemon.config.emulate_light else "none"

    def light_seconds(self, daemon: Daemon, peer: NodeId) -> float:
        """Real seconds that a frame from a node is held for, where it is; infinite behind a cut."""
        return daemon.light_seconds(peer)

    def executor(self, daemon: Daemon, post: Callable[[Event], None]) -> ExecutorPort:
        """What runs its shards, and posts how they ended."""
        return Executor(self.pool, daemon.blobs, post, daemon.config.allow_command)

    def chance(self, daemon: Daemon) -> str | int:
        """What seeds the chance of one life of its node."""
        return f"{daemon.identity.node_id}/{daemon.started_at}"

    def follow(self, daemon: Daemon) -> AsyncGenerator[ContactPlan, None]:
        """Its contact plans, each in time; none for a node under no sky."""
        return self.plans.ahead(daemon.world, self.clock)

    @classmethod
    def for_config(cls, config: Config) -> Shared:
        epoch, anchor = parse_epoch(config.epoch) if config.epoch else (None, None)
        return cls(MissionClock(epoch, config.speed, anchor), WorkerPool())


class Daemon:
    """One node on real sockets, disk and workers. `run` lasts until `stop` or cancellation."""

    def __init__(
        self, home: Path, config: Config, shared: Shared, world: World | None = None
    ) -> None:
        self.home = home
        self.config = config
        self.shared = shared
        self.world = world or world_of(config)
        if self.world is not None:  # what is given to one daemon is its own
            self.world = replace(self.world, coming=Coming())
        self.site = config.site
        if self.world is not None and config.site:
            self.site = self.world.sky.names[self.world.sky.index_of(config.site)]
        self.name = config.name or self.site
        self.addresses: tuple[str, ...] = ()
        self.started_at = 0
        self._stop = trio.Event()

    def stop(self) -> None:
        """Ask the daemon to end."""
        self._stop.set()

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live. Raises MeshError when the home, the key, the store or an address is unusable."""
        with HomeLock(self.home):
            self._assemble()
            try:
                await self._live(task_status)
            finally:
                self.executor.close()
                self.store.close()
                if self.recorder is not None:
                    self.recorder.close()

    def _assemble(self) -> None:
        """Everything a node stands on, none of it running yet."""
        shared, config = self.shared, self.config
        self.identity = shared.identity(self)
        me = self.identity.node_id
        if self.world is not None:
            self.world.coming.take(read_updates(self.home))
        self.store = Store(self.home / "store.db")
        self.blobs = BlobStore(self.home / "blobs", config.blobs_max_mb * MEGABYTE)
        self.started_at = now = shared.clock.now()
        trust = policy_of(config, self.home)
        check_policy(trust, me, self.site, shared.verifier.verify, now)
        check_owners(trust, self.world)
        who = NodeConfig(
            node=me,
            name=self.name or f"node-{me[-6:]}",
            site=self.site,
            work=WorkPolicy(config.slots, config.kinds, config.accepts_remote_jobs),
            # Software is as slow in mission time as that is fast: silence is judged in real time.
            beat_ns=round(BEAT_NS * max(1.0, shared.clock.speed)),
            trust=trust,
            bootstrap=bootstrap_of(config),
        )
        seed = shared.chance(self)
        self.recorder = self._make_recorder(who, seed)
        journal = self.recorder.journal if self.recorder is not None else None
        signer = journal.signing(self.identity.sign) if journal else self.identity.sign
        self.node = Node(who, Random(seed), signer, shared.verifier.verify)
        self.executor = shared.executor(self, self._post)
        self.requests = Requests(Clients(self))
        self.links = self._make_links(self.config.listen)
        self.renewal = Renewal(self)
        clock = shared.clock_of(self)
        ports = Ports(clock, self.links, self.store, self.blobs, self.executor, self.renewal.hear)
        self.driver = Driver(self.node, ports, journal)
        self.console = Console(self)

    def _make_recorder(self, who: NodeConfig, seed: str | int) -> Recorder | None:
        """The flight recorder, if one is wanted. Raises MeshError "unwritable-file"."""
        if not self.config.record:
            return None
        python = ".".join(map(str, sys.version_info[:3]))
        clock = self.shared.clock
        header = Header(
            version("meshd"), python, who, seed, self.started_at, clock.epoch, clock.speed
        )
        path = Path(self.config.record).expanduser()
        return Recorder(path, Journal(header), self.config.record_max_mb * MEGABYTE)

    def _post(self, event: Event) -> None:
        self.driver.post(event)

    async def _room(self) -> None:
        await self.driver.room()

    async def _live(self, task_status: TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            self.addresses = await self._start_links(nursery)
            if self.recorder is not None:
                nursery.start_soon(self.recorder.run)
            nursery.start_soon(self.console.events.run)
            nursery.start_soon(self.renewal.run)
            await nursery.start(self.driver.run, self.addresses)
            await nursery.start(self._follow)
            await nursery.start(serve_control, self.console, self.home)
            if self.config.metrics:
                await nursery.start(serve_metrics, self.config.metrics, self.console.metrics)
            task_status.started()
            await self._stop.wait()
            nursery.cancel_scope.cancel()

    async def _start_links(self, nursery: trio.Nursery) -> tuple[str, ...]:
        """Listen where this daemon listened before, so that addresses given out stay true."""
        before = self._addresses_before()
        if before:
            self.links = self._make_links(before)
            try:
                return await self._listen(nursery)
            except MeshError as error:
                if error.code != "cannot-listen":
                    raise
        self.links = self._make_links(self.config.listen)
        return await self._listen(nursery)

    async def _listen(self, nursery: trio.Nursery) -> tuple[str, ...]:
        self.driver.ports = replace(self.driver.ports, links=self.links)
        addresses: tuple[str, ...] = await nursery.start(self.links.run)
        bare = [address.partition("/p2p/")[0] for address in addresses]
        asked = "\n".join(self.config.listen)
        (self.home / PORT_FILE).write_text("\n".join([asked, "", *bare]), encoding="utf-8")
        return addresses

    def _addresses_before(self) -> tuple[str, ...]:
        """The addresses of the last run, if it was asked to listen on the same."""
        try:
            text = (self.home / PORT_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        asked, _, bare = text.partition("\n\n")
        return tuple(bare.split("\n")) if asked == "\n".join(self.config.listen) else ()

    def _make_links(self, listen: tuple[str, ...]) -> Libp2pLinks:
        shared = self.shared
        return Libp2pLinks(
            self.identity,
            listen,
            self._post,
            room=self._room,
            requests=self.requests,
            emulate=partial(shared.light_seconds, self) if shared.light(self) == "held" else None,
            transport=shared.transport(self),
            now=shared.clock.now,
        )

    async def _follow(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the node's plan ahead of the clock."""
        async with aclosing(self.shared.follow(self)) as plans:
            async for plan in plans:
                self.driver.post(PlanLoaded(plan))
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
        task_status.started()

    def light_seconds(self, peer: NodeId) -> float:
        """Real seconds a frame from a neighbour is held to stand for its light time."""
        router = self.node.router
        here, there = router.site(self.identity.node_id), router.site(peer)
        now = self.shared.clock.now()
        if router.plan is None or here is None or there is None:
            return 0.0
        if router.contact_end(peer, now) is None:
            return 0.0
        light = router.plan.light_time_ns(there, here, now)
        return light / SECOND / self.shared.clock.speed
