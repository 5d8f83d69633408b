"""Shards in worker processes: one pool for an operating-system process, one Executor a daemon.

The pool starts workers when the first shards come (or `prewarm` says so), keeps them warm, kills
them at a limit and starts others. Each run ends in exactly one ShardFinished; its codes:

"ok", "stopped", "wall-limit", "memory-limit", "output-limit", "fuel-limit", "bad-model",
"bad-module", "bad-input", "unknown-import", "wasm-failed", "command-failed",
"command-not-allowed", "blob-missing", "executor-full", "crashed", and for an output that cannot be
kept "store-full", "store-failed" or "blob-too-large".
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import trio

from meshd.adapters.blobstore import BlobStore, name_file
from meshd.adapters.worker import Assignment, WorkerProcess
from meshd.seam import Event, RunShard, ShardFinished, ShardSaid
from protocols.bounds import SAID_MAX
from protocols.errors import MeshError
from protocols.types import SECOND, Cid

if TYPE_CHECKING:
    from trio_typing import TaskStatus

QUEUE_MAX = 1024
Post: TypeAlias = Callable[[Event], None]
_WATCH_S = 0.05
"""How often a running worker's memory is looked at."""
_LISTEN_S = 0.5
"""How often what a program says is passed on."""
HEARD_MAX = 65_536
"""Bytes of standard error of one run that are passed on."""
_GRACE_S = {"wasm": 0.5}
"""A module ends itself at its wall limit: killed, its worker would start and compile anew."""
ROOM_FILES_MAX = 1_000
"""Files that a program may keep in its room at a time."""
_DISTURBED = frozenset({"memory-limit", "crashed"})
"""After these a process may live, but failed allocations leave native libraries in odd states."""


class Executor:
    """`ports.ExecutorPort` of one daemon over the pool it shares with others."""

    def __init__(
        self, pool: WorkerPool, blobs: BlobStore, post: Post, allow_commands: bool = False
    ) -> None:
        self.pool = pool
        self.blobs = blobs
        self.post = post
        self.allow_commands = allow_commands
        self._runs: dict[str, _Ticket] = {}

    def run(self, shard: RunShard) -> None:
        """Queue it. A second order for a run that is still going changes nothing."""
        if shard.run in self._runs:
            return
        if shard.kind == "command" and not self.allow_commands:
            message = "this daemon runs no commands; its operator may allow them"
            self.post(ShardFinished(shard.run, "command-not-allowed", message))
            return
        ticket = _Ticket(shard, self.blobs, self._finish, self._say)
        if not self.pool.offer(ticket):
            message = f"{self.pool.queue_max} shards are waiting already"
            self.post(ShardFinished(shard.run, "executor-full", message))
            return
        self._runs[shard.run] = ticket

    def stop(self, run: str) -> None:
        """Forget it if it waits, kill it if it runs; nothing if it is over."""
        ticket = self._runs.get(run)
        if ticket is not None:
            self.pool.withdraw(ticket)

    def close(self) -> None:
        """Stop every run, and say nothing of it: this daemon is leaving."""
        self.post = _say_nothing
        for run in list(self._runs):
            self.stop(run)

    def _say(self, said: Event) -> None:
        self.post(said)

    def _finish(self, finished: ShardFinished) -> None:
        del self._runs[finished.run]
        self.post(finished)


