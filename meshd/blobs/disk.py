"""What a driver does for a node's blobs: effects carried out on a store, and what to tell of them.

The store blocks: a driver on a real disk calls this in a thread, with as much as has gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, get_args

import protocols
from meshd.ports import BlobPort
from meshd.seam import (
    BlobOpened,
    BlobRejected,
    BlobStored,
    CloseBlob,
    Effect,
    Event,
    OpenBlob,
    PayloadOffered,
    PieceWritten,
    ReadBlob,
    ReleaseBlob,
    WriteBlob,
)
from protocols.blob import Chunk, Missing
from protocols.priority import Priority

BLOB_PORT = "blob"

DiskEffect: TypeAlias = OpenBlob | CloseBlob | WriteBlob | ReadBlob | ReleaseBlob
DISK_EFFECTS = get_args(DiskEffect)


def carry_out(effects: Sequence[DiskEffect], store: BlobPort) -> list[Event]:
    """Carry out effects in order; the events that come of them, in the same order."""
    return [event for effect in _joined(effects) for event in _carried_out(effect, store)]


def _carried_out(effect: Effect, store: BlobPort) -> Iterable[Event]:
    match effect:
        case OpenBlob(cid=cid):
            whole = store.size(cid)
            return [
                BlobOpened(cid, *store.resume(cid)) if whole is None else BlobStored(cid, whole)
            ]
        case WriteBlob():
            return [
                _written(effect, store.write(effect.cid, effect.offset, effect.data, effect.size))
            ]
        case ReadBlob():
            return [_piece(effect, store)]
        case CloseBlob(cid=cid, keep=keep):
            store.close(cid, keep=keep)
        case ReleaseBlob(cid=cid):
            store.release(cid)
    return []


def _joined(effects: Sequence[DiskEffect]) -> Iterator[DiskEffect]:
    """The same effects, but pieces that follow each other are one: calls cost as much as bytes."""
    run: list[WriteBlob] = []
    for effect in effects:
        if isinstance(effect, WriteBlob) and (not run or _follows(run[-1], effect)):
            run.append(effect)
            continue
        yield from _one(run)
        run = []
        if isinstance(effect, WriteBlob):
            run.append(effect)
        else:
            yield effect
    yield from _one(run)


def _follows(one: WriteBlob, next_: WriteBlob) -> bool:
    same = (one.cid, one.size) == (next_.cid, next_.size)
    return same and one.offset + len(one.data) == next_.offset


def _one(run: list[WriteBlob]) -> list[WriteBlob]:
    if len(run) < 2:
        return run
    first = run[0]
    return [WriteBlob(first.cid, first.offset, b"".join(w.data for w in run), first.size)]


def _written(write: WriteBlob, code: str) -> Event:
    if code == "partial":
        return PieceWritten(write.cid, write.offset, len(write.data))
    if code == "stored":
        return BlobStored(write.cid, write.size)
    return BlobRejected(write.cid, code)


def _piece(read: ReadBlob, store: BlobPort) -> Event:
    """The piece, or word that it is missing, as a payload for who asked."""
    size = store.size(read.cid)
    data = store.read(read.cid, read.offset, read.length)
    said = Missing(read.cid) if size is None or data is None else None
    message = said or Chunk(read.cid, read.offset, size or 0, data or b"")
    payload = protocols.BLOB.encode(message)
    where, lifetime = read.destination, read.lifetime_ns
    return PayloadOffered(read.packet, where, BLOB_PORT, payload, lifetime, priority=Priority.BULK)
