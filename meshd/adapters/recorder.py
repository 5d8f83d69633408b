"""Recorder: a journal's way to disk. What it writes is handed to the system once a second.

It never harms its daemon: a recording that is full or cannot be written ends, and the daemon goes
on. kill -9 costs the last second; a power cut what the system had not written yet.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio

from meshd.recording import MAGIC, Journal, Packer
from protocols.errors import MeshError

BATCH_S = 1.0


class Recorder:
    """One file of at most `bytes_max` (and one batch). An older recording is kept as FILE.old."""

    def __init__(self, path: Path, journal: Journal, bytes_max: int) -> None:
        self.path = path
        self.journal = journal
        self.bytes_max = bytes_max
        self.failure: str | None = None
        self._packer = Packer()
        head = MAGIC + self._packer.block(journal.take())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():  # not a device or a folder: those stay where they are
                path.replace(path.with_name(f"{path.name}.old"))
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self.written = os.write(self._file, head)
        except OSError as error:
            message = f"cannot record to {path}: {error.strerror}; choose another --record FILE"
            raise MeshError("unwritable-file", message) from None

    @property
    def state(self) -> str:
        """ "recording", or why it ended."""
        return self.failure or self.journal.ended or "recording"

    async def run(self) -> None:
        """Write batches until the recording ends."""
        while self.state == "recording":
            await trio.sleep(BATCH_S)
            batch = self.journal.take()
            if batch:
                await trio.to_thread.run_sync(self._write, batch)
            if self.written >= self.bytes_max:
                self.journal.close("full")
                await trio.to_thread.run_sync(self._write, self.journal.take())
            elif self.failure is not None:
                self.journal.close("stopped")
                self.journal.take()

    def close(self) -> None:
        """Write what waits, and see it on disk."""
        self.journal.close("stopped")
        batch = self.journal.take()
        if batch:
            self._write(batch)
        try:
            os.fsync(self._file)
        except OSError as error:
            self.failure = self.failure or f"failed: {error.strerror}"
        finally:
            os.close(self._file)

    def _write(self, batch: bytes) -> None:
        if self.failure is not None:
            return
        block = memoryview(self._packer.block(batch))
        try:
            while block:
                done = os.write(self._file, block)
                self.written += done
                block = block[done:]
        except OSError as error:
            # A reader takes half a block for a cut: nothing may follow it.
            self.failure = f"failed: {error.strerror}"