class WorkerPool:
    """`size` worker processes, by default one a processor, that serve a bounded queue in order.

    `busy` is entered while one starts or works: a simulation holds its time so long.
    """

    def __init__(
        self,
        size: int | None = None,
        queue_max: int = QUEUE_MAX,
        scratch: Path | None = None,
        busy: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.size = size or _processors()
        self._busy = busy
        self.queue_max = queue_max
        self._scratch = scratch
        self._queue: deque[_Ticket] = deque()
        self._workers: list[WorkerProcess] = []
        self._idle = trio.lowlevel.ParkingLot()
        self._keep_warm = False
        self._started = trio.lowlevel.ParkingLot()
        self._cannot_start: MeshError | None = None

    @property
    def waiting(self) -> int:
        """Shards that no worker has taken yet."""
        return len(self._queue)

    @property
    def ready(self) -> int:
        """Worker processes that are alive, their libraries loaded."""
        return sum(worker.alive for worker in self._workers)

    async def prewarm(self) -> None:
        """Start every worker now and return when all are ready. Raises MeshError "crashed"."""
        self._keep_warm = True
        self._cannot_start = None
        self._idle.unpark_all()
        while not self._workers or self.ready < self.size:
            await self._started.park()
            if self._cannot_start is not None:
                raise self._cannot_start

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then every worker is killed and reaped, and nothing is posted."""
        folder = Path(tempfile.mkdtemp(prefix="meshd-workers-", dir=self._scratch))
        self._workers = [WorkerProcess(folder / str(number)) for number in range(self.size)]
        try:
            async with trio.open_nursery() as nursery:
                for worker in self._workers:
                    nursery.start_soon(self._attend, worker)
                task_status.started()
        finally:
            self._workers = []
            shutil.rmtree(folder, ignore_errors=True)

    def offer(self, ticket: _Ticket) -> bool:
        """Queue a run; False when the queue is full."""
        if len(self._queue) >= self.queue_max:
            return False
        self._queue.append(ticket)
        self._idle.unpark()
        return True

    def withdraw(self, ticket: _Ticket) -> None:
        """End a run that waits now, one that runs as soon as its worker is dead."""
        ticket.stopped = True
        if ticket in self._queue:
            self._queue.remove(ticket)
            ticket.finish(_stopped(ticket, 0))
        else:
            ticket.scope.cancel()

    async def _attend(self, worker: WorkerProcess) -> None:
        """Give one worker its work; replace its process when that is gone or not to be trusted."""
        try:
            while True:
                if (self._keep_warm or worker.starts) and not worker.alive:
                    await self._warm(worker)
                if not self._queue:
                    await self._idle.park()
                    continue
                ticket = self._queue.popleft()
                with self._busy():
                    finished = await _serve(worker, ticket)
                    if finished.code in _DISTURBED:
                        await worker.kill()
                ticket.finish(finished)
        finally:
            await worker.kill()

    async def _warm(self, worker: WorkerProcess) -> None:
        try:
            with self._busy():
                await worker.start()
        except MeshError as error:
            self._cannot_start = error  # the next shard tries again, and says so if it fails
        self._started.unpark_all()


@dataclass(slots=True, eq=False)
class _Ticket:
    """One run on its way through the pool."""

    shard: RunShard
    blobs: BlobStore
    finish: Callable[[ShardFinished], None]
    post: Post
    stopped: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    heard: int = 0
    """Bytes of its standard error that were passed on."""
    listen_at: float = 0.0

    def listen(self, worker: WorkerProcess) -> None:
        """Pass on what the program has said since, up to a bound."""
        while self.heard < HEARD_MAX:
            data = worker.said(self.heard, SAID_MAX)
            if not data:
                return
            self.heard += len(data)
            more = "" if self.heard < HEARD_MAX else "\n[it says more, which is not passed on]\n"
            text = data.decode("utf-8", "replace")[: SAID_MAX - len(more)] + more
            self.post(ShardSaid(self.shard.run, text))


async def _serve(worker: WorkerProcess, ticket: _Ticket) -> ShardFinished:
    """Run one shard to its end, whatever that is."""
    shard, blobs = ticket.shard, ticket.blobs
    names = tuple(dict.fromkeys(shard.cids))
    target: Path | None = None
    try:
        await worker.start()
        target = blobs.fresh_path()
        with blobs.using(*names) as paths:
            files = dict(zip(names, map(str, paths), strict=True))
            finished = await _run(worker, ticket, (shard, files, str(target)))
        if finished.code == "ok":
            cid = await _keep_output(shard, blobs, target)
            finished = replace(finished, output=cid)
    except MeshError as error:
        finished = ShardFinished(shard.run, error.code, error.message)
    finally:
        if target is not None:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
    return finished


async def _run(worker: WorkerProcess, ticket: _Ticket, assignment: Assignment) -> ShardFinished:
    """The worker's answer, or why it was killed before it gave one."""
    shard = ticket.shard
    begun = trio.current_time()
    deadline = begun + shard.wall_ns / SECOND + _GRACE_S.get(shard.kind, 0.0)
    await worker.send(assignment)
    while True:
        now = trio.current_time()
        if now >= ticket.listen_at:
            ticket.listen(worker)
            ticket.listen_at = now + _LISTEN_S
        elapsed_ns = round((now - begun) * SECOND)
        if ticket.stopped:
            finished = _stopped(ticket, elapsed_ns)
        elif now >= deadline:
            message = f"it was killed at its limit of {shard.wall_ns / SECOND:g} s"
            finished = ShardFinished(shard.run, "wall-limit", message, wall_ns=elapsed_ns)
        elif now > begun and worker.used_bytes() > shard.memory_bytes:
            message = (
                f"it was killed above its limit of {shard.memory_bytes / 1e6:.0f} MB of memory"
            )
            finished = ShardFinished(shard.run, "memory-limit", message, wall_ns=elapsed_ns)
        elif now > begun and worker.overflows(ROOM_FILES_MAX):
            message = "it was killed as it left more files, or larger ones, than it may"
            finished = ShardFinished(shard.run, "output-limit", message, wall_ns=elapsed_ns)
        else:
            ticket.scope = trio.CancelScope(deadline=min(deadline, now + _WATCH_S))
            with ticket.scope:
                finished = await worker.receive()
            if not ticket.scope.cancelled_caught:
                ticket.listen(worker)
                return finished
            continue
        ticket.listen(worker)
        await worker.kill()
        return finished


async def _keep_output(shard: RunShard, blobs: BlobStore, target: Path) -> Cid:
    """Name the output, off the loop, and give it to the store."""
    try:
        cid, size = await trio.to_thread.run_sync(name_file, target)
    except OSError as error:
        raise MeshError("store-failed", f"cannot keep an output: {error}") from error
    if size > shard.output_bytes_max:
        message = f"the output is {size} bytes; the limit is {shard.output_bytes_max}"
        raise MeshError("output-limit", message)
    blobs.adopt(target, cid, size)
    return cid


def _stopped(ticket: _Ticket, wall_ns: int) -> ShardFinished:
    return ShardFinished(ticket.shard.run, "stopped", "it was stopped on request", wall_ns=wall_ns)


def _say_nothing(_event: Event) -> None:
    """Where the events of a daemon go that is leaving."""


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: those this process may use, not all there are
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
