"""What a client that is no node of the mesh asks of a daemon: one request, one answer a stream.

| stream              | request                        | answer                                 |
|---------------------|--------------------------------|----------------------------------------|
| `/meshd/job/1.0.0`  | Submit, Status, Result         | State, State, Outputs                  |
| `/meshd/blob/1.0.0` | Get; or Chunks, in order       | Chunks, in order; or Kept              |

Ahead of a request a Permit may stand; any request may be answered by a Failure instead.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from protocols.blob import Chunk, Offset
from protocols.bounds import (
    BLOB_BYTES_MAX,
    CAPABILITY_CHARS_MAX,
    OUTPUTS_MAX,
    SHARDS_MAX,
    Cid_,
    Code,
    Job_,
    Name,
    Node,
    ShardIndex,
    Text,
)
from protocols.job import JobSpec

JOB_PROTOCOL = "/meshd/job/1.0.0"
BLOB_PROTOCOL = "/meshd/blob/1.0.0"

ShardCount: TypeAlias = Annotated[int, Meta(ge=0, le=SHARDS_MAX)]


class Permit(msgspec.Struct, frozen=True, array_like=True, tag="permit"):
    """May stand ahead of a request: a capability of an operator, for what is asked then."""

    token: Annotated[str, Meta(max_length=CAPABILITY_CHARS_MAX)]


class Submit(msgspec.Struct, frozen=True, array_like=True, tag="submit"):
    """Do this work. The same id again, with the same job, is the same job."""

    job: Annotated[str, Meta(max_length=40)]
    """Its id; "" lets the daemon give one."""
    spec: JobSpec


class Status(msgspec.Struct, frozen=True, array_like=True, tag="status"):
    """How does this job stand?"""

    job: Job_


class Result(msgspec.Struct, frozen=True, array_like=True, tag="result"):
    """What came of this job, from shard `first` on?"""

    job: Job_
    first: ShardIndex = 0


class Get(msgspec.Struct, frozen=True, array_like=True, tag="get"):
    """Send me these bytes of a blob, or those of them that there are."""

    cid: Cid_
    offset: Offset
    length: Annotated[int, Meta(gt=0, le=BLOB_BYTES_MAX)]


class State(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """A job as the daemon that accepted it knows it; the rest is there for people."""

    job: Job_
    name: Name
    status: Code
    code: Code
    message: Text
    shards: ShardCount
    delivered: ShardCount
    sink: Node
    """Where its results can be asked for."""


class Output(msgspec.Struct, frozen=True, array_like=True):
    """What one shard left, as a blob."""

    shard: ShardIndex
    cid: Cid_
    size: Offset


class Outputs(msgspec.Struct, frozen=True, array_like=True, tag="outputs"):
    """Results in order of shards. With more than fit, ask again from the shard after the last."""

    job: Job_
    shards: ShardCount
    outputs: Annotated[tuple[Output, ...], Meta(max_length=OUTPUTS_MAX)]


class Kept(msgspec.Struct, frozen=True, array_like=True, tag="kept"):
    """The blob is whole, hashes to its name, and is on the daemon's disk."""

    cid: Cid_
    size: Offset


class Failure(msgspec.Struct, frozen=True, array_like=True, tag="failure"):
    """The request is not carried out: why, for programs and for people."""

    code: Code
    message: Text


JobRequest: TypeAlias = Submit | Status | Result
JobStreamMessage: TypeAlias = Permit | Submit | Status | Result | State | Outputs | Failure
BlobStreamMessage: TypeAlias = Permit | Get | Chunk | Kept | Failure
