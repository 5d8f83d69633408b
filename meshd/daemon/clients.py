"""Clients: what programs that are no node of the mesh may have of this daemon, over libp2p."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from meshd.adapters.capability import Capability, Request
from meshd.adapters.requests import Caller
from meshd.daemon.names import Names
from meshd.daemon.work import Work
from meshd.scheduler.states import Phase
from meshd.scheduler.states import Status as JobStatus
from protocols import cid as cids
from protocols.blob import Chunk
from protocols.bounds import CHUNK_BYTES_MAX, OUTPUTS_MAX, PUT_BYTES_MAX
from protocols.client import Get, JobRequest, Kept, Output, Outputs, Result, State, Status, Submit
from protocols.errors import InputError, MeshError, NotFound
from protocols.job import JobSpec
from protocols.types import Cid, JobId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

NEW = JobId("")


class Clients:
    """The `Service` of a daemon: the same `Work` as its control socket's, for strangers.

    So work and blobs are taken only where remote jobs are, where there are operators only by a
    capability of one, and a job is named whole: its beginning will do for who owns the daemon, but
    could be guessed.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._work = Work(daemon, Names(daemon.identity.node_id, daemon.node.router))
        self._granted: dict[JobId, str] = {}
        """Jobs that were submitted in this life, with the capability that let them."""

    async def job(self, request: JobRequest, caller: Caller) -> State | Outputs:
        match request:
            case Submit(job=job, spec=spec):
                return await self._submit(job, spec, caller)
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

    async def put(self, cid: Cid, size: int, data: AsyncIterator[bytes], caller: Caller) -> Kept:
        """Raises the codes of `Work.put_blob`, those of a blob that cannot be kept at once."""
        self._check_welcome(Request("put", caller.peer), caller)
        cids.check(cid)
        size_max = min(PUT_BYTES_MAX, self._daemon.blobs.bytes_max)
        if size > size_max:
            raise InputError("blob-too-large", f"clients may put blobs of {size_max} bytes at most")
        await self._work.put_blob(data, cid)
        return Kept(cid, size)

    async def _submit(self, job: str, spec: JobSpec, caller: Caller) -> State:
        asked = Request("submit", caller.peer, spec.kind)
        capability = self._check_welcome(asked, caller, spec, JobId(job))
        found = await self._work.submit(msgspec.to_builtins(spec), job or None)
        if capability is not None and not found["existing"]:
            self._granted[JobId(found["job"])] = capability.name
        return _state(found)

    def _check_welcome(
        self, asked: Request, caller: Caller, spec: JobSpec | None = None, job: JobId = NEW
    ) -> Capability | None:
        """The capability that lets a client do this; None where anyone may.

        Raises MeshError "remote-not-allowed", and the codes of a capability.
        """
        if not self._daemon.config.accepts_remote_jobs:
            message = "this daemon takes no work from others; its operator says --accept-jobs yes"
            raise MeshError("remote-not-allowed", message)
        policy = self._daemon.node.trust.policy
        if policy.open:
            return None
        operators = tuple(operator.id for operator in policy.operators)
        capability = Capability.read(caller.permit, operators)
        shards = self._under_way(capability.name, job) + (len(spec.shards) if spec else 0)
        capability.check(asked, shards, self._daemon.shared.clock.now())
        return capability

    def _under_way(self, capability: str, job: JobId) -> int:
        """Shards of other jobs by a capability that are not delivered yet."""
        book, count = self._daemon.node.scheduler.book, 0
        for name in list(self._granted):
            view = book.find(name)
            if view is None or view.row.status is not JobStatus.RUNNING:
                del self._granted[name]
            elif self._granted[name] == capability and name != job:
                count += len(view.shards) - view.count(Phase.DELIVERED)
        return count

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
