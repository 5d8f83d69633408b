"""A daemon's disk under load: rows committed by many at once, blobs put, replaced and dropped.

Run as `python workload.py HOME SYNCHRONOUS` under the recorder. Each promise is written to the file
of promises after the store has made it, and not before.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import trio

from meshd.adapters.blobstore import BlobStore, name_file
from meshd.adapters.ondisk import write_whole
from meshd.adapters.store import Store
from protocols.types import Cid

WRITERS = 3
COMMITS = 24
KEPT = 15
"""Rows of a writer: the one before so many is deleted."""
VERSIONS = 12
BLOBS_BYTES_MAX = 300_000
"""Less than all of them: what is dropped must make room."""


def value_of(writer: int, n: int) -> bytes:
    """What a row holds: now and then more than a page."""
    size = 30_000 if n % 10 == 7 else 700 + 13 * n
    return random.Random(writer * 1000 + n).randbytes(size)


def version_of(n: int) -> bytes:
    """What one file holds, whole, one after the other."""
    return b"%d\n" % n * (400 + 100 * n)


def blob_of(n: int) -> bytes:
    return random.Random(-1 - n).randbytes(3_000 + 977 * n)


async def _commit(store: Store, writer: int, promise: int) -> None:
    for n in range(COMMITS):
        key = f"{writer}/{n:03}"
        rows: list[tuple[str, bytes | None]] = [(key, value_of(writer, n))]
        if n >= KEPT:
            rows.append((f"{writer}/{n - KEPT:03}", None))
        await store.commit(rows)
        os.write(promise, f"row {key}\n".encode())


def _put(blobs: BlobStore, n: int) -> str:
    data = blob_of(n)
    if n % 2:
        return str(blobs.put(data))
    path = blobs.fresh_path()
    path.write_bytes(data)
    cid, size = name_file(path)
    blobs.adopt(path, cid, size)
    return str(cid)


async def _keep_blobs(blobs: BlobStore, promise: int) -> None:
    for n in range(24):
        cid = _put(blobs, n)
        os.write(promise, f"blob {n} {cid}\n".encode())
        if n % 3 == 0:
            os.write(promise, f"drop {n} {cid}\n".encode())
            blobs.release(Cid(cid))
        await trio.lowlevel.checkpoint()


async def _write_whole(home: Path, promise: int) -> None:
    for n in range(VERSIONS):
        write_whole(home / "book", version_of(n))
        os.write(promise, f"file {n}\n".encode())
        await trio.lowlevel.checkpoint()


async def main(home: Path, synchronous: str) -> None:
    promise = os.open(home / "acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    store = Store(home / "store.db")
    store.load()
    assert store._connection is not None
    store._connection.execute(f"PRAGMA synchronous = {synchronous}")
    store._connection.execute("PRAGMA wal_autocheckpoint = 40")  # folded into the file often
    blobs = BlobStore(home / "blobs", bytes_max=BLOBS_BYTES_MAX)
    async with trio.open_nursery() as nursery:
        for writer in range(WRITERS):
            nursery.start_soon(_commit, store, writer, promise)
        nursery.start_soon(_keep_blobs, blobs, promise)
        nursery.start_soon(_write_whole, home, promise)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2])
