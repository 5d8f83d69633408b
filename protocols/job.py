"""Jobs: offered, held under a lease, finished and delivered, as addressed packets (port "job")."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import (
    BLOB_BYTES_MAX,
    FILES_MAX,
    INPUTS_MAX,
    SAID_MAX,
    SHARDS_MAX,
    SHARDS_RENEWED_MAX,
    STAGES_MAX,
    Cid_,
    Code,
    Count,
    Job_,
    Name,
    Nanoseconds,
    Node,
    ShardIndex,
    Text,
    WorkNanoseconds,
)
from protocols.types import Cid

Kind: TypeAlias = Literal["onnx", "wasm", "command"]
Epoch: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Command: TypeAlias = Annotated[tuple[Text, ...], Meta(max_length=256)]
Priority: TypeAlias = Annotated[int, Meta(ge=0, le=9)]
"""9 goes first."""

FILE_PATH = r"\A(?!/)(?!(.*/)?\.{0,2}(/|\Z))[^\\\x00-\x1f\x7f]+\Z"
"""Relative, with no empty, "." or ".." part: it stays below the folder it is put in."""

VERIFY = r"\A(none|dup|spot:(1|0?\.[0-9]{1,6})|vote:[3579])\Z"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one shard may use, in real seconds and bytes, whatever the mission clock's speed."""

    wall_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    memory_mb: Annotated[int, Meta(ge=16, le=1_048_576)] = 512
    output_mb: Annotated[int, Meta(ge=1, le=1_024)] = 16
    fuel: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
    """WebAssembly instructions, about; 0: as many as the wall time lets it run."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A blob that a shard finds as a file, below its folder "in"."""

    path: Annotated[str, Meta(max_length=255, pattern=FILE_PATH)]
    cid: Cid_


Files: TypeAlias = Annotated[tuple[File, ...], Meta(max_length=FILES_MAX)]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some shards of a job run, where that differs from the job's own."""

    name: Name
    kind: Kind
    model: Cid_ | None = None
    files: Files = ()
    estimate_s: Annotated[float, Meta(gt=0, le=86_400)] = 1.0
    output_bytes: Count = 0
    limits: Limits = Limits()


class ShardSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shard: what it works on, and its argument vector."""

    input: Cid_ | None = None
    command: Command = ()
    stage: Annotated[int, Meta(ge=0, le=STAGES_MAX)] = 0
    """0: the job's own; else one of its `stages`, counted from 1."""
    takes: Annotated[tuple[ShardIndex, ...], Meta(max_length=INPUTS_MAX)] = ()
    """Earlier shards whose outputs are inputs here, behind `input`; it starts when they exist."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Around a point on the ground; or, of the `sky`, around a right ascension and declination."""

    latitude_deg: Annotated[float, Meta(ge=-90, le=90)]
    longitude_deg: Annotated[float, Meta(ge=-180, le=360)]
    radius_km: Annotated[float, Meta(gt=0, le=20_040)] = 1_000.0
    sky: bool = False


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where shards may run."""

    labels: Annotated[tuple[Name, ...], Meta(max_length=32)] = ()
    """A node must have them all."""
    operator: Name = ""
    region: Region | None = None
    spread: Literal["", "planes", "operators"] = ""
    """No two shards in one of these while there are others."""
    sunlit: bool = False


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job as a daemon accepts it: every file already a blob of that daemon."""

    name: Name
    kind: Kind
    shards: Annotated[tuple[ShardSpec, ...], Meta(min_length=1, max_length=SHARDS_MAX)]
    sink: Node | None = None
    """Where results go; the submitter when None."""
    model: Cid_ | None = None
    deadline_s: Annotated[float, Meta(gt=0, le=604_800)] = 600.0
    estimate_s: Annotated[float, Meta(gt=0, le=86_400)] = 1.0
    """What a shard is expected to take on a node of speed 1."""
    limits: Limits = Limits()
    files: Files = ()
    output_bytes: Count = 0
    """What a shard is expected to put out; 0: nobody knows."""
    stage: Name = ""
    """What people call the stage that the job's own fields describe."""
    stages: Annotated[tuple[Stage, ...], Meta(max_length=STAGES_MAX)] = ()
    """Further stages; shards name them."""
    priority: Priority = 5
    placement: Placement = Placement()
    verify: Annotated[str, Meta(max_length=16, pattern=VERIFY)] = "none"

    def work(self, shard: ShardSpec) -> JobSpec | Stage:
        """What a shard of this job runs."""
        return self.stages[shard.stage - 1] if shard.stage else self

    def stage_name(self, shard: ShardSpec) -> str:
        return self.stages[shard.stage - 1].name if shard.stage else self.stage

    @property
    def cids(self) -> list[Cid]:
        """Every blob the job brings, as often as it is named."""
        works: list[JobSpec | Stage] = [self, *self.stages]
        found = [work.model for work in works if work.model is not None]
        found += [file.cid for work in works for file in work.files]
        return found + [shard.input for shard in self.shards if shard.input is not None]


class Input(msgspec.Struct, frozen=True, array_like=True):
    """A blob to work on, and the node that has it."""

    cid: Cid_
    node: Node


class Offer(msgspec.Struct, frozen=True, array_like=True, tag="offer"):
    """Hold this shard for me until `lease_ns` after your last renewal reached me."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    kind: Kind
    model: Cid_ | None
    inputs: Annotated[tuple[Input, ...], Meta(max_length=INPUTS_MAX + 1)]
    files: Files
    command: Command
    limits: Limits
    estimate_ns: WorkNanoseconds
    lease_ns: WorkNanoseconds
    ends_at: Nanoseconds
    """The job's deadline: after it nobody wants the result."""
    priority: Priority


class Accept(msgspec.Struct, frozen=True, array_like=True, tag="accept"):
    job: Job_
    shard: ShardIndex
    epoch: Epoch


class Decline(msgspec.Struct, frozen=True, array_like=True, tag="decline"):
    job: Job_
    shard: ShardIndex
    epoch: Epoch
    code: Code


class Leased(msgspec.Struct, frozen=True, array_like=True):
    job: Job_
    shard: ShardIndex
    epoch: Epoch


class Renew(msgspec.Struct, frozen=True, array_like=True, tag="renew"):
    """I still hold these."""

    leases: Annotated[tuple[Leased, ...], Meta(max_length=SHARDS_RENEWED_MAX)]


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="finished"):
    """The shard ended: "ok" with its output, or the reason it failed."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    code: Code
    message: Text
    output: Cid_ | None
    output_bytes: Annotated[int, Meta(ge=0, le=BLOB_BYTES_MAX)]
    wall_ns: Nanoseconds


class Said(msgspec.Struct, frozen=True, array_like=True, tag="said"):
    """What the shard has written to standard error since this was last said; for people."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    text: Annotated[str, Meta(max_length=SAID_MAX)]


class Release(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """Stop, and forget: the lease is over (delivered, cancelled or given to another)."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    code: Code


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """To the sink: a result waits for you at its holder."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    name: Name
    shards: Count
    output: Cid_
    holder: Node


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """The sink has the result, verified by hash and on disk."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    output: Cid_


class Unfetched(msgspec.Struct, frozen=True, array_like=True, tag="unfetched"):
    """The sink could not get the result from its holder."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    code: Code


JobMessage: TypeAlias = (
    Offer | Accept | Decline | Renew | Said | Finished | Release | Ready | Stored | Unfetched
)
