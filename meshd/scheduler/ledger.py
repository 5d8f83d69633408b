"""Ledger: the jobs a daemon accepted, in memory and as the rows that survive it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from meshd.scheduler.log import Log
from meshd.scheduler.states import (
    JOB_ROW,
    SHARD_ROW,
    JobRow,
    JobView,
    Phase,
    ShardRow,
    ShardView,
    Status,
    job_rows,
    shard_rows,
)
from meshd.seam import Effect, Persist
from protocols.job import JobSpec
from protocols.types import SECOND, Cid, Instant, JobId, NodeId, PacketId

ENDED_MAX = 1_024
"""Ended jobs kept for those who ask; the oldest is forgotten first."""

MAIL_MAX = 65_536


@dataclass(slots=True)
class Watch:
    """What a shard waits for, and until when; not persisted: a restart places anew."""

    until: Instant = 0
    """End of the offer, then of the lease, which lasts until the result is delivered."""
    declined: tuple[NodeId, ...] = ()
    deliveries: int = 0
    ready_again_at: Instant = 0
    unfed: int = 0
    """How often it could not get the output of another shard."""


@dataclass(slots=True)
class Job:
    """One job with its shards, as this daemon works on it."""

    name: JobId
    row: JobRow
    sink: NodeId
    deadline: Instant
    shards: list[ShardRow]
    watches: list[Watch]
    takers: list[tuple[int, ...]]
    """Of each shard, those that take its output."""
    place_at: Instant | None = None
    starved: bool = False
    mail: dict[PacketId, int] = field(default_factory=dict)
    """Offers and announcements on their way, by packet, with their shard."""
    log: Log = field(default_factory=Log)

    @property
    def running(self) -> bool:
        return self.row.status is Status.RUNNING

    @property
    def staged(self) -> bool:
        """Some shards take the outputs of others."""
        return any(self.takers)

    @property
    def blobs(self) -> list[Cid]:
        return self.row.spec.cids

    def keeps(self, shard: int, row: ShardRow) -> bool:
        """This row holds after a restart: delivered, or made for others and kept by its maker."""
        made = row.phase is Phase.FINISHED and bool(self.takers[shard])
        return made or row.phase is Phase.DELIVERED

    def watched(self) -> list[tuple[int, ShardRow]]:
        """Shards that somebody else is working on."""
        idle = (Phase.WAITING, Phase.DELIVERED)
        return [(index, row) for index, row in enumerate(self.shards) if row.phase not in idle]

    def posted(self, packet: PacketId, shard: int) -> None:
        self.mail[packet] = shard
        if len(self.mail) > MAIL_MAX:
            del self.mail[next(iter(self.mail))]

    def next_deadline(self) -> Instant:
        times = [self.watches[index].until for index, _ in self.watched()]
        placing = [] if self.place_at is None else [self.place_at]
        return min([self.deadline, *times, *placing])

    def view(self) -> JobView:
        shards = tuple(ShardView(index, row) for index, row in enumerate(self.shards))
        return JobView(self.name, self.row, self.sink, shards)


class Ledger:
    """One row a job, one a shard. What it returns as `Persist` must be on disk before it counts."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self.jobs: dict[JobId, Job] = {}

    def add(self, name: JobId, row: JobRow) -> Job:
        count = len(row.spec.shards)
        job = Job(
            name=name,
            row=row,
            sink=row.spec.sink or self._me,
            deadline=row.submitted_at + round(row.spec.deadline_s * SECOND),
            shards=[ShardRow() for _ in range(count)],
            watches=[Watch() for _ in range(count)],
            takers=_takers(row.spec),
        )
        self.jobs[name] = job
        return job

    def restore(self, rows: tuple[tuple[str, bytes], ...]) -> list[Job]:
        """Read the rows back. A shard that was under way is waiting again, its epoch kept.

        What a shard made for others is still with its holder, or its lease will end.
        """
        shards = {key: shard_rows.decode(v) for key, v in rows if key.startswith(SHARD_ROW)}
        for key, value in rows:
            if not key.startswith(JOB_ROW):
                continue
            name = JobId(key[len(JOB_ROW) :])
            job = self.add(name, job_rows.decode(value))
            for index in range(len(job.shards)):
                row = shards.get(shard_key(name, index), ShardRow())
                if not job.keeps(index, row):
                    row = msgspec.structs.replace(row, phase=Phase.WAITING, holder=None)
                job.shards[index] = row
        return list(self.jobs.values())

    def forget_oldest(self) -> list[Effect]:
        """Make room among the ended jobs."""
        ended = [job for job in self.jobs.values() if not job.running]
        if len(ended) < ENDED_MAX:
            return []
        oldest = min(ended, key=lambda job: (job.row.ended_at, job.name))
        del self.jobs[oldest.name]
        keys = [shard_key(oldest.name, index) for index in range(len(oldest.shards))]
        return [Persist(key, None) for key in (JOB_ROW + oldest.name, *keys)]

    def keep_job(self, job: Job) -> Persist:
        return Persist(JOB_ROW + job.name, msgspec.msgpack.encode(job.row))

    def keep_shard(self, job: Job, shard: int) -> Persist:
        data = msgspec.msgpack.encode(job.shards[shard])
        return Persist(shard_key(job.name, shard), data)


def _takers(spec: JobSpec) -> list[tuple[int, ...]]:
    takers: list[list[int]] = [[] for _ in spec.shards]
    for index, shard in enumerate(spec.shards):
        for taken in dict.fromkeys(shard.takes):
            takers[taken].append(index)
    return [tuple(found) for found in takers]


def shard_key(name: JobId, shard: int) -> str:
    return f"{SHARD_ROW}{name}/{shard}"
