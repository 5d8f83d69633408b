"""The daemon's own trio driver over in-memory links and a clock that jumps: no socket, no disk.

It stands beside `sim.world.World`: the same nodes, the same medium, another loop around them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import trio

from meshd.driver import Driver, Ports
from meshd.node import Node, NodeConfig
from meshd.recording import Header, Journal
from meshd.scheduler.holder import WorkPolicy
from meshd.seam import (
    Event,
    FrameReceived,
    Learnt,
    LinkDown,
    LinkFailed,
    LinkUp,
    PlanLoaded,
    RunShard,
    ShardFinished,
)
from meshd.topology.plan import ContactPlan
from protocols.record import Presence
from protocols.types import SECOND, Instant, LinkId, NodeId
from sim.chance import make_verifier, node_id, number, signer
from sim.driver import output_of
from sim.links import DIAL_TIMEOUT_NS
from sim.medium import Link, Medium, Ride
from sim.stores import MemoryBlobs


class JumpClock(trio.abc.Clock):
    """Time that stands while anything runs and jumps to the next deadline when nothing does.

    Seconds as a float for trio, exact nanoseconds for the nodes: a sleep to an instant ends at it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self.seconds

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if deadline == math.inf:
            return 0.05
        self.seconds = max(self.seconds, deadline)
        return 0.0


class MissionTime:
    """`seam.ClockPort` over trio's time; at any trio deadline it reads the instant asked for."""

    def __init__(self, start: Instant) -> None:
        self._start = start
        self._now = start
        self._marks: dict[float, Instant] = {}

    def now(self) -> Instant:
        seconds = trio.current_time()
        # A float loses nanoseconds at large times: an instant slept for is known exactly.
        at = self._marks.get(seconds, self._start + round(seconds * SECOND))
        self._now = max(self._now, at)
        return self._now

    def seconds_of(self, instant: Instant) -> float:
        seconds = (instant - self._start) / SECOND
        self._marks[seconds] = instant
        return seconds

    def real_seconds_until(self, instant: Instant) -> float:
        deadline = self.seconds_of(instant)
        wait = max(0.0, deadline - trio.current_time())
        # What trio adds up must be the mark itself, or the node would wake a hair too early.
        while wait and trio.current_time() + wait < deadline:
            wait = math.nextafter(wait, math.inf)
        self._marks[trio.current_time() + wait] = max(instant, self.now())
        return wait


class MemoryStore:
    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def load(self) -> tuple[tuple[str, bytes], ...]:
        return tuple(sorted(self.rows.items()))

    async def commit(self, rows: list[tuple[str, bytes | None]]) -> None:
        for key, value in rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


