"""HeapMesh: the heap driver. Pure nodes on an event queue, everything else modelled, exact."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from meshd.ephemeris import parse_duration
from meshd.forwarding.pulse import BEAT_NS
from meshd.scheduler.holder import WorkPolicy
from protocols.cid import cid_of
from protocols.errors import InputError
from protocols.types import Instant
from sim.fates import job_fate, letter_fate, packet_fate
from sim.jobs import busiest, files_of, modelled_job
from sim.mail import post
from sim.mesh import Mesh
from sim.observe import look, observe
from sim.outcome import Outcome, Sample
from sim.scenario.actions import (
    Action,
    Heal,
    Kill,
    Names,
    Outage,
    Partition,
    Ping,
    Post,
    Recover,
    Restart,
    Restore,
    Send,
    Start,
    Submit,
)
from sim.scenario.errors import ScenarioError
from sim.scenario.names import listed, select
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.trace import Keep
from sim.traffic import Traffic, busiest_links
from sim.world import Physics, World

T = TypeVar("T")


class HeapMesh:
    """A `Mesh` over a `World`: no method ever suspends."""

    def __init__(self, scenario: Scenario, setting: Setting, seed: int) -> None:
        self.seed = seed
        self.start = scenario.start
        self.names = setting.names
        self.world = make_world(scenario, setting, seed)
        self._setting = setting
        self._samples: list[Sample] = []
        self._traffic = Traffic(scenario.start)
        self._out: set[str] = set()
        self._table: dict[type, Callable[[Any], str | None]] = {
            Send: self._send,
            Ping: self._send,
            Post: self._post,
            Submit: self._submit,
            Start: lambda action: self.world.start(*listed(action.nodes)),
            Kill: self._kill,
            Restart: lambda action: self._each(action.nodes, self._restart),
            Partition: self._part,
            Heal: self._heal,
            Outage: lambda action: self._cut_off(self._out | set(listed(action.nodes))),
            Restore: lambda action: self._cut_off(self._out - set(listed(action.nodes))),
            **self.world.harm.table,
            Recover: self._recover,
        }

    @property
    def now(self) -> Instant:
        return self.world.now

    async def run_until(self, at: Instant) -> None:
        self.world.run_until(at)

    async def act(self, action: Action) -> str:
        perform = self._table.get(type(action))
        if perform is None:
            word = type(action).__struct_config__.tag
            raise InputError("unsupported-action", f"the heap driver cannot {word!r}")
        return perform(action) or ""

    async def sample(self) -> None:
        nodes = {host.name: host.node for host in self.world.hosts.values() if host.node}
        ids = {host.name: host.id for host in self.world.hosts.values()}
        seen = tuple(look(nodes, self.world.plan, ids, self.now))
        self._samples += observe(seen, self.world.plan, self.now)
        self._samples += self._traffic.sample(self.world.links.ever, self.now)

    async def holder(self) -> str:
        views = map(self.world.job, self.world.tally.jobs)
        return busiest((view for view in views if view is not None), self.world.name_of)

    async def outcome(self) -> Outcome:
        world, tally = self.world, self.world.tally
        counts = world.packets()
        return Outcome(
            driver="heap",
            seed=self.seed,
            start=self.start,
            finish=world.now,
            nodes=self.names,
            packets=tuple(packet_fate(sent, world.name_of) for sent in tally.sent.values()),
            letters=tuple(letter_fate(posted, world.name_of) for posted in tally.letters.values()),
            jobs=tuple(
                job_fate(log, world.job(log.job), world.name_of) for log in tally.jobs.values()
            ),
            samples=(*self._samples, *busiest_links(world.links.ever, self._name, world.now)),
            counters={
                "events": world.events,
                "trace_items": world.trace.count,
                "packets_held": counts["held"],
                "packets_repeated": tally.repeated,
                **{f"note.{code}": count for code, count in sorted(tally.notes.items())},
            },
            trace_hash=world.trace.hash,
        )

    # --- actions --------------------------------------------------------------------------------

    def _send(self, action: Send | Ping) -> str:
        port = "ping" if isinstance(action, Ping) else "app"
        durable = isinstance(action, Send) and action.durable
        what = (bytes(action.size_bytes), port, parse_duration(action.lifetime), durable)
        return self.world.send(action.source, action.destination, *what)

    def _post(self, action: Post) -> str:
        body, lifetime = bytes(action.size_bytes), parse_duration(action.lifetime)
        return post(self.world, action.source, action.destination, body, action.stream, lifetime)

    def _submit(self, action: Submit) -> str:
        inputs, model = files_of(self.seed, action, len(self.world.tally.jobs))
        sink = self.world.host(action.sink).id
        spec = modelled_job(action, sink, [cid_of(data) for data in inputs], cid_of(model))
        return self.world.submit(action.source, spec, [*inputs, model])

    def _each(self, nodes: Names, do: Callable[[str], None]) -> None:
        for name in listed(nodes):
            do(name)

    def _kill(self, action: Kill) -> None:
        for name in listed(action.nodes):
            self.world.kill(name, torn=action.torn)

    def _restart(self, name: str) -> None:
        if self.world.host(name).node is None:
            self.world.restart(name)

    def _part(self, action: Partition) -> None:
        self.world.partition(listed(action.nodes), one_way=action.one_way)

    def _heal(self, action: Heal) -> None:
        self._out.clear()
        self.world.heal()

    def _recover(self, action: Recover) -> None:
        self._out.clear()
        self.world.harm.recover()

    def _cut_off(self, names: set[str]) -> None:
        self._out = names
        self.world.cut_off(sorted(names))

    def _name(self, index: int) -> str:
        return self.names[index]


def carry(
    scenario: Scenario,
    setting: Setting,
    seed: int,
    body: Callable[[Mesh], Coroutine[Any, Any, T]],
    keep: Keep | None = None,
) -> T:
    """Run a body over a mesh of this driver. It never suspends, so no loop is needed."""
    mesh = HeapMesh(scenario, setting, seed)
    mesh.world.trace.keep = keep
    coroutine = body(mesh)
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise ScenarioError("under the heap driver a script awaits nothing but its mesh", "script")


def make_world(scenario: Scenario, setting: Setting, seed: int) -> World:
    """The world of a scenario, started: all but those asleep."""
    node = scenario.node
    physics = Physics(
        loss=scenario.link.loss,
        commit_ns=parse_duration(node.commit),
        roster=node.roster,
        beat_ns=BEAT_NS if node.beats == "frames" else 0,
        caches=node.blobs == "cached",
        crypto=node.crypto,
        operators=node.operators,
    )
    world = World(seed, setting.plan, scenario.start, physics)
    for name, kind in zip(setting.names, setting.kinds, strict=True):
        slots = node.slots if kind == "satellite" else node.ground_slots
        site = name if setting.is_site(name) else ""
        world.add(name, site, WorkPolicy(slots), node.speed)
    asleep = set(select(setting.names, node.asleep, "node.asleep")) if node.asleep else set()
    world.start(*(name for name in setting.names if name not in asleep))
    for a, b, light in setting.cables:
        world.connect(a, b, light)
    return world
