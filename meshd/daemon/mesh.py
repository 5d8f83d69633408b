"""Mesh: what a person would ask of a fleet of daemons, and the facts of the answers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import trio

from meshd.adapters.clock import MissionClock
from meshd.daemon.daemon import Daemon
from meshd.daemon.digits import Digits, labels_of
from meshd.daemon.fleet import Fleet
from meshd.driver import Happening
from meshd.router.offline import route_answer
from meshd.scheduler.states import JobView, Phase, Status
from meshd.seam import (
    BlobStored,
    JobSubmitted,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    ReportJob,
)
from protocols.errors import MeshError
from protocols.job import JobSpec, ShardSpec
from protocols.types import MILLISECOND, SECOND, Cid, JobId, NodeId, PacketId

POLL_S = 0.1
ANSWER_S = 30
"""A ping answered later than this is lost: a computer busy with other work takes seconds a hop."""

JOB = JobId("digits")


class LinkFacts(msgspec.Struct, frozen=True):
    planned: int
    up: int
    seconds: float


class RouteFacts(msgspec.Struct, frozen=True):
    path: tuple[str, ...]
    hops: int
    predicted_rtt_ms: float
    measured_rtt_ms: float
    """Median of `measured_ms`."""
    excess_ms: float
    """Median of what each round trip took beyond the prediction for its own instant."""
    measured_ms: tuple[float, ...]
    never_less_than_predicted: bool
    valid_until: str


class JobFacts(msgspec.Struct, frozen=True):
    shards: int
    completed: int
    replaced: int
    killed: str
    killed_held: int
    holders: int
    accuracy: float
    held_out: int
    matches_local: bool
    seconds: float


@dataclass(slots=True)
class Mesh:
    """Asks a fleet, whose daemons go by the sites they live at."""

    fleet: Fleet

    @property
    def daemons(self) -> dict[str, Daemon]:
        return self.fleet.daemons

    @property
    def clock(self) -> MissionClock:
        return self.fleet.shared.clock

    # --- links ----------------------------------------------------------------------------------

    def _link_state(self) -> tuple[int, int]:
        """(planned now, up of those) over the daemons that live."""
        plan = next(iter(self.daemons.values())).node.router.plan
        if plan is None:
            return 0, 0
        pairs = plan.open_at(self.clock.now())
        here = [self.daemons.get(name) for name in plan.names]
        up = planned = 0
        for a, b in pairs:
            first, second = here[a], here[b]
            if first is None or second is None:
                continue
            planned += 1
            there = first.node.neighbours.link_to(second.identity.node_id)
            back = second.node.neighbours.link_to(first.identity.node_id)
            up += there is not None and back is not None
        return planned, up

    async def linked(self, within_s: float, tell: Callable[[str], None]) -> LinkFacts:
        """Wait until every contact of the plan that is open now carries a link."""
        started = trio.current_time()
        told = started
        while trio.current_time() - started < within_s:
            planned, up = self._link_state()
            if planned and up == planned:
                return LinkFacts(planned, up, round(trio.current_time() - started, 2))
            if trio.current_time() - told >= 2:
                told = trio.current_time()
                tell(f"linking: {up} of {planned} planned links up")
            await trio.sleep(POLL_S)
        raise MeshError("links-missing", f"only {up} of {planned} planned links came up")

    # --- round trips ----------------------------------------------------------------------------

    async def measure(self, source: str, target: str, count: int) -> RouteFacts:
        """The route as predicted, and round trips over it, each beside its own prediction."""
        here, there = self.daemons[source], self.daemons[target].identity.node_id
        node, plan = here.node, here.node.router.plan
        assert plan is not None
        answer = route_answer(plan, plan.index_of(source), plan.index_of(target), self.clock.now())
        if answer is None:
            raise MeshError("no-route", f"no route from {source} to {target} now")
        measured: list[float] = []
        predicted: list[float] = []
        for _ in range(count):
            trips = node.router.round_trip(there, self.clock.now())
            if trips is None:
                raise MeshError("no-route", f"no route from {source} to {target} now")
            predicted.append((trips[1].arrive - trips[0].at) / MILLISECOND)
            measured.append(await self._ping(here, there))
        excess = [m - p for m, p in zip(measured, predicted, strict=True)]
        return RouteFacts(
            path=answer.path,
            hops=answer.hops,
            predicted_rtt_ms=round(statistics.median(predicted), 6),
            measured_rtt_ms=round(statistics.median(measured), 6),
            excess_ms=round(statistics.median(excess), 6),
            measured_ms=tuple(round(value, 6) for value in measured),
            never_less_than_predicted=min(excess) >= 0,
            valid_until=answer.valid_until or "the end of the plan",
        )

    async def _ping(self, here: Daemon, there: NodeId) -> float:
        now = self.clock.now()
        packet = PacketId(f"demo{now:x}")

        def answers(happening: Happening) -> bool:
            if isinstance(happening, PayloadArrived):
                return happening.packet == f"{packet}~"
            return isinstance(happening, PayloadLost) and happening.packet == packet

        with here.driver.watch(answers) as watcher, trio.move_on_after(ANSWER_S):
            here.driver.post(PayloadOffered(packet, there, "ping", b"meshd", ANSWER_S * SECOND))
            happening = await watcher.next()
            if isinstance(happening, PayloadLost):
                raise MeshError(happening.code, "a ping was lost on its way")
            assert isinstance(happening, PayloadArrived)
            return (happening.arrived[-1] - now) / MILLISECOND
        raise MeshError("time-out", f"a ping was not answered in {ANSWER_S} s")

    # --- the job --------------------------------------------------------------------------------

    async def work(
        self, digits: Digits, ends: tuple[str, str], within_s: float, tell: Callable[[str], None]
    ) -> JobFacts:
        """Submit at one end, lose a holder in the middle, read the results at the other end."""
        at, sink = self.daemons[ends[0]], self.daemons[ends[1]]
        started = trio.current_time()
        killed, lost = "", 0
        with at.driver.watch(_about_job) as watcher, trio.move_on_after(within_s):
            self._submit(digits, at, sink.identity.node_id)
            tell(f"job {JOB!r} of {digits.shards} shards submitted at {ends[0]}")
            while self._running(at):
                await watcher.next()
                job = at.node.scheduler.book.find(JOB)
                if not killed and job is not None and job.count(Phase.FINISHED) >= 1:
                    killed, lost = self._kill_holder(job, {*ends, *self._gateways(ends)})
                    if killed:
                        tell(f"{killed} killed while it held {lost} of the shards")
        seconds = trio.current_time() - started
        return await self._settled(digits, at, sink, (killed, lost, seconds))

    def _running(self, at: Daemon) -> bool:
        job = at.node.scheduler.book.find(JOB)
        return job is None or job.row.status is Status.RUNNING

    def _submit(self, digits: Digits, at: Daemon, sink: NodeId) -> None:
        def put(data: bytes) -> Cid:
            cid = at.blobs.put(data)
            at.driver.post(BlobStored(cid, len(data)))
            return cid

        spec = JobSpec(
            name=JOB,
            kind="onnx",
            model=put(digits.model),
            shards=tuple(ShardSpec(put(data)) for data in digits.inputs()),
            sink=sink,
            deadline_s=digits.deadline_s,
            estimate_s=digits.estimate_s,
        )
        at.driver.post(JobSubmitted(JOB, msgspec.msgpack.encode(spec)))

    def _gateways(self, ends: tuple[str, ...]) -> Iterator[str]:
        """Who the ends hold links with: without one, an end may be dark until the next passes."""
        for end in ends:
            for neighbour in self.daemons[end].node.neighbours.view():
                yield self.fleet.name_of(neighbour.node)

    def _kill_holder(self, job: JobView, spared: set[str]) -> tuple[str, int]:
        """Kill the satellite that holds most shards still at work, else undelivered; then by name.

        Returns its name and how many it held; ("", 0) when no satellite holds any.
        """
        working = self._holders(job, Phase.HELD)
        undelivered = self._holders(job, Phase.FINISHED)
        names = sorted({*working, *undelivered} & self.daemons.keys() - spared)
        if not names:
            return "", 0
        victim = max(names, key=lambda name: (working[name], undelivered[name]))
        self.fleet.kill(victim)
        return victim, working[victim] + undelivered[victim]

    def _holders(self, job: JobView, phase: Phase) -> Counter[str]:
        rows = [shard.row for shard in job.shards if shard.row.phase is phase]
        return Counter(self.fleet.name_of(row.holder) for row in rows if row.holder is not None)

    async def _settled(
        self, digits: Digits, at: Daemon, sink: Daemon, course: tuple[str, int, float]
    ) -> JobFacts:
        job = at.node.scheduler.book.find(JOB)
        assert job is not None
        if job.row.status is not Status.COMPLETED:
            done = f"{job.count(Phase.DELIVERED)} of {digits.shards} shards"
            reason = f"the job is {job.row.status} with {done} {job.row.code}".strip()
            raise MeshError("job-failed", reason)
        rows = sink.node.scheduler.sink.view()[JOB]
        outputs = [sink.blobs.get(rows[shard].output) for shard in range(digits.shards)]
        predicted = np.concatenate([labels_of(output or b"") for output in outputs])
        local = await trio.to_thread.run_sync(digits.local)
        killed, lost, seconds = course
        return JobFacts(
            shards=digits.shards,
            completed=job.count(Phase.DELIVERED),
            replaced=job.replaced,
            killed=killed,
            killed_held=lost,
            holders=len({shard.row.holder for shard in job.shards}),
            accuracy=round(digits.accuracy(predicted), 4),
            held_out=len(digits.held_out),
            matches_local=bool(np.array_equal(predicted, local)),
            seconds=round(seconds, 2),
        )


def _about_job(happening: Happening) -> bool:
    return isinstance(happening, ReportJob) and happening.job == JOB
