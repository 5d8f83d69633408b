"""Clients: what programs that are no node of the mesh may have of this daemon, over libp2p."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from meshd.daemon.names import Names
from meshd.daemon.work import Work
from protocols import cid as cids
from protocols.blob import Chunk
from protocols.bounds import CHUNK_BYTES_MAX, OUTPUTS_MAX, PUT_BYTES_MAX
from protocols.client import Get, JobRequest, Kept, Output, Outputs, Result, State, Status, Submit
from protocols.errors import InputError, MeshError, NotFound
from protocols.types import Cid, JobId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon


class Clients:
    """The `Service` of a daemon: the same `Work` as its control socket's, for strangers.

    So work and blobs are taken only where remote jobs are, and a job is named whole: its beginning
    will do for who owns the daemon, but could be guessed.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._work = Work(daemon, Names(daemon.identity.node_id, daemon.node.router))

    async def job(self, request: JobRequest) -> State | Outputs:
        match request:
            case Submit(job=job, spec=spec):
                self._check_welcome()
                return _state(await self._work.submit(msgspec.to_builtins(spec), job or None))
            case Status(job=job):
                return _state(self._work.job(self._whole(job)))
            case Result(job=job, first=first):
                return self._outputs(self._whole(job), first)

    def get(self, request: Get) -> Iterator[Chunk]:
        """Chunks in order, at least one. Raises the codes of `Work.get_blob`."""
        cid, offset = request.cid, request.offset
        size, pieces = self._work.get_blob(cid, offset, request.length, CHUNK_BYTES_MAX)
        for piece in pieces:
            yield Chunk(cid, offset, size, piece)
            offset += len(piece)

    async def put(self, cid: Cid, size: int, data: AsyncIterator[bytes]) -> Kept:
        """Raises the codes of `Work.put_blob`, those of a blob that cannot be kept at once."""
        self._check_welcome()
        cids.check(cid)
        size_max = min(PUT_BYTES_MAX, self._daemon.blobs.bytes_max)
        if size > size_max:
            raise InputError("blob-too-large", f"clients may put blobs of {size_max} bytes at most")
        await self._work.put_blob(data, cid)
        return Kept(cid, size)

    def _check_welcome(self) -> None:
        if not self._daemon.config.accepts_remote_jobs:
            message = "this daemon takes no work from others; its operator says --accept-jobs yes"
            raise MeshError("remote-not-allowed", message)

    def _whole(self, job: JobId) -> str:
        scheduler = self._daemon.node.scheduler
        if scheduler.book.find(job) is None and job not in scheduler.sink.view():
            raise NotFound("unknown-job", f"no job is called {job} here")
        return job

    def _outputs(self, job: str, first: int) -> Outputs:
        rows = self._work.result(job)
        found = []
        for row in rows[first : first + OUTPUTS_MAX]:
            if row["bytes"] is None:
                message = f"the result of shard {row['shard']} is no longer in the store"
                raise NotFound("blob-missing", message)
            found.append(Output(row["shard"], row["cid"], row["bytes"]))
        return Outputs(JobId(job), len(rows), tuple(found))


def _state(summary: dict[str, Any]) -> State:
    return State(
        job=summary["job"],
        name=summary["name"],
        status=summary["status"],
        code=summary["code"],
        message=summary["message"],
        shards=summary["shards"],
        delivered=summary["counts"]["delivered"],
        sink=summary["sink"],
    )
