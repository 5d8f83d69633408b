"""A pool of one real worker, and an executor over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from workbench import Bench

from meshd.adapters.executor import WorkerPool


@pytest.fixture
async def pool(tmp_path: Path, nursery: trio.Nursery) -> WorkerPool:
    pool = WorkerPool(1, queue_max=8, scratch=tmp_path)
    await nursery.start(pool.run)
    return pool


@pytest.fixture
async def bench(tmp_path: Path, pool: WorkerPool) -> AsyncIterator[Bench]:
    bench = Bench(pool, tmp_path / "blobs", allow_commands=True)
    yield bench
    runs = [event.run for event in bench.posted]
    assert len(runs) == len(set(runs))
    assert not list((bench.blobs.folder / "partial").glob("*"))
