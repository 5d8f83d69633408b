"""Part: a blob on its way to disk, with a journal of what has come, so that a restart goes on.

Beside the bytes, in `<cid>`, stands `<cid>.held`: the blob's size, then an entry for each run of
bytes written: offset, length, CRC-32. Nothing is synced on the way. After a crash of the process
all of it is there; after a loss of power what does not agree with its entry has not come.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from protocols import cid as cids
from protocols.types import Cid

HELD = ".held"
"""Of the journal's file name."""

_SIZE = struct.Struct("<Q")
_ENTRY = struct.Struct("<QII")
_READ_BYTES = 1 << 20

_CATCH_UP_BYTES = 8 << 20
"""What is hashed in one go of bytes that came before those they follow."""

_SYNC_EVERY_BYTES = 64 << 20
"""So that the last sync, of a whole GiB, does not keep the disk from everybody else."""


class Part:
    """Which bytes have come, hashed as far as they came in order. One thread at a time uses it."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.open = True
        """Whether it is being fetched; otherwise it may go when room is needed."""
        self._held: list[tuple[int, int]] = []
        """Half-open, sorted, disjoint intervals of bytes on disk."""
        self._hasher, self._hashed = cids.Hasher(), 0
        self._unsynced = 0
        self._file = self._journal = -1

    @classmethod
    def begin(cls, path: Path, size: int) -> Part:
        """An empty one."""
        part = cls(path, size)
        part._open_files(os.O_CREAT | os.O_TRUNC)
        os.write(part._journal, _SIZE.pack(size))
        return part

    @classmethod
    def left(cls, path: Path) -> Part | None:
        """One of a life before, not read yet: `resume` does that when it is fetched again."""
        with path.with_name(path.name + HELD).open("rb") as journal:
            head = journal.read(_SIZE.size)
        if len(head) < _SIZE.size:
            return None
        part = cls(path, _SIZE.unpack(head)[0])
        part.open = False
        return part

    @classmethod
    def resume(cls, path: Path) -> Part | None:
        """What was left of one, each run of it compared with its entry; None if nothing was."""
        try:
            journal = path.with_name(path.name + HELD).read_bytes()
        except OSError:
            return None
        if len(journal) < _SIZE.size:
            return None
        part = cls(path, _SIZE.unpack_from(journal)[0])
        try:
            part._open_files(0)
        except OSError:
            return None
        for offset, data in part._sound(journal):
            part._take(offset, data)
        if not part.missing(0, part.size):
            low, high = part._held.pop()  # its last word makes a blob whole: it is asked for again
            if high - low > _READ_BYTES:
                part._held.append((low, high - _READ_BYTES))
            part._hasher, part._hashed = cids.Hasher(), 0
        return part

    def _sound(self, journal: bytes) -> Iterator[tuple[int, bytes]]:
        whole = len(journal) - (len(journal) - _SIZE.size) % _ENTRY.size
        for offset, length, crc in _ENTRY.iter_unpack(journal[_SIZE.size : whole]):
            data = os.pread(self._file, length, offset) if offset + length <= self.size else b""
            if len(data) == length and zlib.crc32(data) == crc:
                yield offset, data

    def _open_files(self, flags: int) -> None:
        self._file = os.open(self.path, os.O_RDWR | flags, 0o600)
        journal = self.path.with_name(self.path.name + HELD)
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | flags, 0o600)

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        return tuple(self._held)

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """The gaps between what is held, within [start, end)."""
        gaps = []
        for low, high in self._held:
            if high <= start:
                continue
            if low >= end:
                break
            if low > start:
                gaps.append((start, low))
            start = high
        if start < end:
            gaps.append((start, end))
        return gaps

    def write(self, offset: int, data: bytes) -> None:
        """Fill the gaps this piece covers: bytes once hashed must not change."""
        entries = b""
        for low, high in self.missing(offset, offset + len(data)):
            run = memoryview(data)[low - offset : high - offset]
            _write_all(self._file, run, low)
            entries += _ENTRY.pack(low, high - low, zlib.crc32(run))
            self._take(low, run)
            self._unsynced += high - low
        if entries:
            os.write(self._journal, entries)
        if self._unsynced >= _SYNC_EVERY_BYTES:
            os.fdatasync(self._file)
            self._unsynced = 0

    def finish(self) -> Cid:
        """The name of the whole, which is then on disk."""
        while self._hashed < self.size:
            self._catch_up(self.size)
        os.fsync(self._file)
        return self._hasher.cid()

    def close(self) -> None:
        """Let go of the files; `resume` takes them up again."""
        self.open = False
        for descriptor in (self._file, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._journal = -1

    def drop_journal(self) -> None:
        self.path.with_name(self.path.name + HELD).unlink(missing_ok=True)

    def drop(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)
        self.drop_journal()

    def _take(self, low: int, run: bytes | memoryview) -> None:
        """A run is on disk: hash it if it is the next, and what has waited for it."""
        if low == self._hashed:
            self._hasher.update(run)
            self._hashed += len(run)
        self._hold(low, low + len(run))
        first_end = self._held[0][1] if self._held[0][0] == 0 else 0
        if first_end > self._hashed:
            self._catch_up(min(first_end, self._hashed + _CATCH_UP_BYTES))

    def _catch_up(self, end: int) -> None:
        while self._hashed < end:
            data = os.pread(self._file, min(_READ_BYTES, end - self._hashed), self._hashed)
            if not data:
                raise OSError("the file of a blob on its way is shorter than it was")
            self._hasher.update(data)
            self._hashed += len(data)

    def _hold(self, low: int, high: int) -> None:
        joined: list[tuple[int, int]] = []
        for start, end in sorted([*self._held, (low, high)]):
            if joined and joined[-1][1] >= start:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        self._held = joined


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, offset)
        data, offset = data[count:], offset + count
