"""Work: jobs submitted, watched and read through one daemon, and the blobs they are made of."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import trio

from meshd.adapters.blobstore import name_file
from meshd.daemon.names import Names
from meshd.daemon.probes import until
from meshd.driver import Happening
from meshd.ephemeris.timescale import format_time
from meshd.jobs import checks
from meshd.scheduler.log import Line
from meshd.scheduler.states import JobView, Phase, ShardView, Status
from meshd.seam import BlobStored, JobCancelled, JobSubmitted, ReportJob
from protocols import cid as cids
from protocols.bounds import BLOB_BYTES_MAX
from protocols.errors import InputError, MeshError, NotFound
from protocols.job import JobSpec
from protocols.types import MILLISECOND, SECOND, Cid, JobId, NodeId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

ANSWER_S = 10.0
LOOK_S = 1.0
"""How often a watched job is looked at when nothing was reported."""

CHUNK_BYTES = 1 << 18
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
_MISSING_MAX = 3


class Work:
    """Reads the book and the sink between events; orders go in as events."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    # --- jobs -----------------------------------------------------------------------------------

    def jobs(self) -> list[Json]:
        """Every job this daemon accepted, the newest first."""
        views = self._daemon.node.scheduler.book.view()
        newest = sorted(views, key=lambda view: (-view.row.submitted_at, view.job))
        return [self._summary(view) for view in newest]

    def job(self, name: str) -> Json:
        view = self._view(name)
        return {
            **self._summary(view),
            "shard_list": [self._shard(view.row.spec, shard) for shard in view.shards],
        }

    async def submit(self, raw: Json, name: str | None) -> Json:
        """Accept a job. The same id again, with the same job, is the same job.

        Raises InputError "bad-job", "blob-missing" or "bad-job-id", MeshError "no-candidates" when
        no node runs such work, "job-exists" or "book-full".
        """
        if name is not None and not _JOB_ID.fullmatch(name):
            message = f"{name!r} is no job id: 1 to 40 letters, digits and . _ -"
            raise InputError("bad-job-id", message)
        job = JobId(name or secrets.token_hex(8))
        spec = self._check(raw)
        known = self._daemon.node.scheduler.book.find(job)
        if known is not None:
            if known.row.spec != spec:
                raise MeshError("job-exists", f"{job} is another job; give this one another id")
            return {**self._summary(known), "existing": True}
        self._check_candidates(spec)

        def told(happening: Happening) -> bool:
            if not isinstance(happening, ReportJob) or happening.job != job:
                return False
            return happening.what in ("accepted", "refused")

        with self._daemon.driver.watch(told) as watcher, trio.move_on_after(ANSWER_S):
            self._daemon.driver.post(JobSubmitted(job, msgspec.msgpack.encode(spec)))
            report = await watcher.next()
            assert isinstance(report, ReportJob)
            if report.what == "refused":
                raise MeshError(report.code, f"the job was refused: {report.code}")
            return {**self._summary(self._view(job)), "existing": False}
        raise MeshError("time-out", f"the job was not accepted within {ANSWER_S:g} s")

    async def cancel(self, name: str) -> Json:
        view = self._view(name)
        job = view.job
        if view.row.status is not Status.RUNNING:
            raise MeshError("not-running", f"{job} is over: it {_ended(view)}")
        self._daemon.driver.post(JobCancelled(job))
        await until(lambda: self._view(job).row.status is not Status.RUNNING, ANSWER_S)
        return self._summary(self._view(job))

    async def watch(self, name: str) -> AsyncIterator[Json]:
        """The job as it is, then each change, until it has ended. A slow reader misses some."""
        job = self._view(name).job

        def about(happening: Happening) -> bool:
            if not isinstance(happening, ReportJob) or happening.job != job:
                return False
            return happening.what != "said"

        with self._daemon.driver.watch(about) as watcher:
            view = self._view(job)
            yield {"event": "now", **self._summary(view)}
            while view.row.status is Status.RUNNING:
                report: Happening | None = None
                with trio.move_on_after(LOOK_S):
                    report = await watcher.next()
                view = self._view(job)
                if isinstance(report, ReportJob):
                    yield {**self._report(report), **self._summary(view)}
            yield {"event": "ended", **self._summary(view)}

    async def logs(self, name: str, *, follow: bool) -> AsyncIterator[Json]:
        """What its shards have said on standard error; with `follow` what they say till its end."""
        job = self._view(name).job
        book = self._daemon.node.scheduler.book

        def about(happening: Happening) -> bool:
            return isinstance(happening, ReportJob) and happening.job == job

        with self._daemon.driver.watch(about) as watcher:
            number = 0
            while True:
                over = self._view(job).row.status is not Status.RUNNING
                for line in book.log(job).since(number):
                    yield self._line(line)
                    number = line.number + 1
                if over or not follow:
                    return
                with trio.move_on_after(LOOK_S):
                    await watcher.next()

    def result(self, name: str) -> list[Json]:
        """The outputs of a finished job whose results end here, in order of shards.

        Raises NotFound "result-elsewhere" naming the sink, MeshError "not-finished" or
        "job-failed".
        """
        rows = self._daemon.node.scheduler.sink.view()
        job = self._match(name, [*rows, *(v.job for v in self._daemon.node.scheduler.book.view())])
        view = self._daemon.node.scheduler.book.find(job)
        if view is not None and view.sink != self._daemon.identity.node_id:
            sink = self._names.name_of(view.sink)
            message = f"the results of {job} are delivered to {sink}; ask the daemon there"
            raise NotFound("result-elsewhere", message)
        outputs = rows.get(job, {})
        total = view.results if view else next(iter(outputs.values())).shards
        if len(outputs) < total:
            if view is not None and view.row.status in (Status.FAILED, Status.CANCELLED):
                raise MeshError("job-failed", f"{job} {_ended(view)}: no result")
            message = f"{job} is not finished: {len(outputs)} of {total} shards are here"
            raise MeshError("not-finished", message)
        blobs = self._daemon.blobs
        return [
            {"shard": shard, "cid": row.output, "bytes": blobs.size(row.output)}
            for shard, row in sorted(outputs.items())
        ]

    # --- checks ---------------------------------------------------------------------------------

    def _check(self, raw: Json) -> JobSpec:
        sink = raw.get("sink")
        if isinstance(sink, str):
            raw = {**raw, "sink": self._names.find(sink)}
        try:
            spec = msgspec.convert(raw, JobSpec)
        except msgspec.ValidationError as error:
            raise InputError("bad-job", f"the job cannot be accepted: {error}") from None
        if found := checks.faults(spec):
            raise InputError("bad-job", f"the job cannot be accepted: {'; '.join(found)}")
        if (refusal := checks.not_supported(spec)) is not None:
            raise InputError(*refusal)
        missing = [cid for cid in dict.fromkeys(spec.cids) if not self._daemon.blobs.has(cid)]
        if missing:
            some = ", ".join(missing[:_MISSING_MAX])
            message = f"{len(missing)} blobs of the job are not here ({some}); put them first"
            raise InputError("blob-missing", message)
        return spec

    def _check_candidates(self, spec: JobSpec) -> None:
        """Refuse at once what no node would run: it would wait until its deadline."""
        now, scheduler = self._daemon.shared.clock.now(), self._daemon.node.scheduler
        beacons = [beacon for beacon, _ in scheduler.loads.view(now).values()]
        for kind in dict.fromkeys(spec.work(shard).kind for shard in spec.shards):
            if any(kind in beacon.kinds and beacon.slots for beacon in beacons):
                continue
            hint = "; start one with --allow-command" if kind == "command" else ""
            message = f"none of the {len(beacons)} nodes known here runs work of kind {kind!r}"
            raise MeshError("no-candidates", message + hint)

    def _view(self, name: str) -> JobView:
        book = self._daemon.node.scheduler.book
        view = book.find(self._match(name, [view.job for view in book.view()]))
        assert view is not None
        return view

    @staticmethod
    def _match(name: str, known: list[JobId]) -> JobId:
        """The job of this id, or of the one id that begins so."""
        if name in known:
            return JobId(name)
        found = sorted({job for job in known if name and job.startswith(name)})
        if len(found) > 1:
            raise InputError("ambiguous-job", f"{name!r} begins {len(found)} job ids; give more")
        if not found:
            raise NotFound("unknown-job", f"no job {name!r} here; `meshd job ls` lists them")
        return found[0]

    # --- answers --------------------------------------------------------------------------------

    def _summary(self, view: JobView) -> Json:
        row = view.row
        ends_at = row.submitted_at + round(row.spec.deadline_s * SECOND)
        return {
            "job": view.job,
            "name": row.spec.name,
            "kind": row.spec.kind,
            "status": row.status.value,
            "code": row.code,
            "message": self._reason(view),
            "submitted_at": format_time(row.submitted_at),
            "deadline": format_time(ends_at),
            "ended_at": format_time(row.ended_at) if row.ended_at else None,
            "took_ms": (row.ended_at - row.submitted_at) / MILLISECOND if row.ended_at else None,
            "sink": view.sink,
            "sink_name": self._names.name_of(view.sink),
            "shards": len(view.shards),
            "counts": {phase.value: view.count(phase) for phase in Phase},
            "replaced": view.replaced,
            "holders": len({s.row.holder for s in view.shards if s.row.holder is not None}),
        }

    def _reason(self, view: JobView) -> str:
        """What a person should know of a failure: the message of the shard that caused it."""
        same = [s.row.message for s in view.shards if s.row.code == view.row.code and s.row.message]
        return same[0] if view.row.code and same else ""

    def _shard(self, spec: JobSpec, shard: ShardView) -> Json:
        row = shard.row
        return {
            "shard": shard.index,
            "stage": spec.stage_name(spec.shards[shard.index]),
            "phase": row.phase.value,
            "holder": row.holder,
            "holder_name": self._name(row.holder),
            "epoch": row.epoch,
            "replaced": row.replaced,
            "failures": row.failures,
            "code": row.code,
            "message": row.message,
            "wall_ms": round(row.wall_ns / MILLISECOND, 3),
            "output": row.output,
        }

    def _report(self, report: ReportJob) -> Json:
        return {
            "event": report.what,
            "shard": report.shard,
            "node": report.node,
            "node_name": self._name(report.node),
            "event_code": report.code,
        }

    def _line(self, line: Line) -> Json:
        return {
            "number": line.number,
            "at": format_time(line.at),
            "shard": line.shard,
            "node": line.node,
            "node_name": self._name(line.node),
            "text": line.text,
        }

    def _name(self, node: NodeId | None) -> str | None:
        return None if node is None else self._names.name_of(node)

    # --- blobs ----------------------------------------------------------------------------------

    def blobs(self) -> list[Json]:
        """Every blob here, by name; what is not kept goes when room is wanted."""
        rows = self._daemon.blobs.view()
        return [{"cid": cid, "bytes": size, "kept": kept} for cid, size, kept in rows]

    async def put_blob(self, chunks: AsyncIterator[bytes], expected: Cid | None = None) -> Json:
        """Keep bytes under their name, which may be `expected`.

        Raises "blob-too-large", "hash-mismatch", "store-full" or "store-failed".
        """
        blobs = self._daemon.blobs
        size_max = min(BLOB_BYTES_MAX, blobs.bytes_max)
        path = blobs.fresh_path()
        try:
            size = 0
            async with await trio.open_file(path, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > size_max:
                        message = f"the blob is larger than {size_max} bytes"
                        raise InputError("blob-too-large", message)
                    await file.write(chunk)
            cid, size = await trio.to_thread.run_sync(name_file, path)
            if expected not in (None, cid):
                raise InputError("hash-mismatch", f"the bytes are those of {cid}, not {expected}")
            blobs.adopt(path, cid, size)
        except OSError as error:
            raise MeshError("store-failed", f"cannot keep the blob: {error.strerror}") from error
        finally:
            _remove(path)
        self._daemon.driver.post(BlobStored(cid, size))
        return {"cid": cid, "bytes": size}

    def get_blob(
        self,
        name: str,
        offset: int = 0,
        length: int = BLOB_BYTES_MAX,
        piece_bytes: int = CHUNK_BYTES,
    ) -> tuple[int, Iterator[bytes]]:
        """The size of a blob, and its bytes of a range, in pieces: at least one, if empty.

        Raises InputError "bad-cid" or "bad-range", NotFound "blob-missing".
        """
        cid = cids.check(name, InputError)
        size = self._daemon.blobs.size(cid)
        if size is None:
            raise NotFound("blob-missing", f"the blob {cid} is not in this daemon's store")
        if offset > size:
            raise InputError("bad-range", f"the blob {cid} has {size} bytes, {offset} is beyond")
        return size, self._read(cid, offset, min(size, offset + length), piece_bytes)

    def _read(self, cid: Cid, start: int, end: int, piece_bytes: int) -> Iterator[bytes]:
        for offset in range(start, max(end, start + 1), piece_bytes):
            data = self._daemon.blobs.read(cid, offset, min(piece_bytes, end - offset))
            if data is None:
                raise MeshError("blob-missing", f"the blob {cid} went away while it was read")
            yield data


def _ended(view: JobView) -> str:
    verb = {Status.CANCELLED: "was cancelled", Status.FAILED: "failed"}.get(
        view.row.status, view.row.status.value
    )
    code = view.row.code if view.row.status is Status.FAILED else ""
    return f"{verb} ({code})" if code else verb


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
