"""Jobs and shards as records: their states, the legal moves between them, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from protocols.job import JobSpec
from protocols.types import Cid, Duration, Instant, JobId, NodeId

JOB_ROW = "job/"
SHARD_ROW = "shard/"
RESULT_ROW = "result/"


class Phase(StrEnum):
    """Where a shard stands, as the daemon that accepted its job sees it."""

    WAITING = "waiting"
    OFFERED = "offered"
    HELD = "held"
    FINISHED = "finished"
    DELIVERED = "delivered"


MOVES: dict[Phase, tuple[Phase, ...]] = {
    # A shard that others take is over when they are, wherever it stands itself.
    Phase.WAITING: (Phase.OFFERED, Phase.DELIVERED),
    Phase.OFFERED: (Phase.HELD, Phase.FINISHED, Phase.WAITING, Phase.DELIVERED),
    Phase.HELD: (Phase.FINISHED, Phase.WAITING, Phase.DELIVERED),
    Phase.FINISHED: (Phase.DELIVERED, Phase.WAITING),
    Phase.DELIVERED: (),
}


class Status(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobRow(msgspec.Struct, frozen=True, array_like=True):
    """What must survive a restart of the daemon that accepted the job."""

    spec: JobSpec
    submitted_at: Instant
    status: Status = Status.RUNNING
    code: str = ""
    ended_at: Instant = 0


class ShardRow(msgspec.Struct, frozen=True, array_like=True):
    """One shard's lease. A restart takes `epoch` + 1, so no old holder is believed."""

    phase: Phase = Phase.WAITING
    epoch: int = 0
    holder: NodeId | None = None
    output: Cid | None = None
    wall_ns: Duration = 0
    replaced: int = 0
    failures: int = 0
    code: str = ""
    message: str = ""

    def to(self, phase: Phase, **changes: object) -> ShardRow:
        """The same shard one legal move on."""
        assert phase in MOVES[self.phase], (self.phase, phase)
        return msgspec.structs.replace(self, phase=phase, **changes)


class ResultRow(msgspec.Struct, frozen=True, array_like=True):
    """A result this node is the sink of."""

    output: Cid
    name: str
    shards: int
    scheduler: NodeId


@dataclass(frozen=True, slots=True)
class ShardView:
    index: int
    row: ShardRow


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its daemon knows it now."""

    job: JobId
    row: JobRow
    sink: NodeId
    shards: tuple[ShardView, ...]

    def count(self, phase: Phase) -> int:
        return sum(shard.row.phase is phase for shard in self.shards)

    @property
    def results(self) -> int:
        """Shards whose outputs are results: those that no other shard takes."""
        taken = {taken for shard in self.row.spec.shards for taken in shard.takes}
        return len(self.shards) - len(taken)

    @property
    def replaced(self) -> int:
        return sum(shard.row.replaced for shard in self.shards)


job_rows: msgspec.msgpack.Decoder[JobRow] = msgspec.msgpack.Decoder(JobRow)
shard_rows: msgspec.msgpack.Decoder[ShardRow] = msgspec.msgpack.Decoder(ShardRow)
result_rows: msgspec.msgpack.Decoder[ResultRow] = msgspec.msgpack.Decoder(ResultRow)
specs: msgspec.msgpack.Decoder[JobSpec] = msgspec.msgpack.Decoder(JobSpec)
