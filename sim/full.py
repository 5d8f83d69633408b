"""FullMesh: the full driver. Whole daemons in one trio run, in simulated time.

The trio driver, libp2p hosts with Noise and yamux, SQLite and the control API are those of
`meshd up`; clock, wire, keys and chance are a laboratory's (sim/laboratory.py).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

import msgspec
import trio

from meshd.config import Config
from meshd.daemon.daemon import Daemon
from meshd.daemon.demo import first_error
from meshd.daemon.fleet import Fleet, open_fleet
from meshd.daemon.plans import World
from meshd.driver import Happening
from meshd.ephemeris import parse_duration
from meshd.scheduler.states import JobView
from meshd.seam import (
    BlobStored,
    Effect,
    Event,
    JobSubmitted,
    PayloadOffered,
    RecordsLoaded,
    StandingWanted,
)
from protocols.errors import InputError
from protocols.forward import PacketIds
from protocols.types import Instant, JobId, NodeId
from sim.checkers import conserved
from sim.fates import job_fate, packet_fate
from sim.jobs import busiest, files_of, modelled_job
from sim.laboratory import Laboratory, Ways
from sim.mesh import Mesh
from sim.observe import observe
from sim.outcome import Outcome, Sample
from sim.scenario.actions import (
    Action,
    Heal,
    Kill,
    Names,
    Outage,
    Partition,
    Ping,
    Restart,
    Restore,
    Send,
    Start,
    Submit,
)
from sim.scenario.names import select
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.simclock import SimClock
from sim.tally import JobLog, Sent, Tally
from sim.trace import Trace

T = TypeVar("T")


class FullMesh:
    """A `Mesh` of daemons that live in a fleet. `launch` it before anything else."""

    def __init__(
        self, scenario: Scenario, setting: Setting, laboratory: Laboratory, fleet: Fleet
    ) -> None:
        self.seed = laboratory.seed
        self.start = scenario.start
        self.names = setting.names
        self.laboratory, self.fleet, self.tally = laboratory, fleet, Tally()
        self.trace = Trace()
        self._scenario, self._setting = scenario, setting
        self._clock = laboratory.mission.clock
        self._by_id = {laboratory.node_of(name): name for name in self.names}
        self._ids = {node: PacketIds(node, "a") for node in self._by_id}
        self._handled = 0
        """Events of daemons that were killed."""
        self._samples: list[Sample] = []
        self._parted: tuple[str, ...] = ()
        self._out: set[str] = set()
        self._watching = ExitStack()
        self._table: dict[type, Callable[[Any], str | None]] = {
            Send: self._send,
            Ping: self._send,
            Submit: self._submit,
            Kill: lambda action: self._each(action.nodes, self._kill),
            Restart: lambda action: self._each(action.nodes, self._restart),
            Partition: lambda action: self._cut(action.nodes, self._out),
            Heal: lambda action: self._cut((), set()),
            Outage: lambda action: self._cut(self._parted, self._out | set(_listed(action.nodes))),
            Restore: lambda action: self._cut(self._parted, self._out - set(_listed(action.nodes))),
        }

    async def launch(self) -> None:
        """Start all who are not asleep, introduce them, and lay the cables. It takes no time."""
        asleep, lab = self._scenario.node.asleep, self.laboratory
        sleepers = set(select(self.names, asleep, "node.asleep")) if asleep else set()
        for name in self.names:
            lab.end_of(name)
        for name in self.names:
            if name not in sleepers:
                await self._begin(name)
        for name in self.fleet.daemons:
            self._introduce(name)
        for a, b, light_ns in self._setting.cables:
            lab.medium.lay(lab.end_of(a), lab.end_of(b), light_ns)
            if a in self.fleet.daemons:
                wanted = StandingWanted(lab.node_of(b), lab.address_of(b))
                self.fleet.daemons[a].driver.post(wanted)
        await self._clock.settle()

    # --- Mesh -----------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        return self.laboratory.mission.now()

    async def run_until(self, at: Instant) -> None:
        await trio.sleep(self.laboratory.mission.real_seconds_until(at))
        await self._clock.settle()

    async def act(self, action: Action) -> str:
        perform = self._table.get(type(action))
        if isinstance(action, Start):
            for name in _listed(action.nodes):
                await self._begin(name)
                self._introduce(name)
            return ""
        if perform is None:
            word = type(action).__struct_config__.tag
            raise InputError("unsupported-action", f"the full driver cannot {word!r}")
        return perform(action) or ""

    async def sample(self) -> None:
        nodes = {name: daemon.node for name, daemon in self.fleet.daemons.items()}
        self._samples += observe(nodes, self._setting.plan, self.now)

    async def holder(self) -> str:
        views = map(self._view, self.tally.jobs)
        return busiest((view for view in views if view is not None), self._name_of)

    async def outcome(self) -> Outcome:
        tally, daemons = self.tally, self.fleet.daemons
        counts = conserved(tally, (daemon.node for daemon in daemons.values()))
        handled = self._handled + sum(daemon.driver.handled for daemon in daemons.values())
        return Outcome(
            driver="full",
            seed=self.seed,
            start=self.start,
            finish=self.now,
            nodes=self.names,
            packets=tuple(packet_fate(sent, self._name_of) for sent in tally.sent.values()),
            jobs=tuple(
                job_fate(log, self._view(log.job), self._name_of) for log in tally.jobs.values()
            ),
            samples=tuple(self._samples),
            counters={
                "events": handled,
                "trace_items": self.trace.count,
                "connections": self.laboratory.wire.connections,
                "packets_held": counts["held"],
                "packets_repeated": tally.repeated,
                **{f"note.{code}": count for code, count in sorted(tally.notes.items())},
            },
            trace_hash=self.trace.hash,
        )

    # --- lives ----------------------------------------------------------------------------------

    async def _begin(self, name: str) -> None:
        setting, node = self._setting, self._scenario.node
        kind = setting.kinds[setting.names.index(name)]
        satellite = kind == "satellite"
        slots = node.slots if satellite else node.ground_slots
        site = name if setting.is_site(name) else ""
        config = Config(
            name=name,
            satellite=site if satellite else "",
            city="" if satellite else site,
            slots=slots,
        )
        world = World(setting.sky, setting.policy) if setting.sky and setting.policy else None
        self._follow(await self.fleet.start(name, config, world))

    def _follow(self, daemon: Daemon) -> None:
        """Hear of everything that it tells, at the instant that it does."""

        def hear(happening: Happening) -> bool:
            self.tally.hear(happening, self.now)
            return False  # heard already: nothing is to wait in a queue

        self._watching.enter_context(daemon.driver.watch(hear))
        daemon.driver.journal = _Witness(self.trace, self.names.index(daemon.name))

    def _introduce(self, name: str) -> None:
        """Give it the signed presence of those who live where its contacts lead, and them its."""
        plan, daemons = self._setting.plan, self.fleet.daemons
        if plan is None or name not in plan.names:
            return
        contacts = plan.contacts_of(plan.index_of(name))
        near = [n for n in dict.fromkeys(plan.names[c.peer] for c in contacts) if n in daemons]
        mine = daemons[name].node.gossip.presence(self.laboratory.node_of(name))
        for other in near:
            theirs = daemons[other].node.gossip.presence(self.laboratory.node_of(other))
            daemons[name].driver.post(RecordsLoaded(theirs))
            daemons[other].driver.post(RecordsLoaded(mine))

    def _kill(self, name: str) -> None:
        """Its connections end first: what a dying daemon would still say is not heard."""
        daemon = self.fleet.daemons.get(name)
        if daemon is None:
            return
        self._handled += daemon.driver.handled
        self.tally.died(daemon.node)
        self.laboratory.wire.sever(self.laboratory.end_of(name))
        self.fleet.kill(name)

    def _restart(self, name: str) -> None:
        if name not in self.fleet.daemons:
            self.fleet.nursery.start_soon(self._return, name)

    async def _return(self, name: str) -> None:
        """Come back on the same home, which the last life lets go of within 0.2 s."""
        await self.fleet.ended(name)
        await self._begin(name)
        self._introduce(name)

    # --- actions --------------------------------------------------------------------------------

    def _send(self, action: Send | Ping) -> str:
        port = "ping" if isinstance(action, Ping) else "app"
        lab = self.laboratory
        here, there = lab.node_of(action.source), lab.node_of(action.destination)
        packet = self._ids[here].next(self.now)
        sent = Sent(packet, here, there, port, self.now, action.size_bytes)
        self.tally.sent[packet] = sent
        daemon = self.fleet.daemons.get(action.source)
        if daemon is None:
            sent.lost = "source-down"
            return packet
        sent.foresee(daemon.node.router, self.now)
        payload, lifetime = bytes(action.size_bytes), parse_duration(action.lifetime)
        daemon.driver.post(PayloadOffered(packet, there, port, payload, lifetime))
        return packet

    def _submit(self, action: Submit) -> str:
        inputs, model = files_of(self.seed, action, len(self.tally.jobs))
        job = JobId(f"job-{len(self.tally.jobs) + 1}")
        here, sink = self.laboratory.node_of(action.source), self.laboratory.node_of(action.sink)
        self.tally.jobs[job] = JobLog(job, here, self.now, action.shards, action.name)
        daemon = self.fleet.daemons.get(action.source)
        if daemon is not None:
            cids = []
            for data in (*inputs, model):
                cids.append(daemon.blobs.put(data))
                daemon.driver.post(BlobStored(cids[-1], len(data)))
            spec = modelled_job(action, sink, cids[:-1], cids[-1])
            daemon.driver.post(JobSubmitted(job, msgspec.msgpack.encode(spec)))
        return job

    def _each(self, nodes: Names, do: Callable[[str], None]) -> None:
        for name in _listed(nodes):
            do(name)

    def _cut(self, parted: Names, out: set[str]) -> None:
        lab = self.laboratory
        self._parted, self._out = _listed(parted), out
        lab.medium.part(frozenset(map(lab.end_of, self._parted)))
        lab.medium.cut_off(frozenset(map(lab.end_of, out)))
        lab.wire.notice_silence()

    # --- names and views ------------------------------------------------------------------------

    def _name_of(self, node: NodeId) -> str:
        return self._by_id.get(node, node)

    def _view(self, job: JobId) -> JobView | None:
        daemon = self.fleet.daemons.get(self._name_of(self.tally.jobs[job].node))
        return None if daemon is None else daemon.node.scheduler.book.find(job)


class _Witness:
    """Tells the trace what one node takes and wants."""

    def __init__(self, trace: Trace, index: int) -> None:
        self._trace, self._index, self._now = trace, index, 0

    def begin(self, event: Event, now: Instant) -> None:
        self._now = now
        self._trace.event(now, self._index, event)

    def end(self, effects: list[Effect]) -> None:
        self._trace.effects(self._now, self._index, effects)


def carry(
    scenario: Scenario, setting: Setting, seed: int, body: Callable[[Mesh], Coroutine[Any, Any, T]]
) -> T:
    """Run a body over a mesh of this driver, in a trio run of its own."""
    clock = SimClock(seed)

    async def main() -> T:
        ways = Ways(scenario.link.loss, scenario.node.speed)
        laboratory = Laboratory(seed, clock, scenario.start, setting.plan, ways)
        async with open_fleet(laboratory) as fleet:
            mesh = FullMesh(scenario, setting, laboratory, fleet)
            await mesh.launch()
            return await body(mesh)

    try:
        return trio.run(main, clock=clock)
    except BaseExceptionGroup as group:
        raise first_error(group) from None


def _listed(nodes: Names) -> tuple[str, ...]:
    return (nodes,) if isinstance(nodes, str) else nodes
