"""Workbench: an executor over real worker processes and a blob store, for tests."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trio

from meshd.adapters.blobstore import BlobStore
from meshd.adapters.executor import Executor, WorkerPool
from meshd.seam import Event, RunShard, ShardFinished, ShardSaid
from protocols.types import SECOND

MB = 1_000_000


class Bench:
    """An executor over a blob store, and what it posted."""

    def __init__(self, pool: WorkerPool, folder: Path, **options: Any) -> None:
        self.pool = pool
        self.blobs = BlobStore(folder, 200 * MB)
        self.posted: list[ShardFinished] = []
        self.said: list[ShardSaid] = []
        self.executor = Executor(pool, self.blobs, self._post, **options)
        self._arrived = trio.lowlevel.ParkingLot()
        self._runs = 0

    def _post(self, event: Event) -> None:
        if isinstance(event, ShardSaid):
            self.said.append(event)
            return
        assert isinstance(event, ShardFinished)
        self.posted.append(event)
        self._arrived.unpark_all()

    def order(self, **fields: Any) -> str:
        self._runs += 1
        shard = RunShard(
            run=f"run-{self._runs}",
            kind="onnx",
            model=None,
            inputs=(),
            command=(),
            wall_ns=20 * SECOND,
            memory_bytes=256 * MB,
            output_bytes_max=4 * MB,
            estimate_ns=0,
        )
        self.executor.run(replace(shard, **fields))
        return shard.run

    async def answer(self, run: str) -> ShardFinished:
        with trio.fail_after(30):
            while not (found := [event for event in self.posted if event.run == run]):
                await self._arrived.park()
        (finished,) = found
        return finished

    async def outcome(self, **fields: Any) -> ShardFinished:
        return await self.answer(self.order(**fields))

    async def command(self, *argv: str, **fields: Any) -> ShardFinished:
        return await self.outcome(kind="command", command=argv, **fields)

    def arrays(self, finished: ShardFinished) -> dict[str, np.ndarray]:
        assert finished.output is not None, finished
        data = self.blobs.get(finished.output)
        assert data is not None and len(data) == finished.output_bytes
        return dict(np.load(io.BytesIO(data)))