class Place:
    """One node on its driver, and the ports that carry it."""

    def __init__(self, mesh: TrioMesh, name: str, slots: int) -> None:
        self.mesh, self.name = mesh, name
        self.index = len(mesh.places)
        me = node_id(mesh.seed, name)
        config = NodeConfig(me, name, name, WorkPolicy(slots))
        seed = number(mesh.seed, name, "node", 0)
        self.journal = Journal(
            Header("0", "0", config, seed, mesh.plan.start, mesh.plan.start, 1.0)
        )
        sign = self.journal.signing(signer(me))
        self.node = Node(config, Random(seed), sign, make_verifier())
        self.blobs = MemoryBlobs()
        self.ends: dict[LinkId, Link] = {}
        ports = Ports(mesh.time, self, MemoryStore(), self.blobs, self)
        self.driver = Driver(self.node, ports, self.journal)

    @property
    def id(self) -> NodeId:
        return self.node.config.node

    def after(self, at: Instant, action: Callable[[], None]) -> None:
        self.mesh.after(at, action)

    # --- seam.LinkPort --------------------------------------------------------------------------

    def open(self, node: NodeId, addresses: tuple[str, ...] = ()) -> None:
        mesh, now = self.mesh, self.mesh.time.now()
        other = mesh.by_id[node]
        path = mesh.medium.path(self.index, other.index, now)
        failed = LinkFailed(node, "dial-timeout", "no answer")
        if path is None:
            self.after(now + DIAL_TIMEOUT_NS, lambda: self.driver.post(failed))
            return
        done = now
        for _ in range(3):
            done += path.light(done)

        def opened() -> None:
            if not path.open_at(mesh.time.now()):
                self.driver.post(failed)
                return
            mesh.links += 1
            link = Link(LinkId(mesh.links), (self.index, other.index), path)
            self.ends[link.id] = other.ends[link.id] = link
            self.driver.post(LinkUp(link.id, other.id, True))
            other.driver.post(LinkUp(link.id, self.id, False))

        self.after(done, opened)

    def send(self, link: LinkId, frame: bytes) -> None:
        end = self.ends.get(link)
        if end is None:
            return
        side = end.side(self.index)
        ride = self.mesh.medium.carry(end, side, len(frame), self.mesh.time.now())
        if isinstance(ride, Ride):
            other = self.mesh.listed[end.ends[1 - side]]

            def arrived() -> None:
                if link in other.ends:
                    other.driver.post(FrameReceived(link, frame))

            self.after(ride.arrive, arrived)

    def close(self, link: LinkId, code: str) -> None:
        end = self.ends.pop(link, None)
        if end is None:
            return
        self.driver.post(LinkDown(link, code))
        other = self.mesh.listed[end.ends[1 - end.side(self.index)]]

        def heard() -> None:
            if other.ends.pop(link, None) is not None:
                other.driver.post(LinkDown(link, "peer-closed"))

        now = self.mesh.time.now()
        self.after(now + end.path.light(now), heard)

    # --- seam.ExecutorPort ----------------------------------------------------------------------

    def run(self, shard: RunShard) -> None:
        def ran() -> None:
            output = output_of(shard)
            cid = self.blobs.put(output)
            took = shard.estimate_ns
            self.driver.post(ShardFinished(shard.run, "ok", "", cid, len(output), took))

        self.after(self.mesh.time.now() + shard.estimate_ns, ran)

    def stop(self, run: str) -> None:
        raise AssertionError(f"nothing here stops a run: {run}")


class TrioMesh:
    """Every site of a plan on its own trio driver."""

    def __init__(self, seed: int, plan: ContactPlan, satellite_slots: int) -> None:
        self.seed, self.plan = seed, plan
        self.time = MissionTime(plan.start)
        self.medium = Medium(seed, plan, 0.0)
        self.links = 0
        self.places: dict[str, Place] = {}
        self._nursery: trio.Nursery | None = None
        for name, kind in zip(plan.names, plan.kinds, strict=True):
            slots = satellite_slots if kind == "satellite" else 0
            self.places[name] = Place(self, name, slots)
            self.medium.place(self.places[name].index, plan.index_of(name))
        self.by_id = {place.id: place for place in self.places.values()}
        self.listed = list(self.places.values())

    def after(self, at: Instant, action: Callable[[], None]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._act, at, action)

    async def _act(self, at: Instant, action: Callable[[], None]) -> None:
        await trio.sleep(self.time.real_seconds_until(at))
        action()

    async def start(self, nursery: trio.Nursery) -> None:
        """As `World.start`: every node gets its start, its roster and its plan, in order."""
        self._nursery = nursery
        for place in self.listed:
            await nursery.start(place.driver.run, (f"/sim/{place.name}",))
        for place in self.listed:
            for other in self._roster(place):
                place.driver.post(other)
            place.driver.post(PlanLoaded(self.plan))

    def _roster(self, place: Place) -> list[Event]:
        site = self.plan.index_of(place.name)
        names = {self.plan.names[contact.peer] for contact in self.plan.contacts_of(site)}
        return [
            Learnt(other.id, Presence(name, name, (f"/sim/{name}",)), self.plan.start)
            for name, other in self.places.items()
            if name in names
        ]
