"""Jobs: offered, held under a lease, finished and delivered, as addressed packets (port "job")."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import (
    BLOB_BYTES_MAX,
    SHARDS_MAX,
    SHARDS_RENEWED_MAX,
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

Kind: TypeAlias = Literal["onnx", "command"]
Epoch: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one shard may use, in real seconds and bytes, whatever the mission clock's speed."""

    wall_s: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    memory_mb: Annotated[int, Meta(ge=16, le=1_048_576)] = 512
    output_mb: Annotated[int, Meta(ge=1, le=1_024)] = 16


class ShardSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shard: its input blob, or its argument vector."""

    input: Cid_ | None = None
    command: Annotated[tuple[Text, ...], Meta(max_length=256)] = ()


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


class Offer(msgspec.Struct, frozen=True, array_like=True, tag="offer"):
    """Hold this shard for me until `lease_ns` after your last renewal reached me."""

    job: Job_
    shard: ShardIndex
    epoch: Epoch
    kind: Kind
    model: Cid_ | None
    input: Cid_ | None
    command: Annotated[tuple[Text, ...], Meta(max_length=256)]
    limits: Limits
    estimate_ns: WorkNanoseconds
    lease_ns: WorkNanoseconds


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
    Offer | Accept | Decline | Renew | Finished | Release | Ready | Stored | Unfetched
)
