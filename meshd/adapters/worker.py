"""One worker process as the pool sees it: started, given an assignment, watched, killed, reaped.

What it does inside, and the protocol of its pipes, is in `meshd/runtime/worker.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import msgspec
import psutil
import trio

import meshd
from meshd.seam import RunShard, ShardFinished
from protocols.errors import MeshError
from protocols.types import Cid

Assignment: TypeAlias = tuple[RunShard, dict[Cid, str], str]
"""What to run, the files of its blobs, and the file of its output."""

START_S = 30.0
ANSWER_BYTES_MAX = 64 * 1024
_GRACE_S = 2.0
_TAIL_BYTES = 500
_LENGTH = struct.Struct(">I")
ROOM = "run"
"""Where a worker puts the files of the program it runs, below its own folder."""

SAID = "said"
"""Where it puts what that program writes to standard error."""

_COMMAND = (sys.executable, "-P", "-m", "meshd.runtime.worker")
_NO_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "memory allocation of")


class WorkerProcess:
    """A process with a scratch folder, its cwd. Killed, it can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = 0
        self._process: trio.Process | None = None
        self._ready = False
        self._buffer = bytearray()
        self._base_bytes = 0
        self._shard: RunShard | None = None

    @property
    def alive(self) -> bool:
        """Started, its libraries loaded, and not ended."""
        return self._ready and self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it unless it lives, and wait until it is ready. Raises MeshError "crashed"."""
        if self.alive:
            return
        await self.kill()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._buffer.clear()
        self.starts += 1
        with self._errors.open("wb") as errors:
            self._process = await trio.lowlevel.open_process(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self.folder,
                env=_environment(self.folder),
                start_new_session=True,
            )
        with trio.move_on_after(START_S):
            answer = await self.receive()
            self._ready = answer.code == "ready"
        if not self._ready:
            await self.kill()
            message = f"a worker was not ready within {START_S:.0f} s; is this machine overloaded?"
            raise MeshError("crashed", message)

    async def send(self, assignment: Assignment) -> None:
        """Set it to work. Raises MeshError "crashed"."""
        assert self._process is not None and self._process.stdin is not None
        self._shard = assignment[0]
        os.truncate(self._errors, 0)
        (self.folder / SAID).unlink(missing_ok=True)
        self._base_bytes = self._resident()
        data = msgspec.msgpack.encode(assignment)
        try:
            await self._process.stdin.send_all(_LENGTH.pack(len(data)) + data)
        except trio.BrokenResourceError:
            raise await self._death() from None

    async def receive(self) -> ShardFinished:
        """Its next answer; cancelled, it loses nothing. Raises MeshError if it died instead.

        The code is then "memory-limit" where it died of want of memory, else "crashed".
        """
        assert self._process is not None and self._process.stdout is not None
        while (message := self._parse()) is None:
            data = await self._process.stdout.receive_some()
            if not data:
                raise await self._death()
            self._buffer += data
        return message

    def used_bytes(self) -> int:
        """Resident memory beyond what it held when it was set to work, descendants included."""
        return self._resident() - self._base_bytes

    def overflows(self, files_max: int) -> bool:
        """The program it runs keeps more files than this, or more than its limits together."""
        if self._shard is None or self._shard.kind == "onnx":
            return False
        given = len(self._shard.inputs) + len(self._shard.files)
        files, size = 0, 0
        for folder, _, names in os.walk(self.folder / ROOM / "work"):
            files += 1 + len(names)
            if files > files_max + 2 * given:
                return True
            if Path(folder).name != "files" and Path(folder).name != "in":
                with contextlib.suppress(OSError):  # it goes while we look
                    size += sum((Path(folder) / name).lstat().st_size for name in names)
        return size > self._shard.output_bytes_max + self._shard.memory_bytes

    def said(self, offset: int, length: int) -> bytes:
        """What the program it runs has written to standard error from `offset` on."""
        if self._shard is None or self._shard.kind == "onnx":
            return b""
        try:
            with (self.folder / SAID).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError:  # it has said nothing yet
            return b""

    async def kill(self) -> None:
        """End it with all it started, reap it, empty its folder. Cancellation waits for that."""
        process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            if self._shard is not None and self._shard.kind == "command":
                # At the end of its stdin a worker kills *and reaps* what its command started.
                with trio.move_on_after(_GRACE_S):
                    await process.wait()
            _kill_tree(process)
            await process.wait()
            await process.stdout.aclose()
            await trio.to_thread.run_sync(_remove, self.folder)
        self._shard = None

    @property
    def _errors(self) -> Path:
        return self.folder.with_name(self.folder.name + ".stderr")

    def _parse(self) -> ShardFinished | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(self._buffer[: _LENGTH.size])
        end = _LENGTH.size + length
        if length > ANSWER_BYTES_MAX:
            raise MeshError("crashed", "a worker's answer makes no sense")
        if len(self._buffer) < end:
            return None
        data = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        try:
            return msgspec.msgpack.decode(data, type=ShardFinished)
        except msgspec.DecodeError as error:
            raise MeshError("crashed", f"a worker's answer makes no sense: {error}") from None

    def _resident(self) -> int:
        assert self._process is not None
        total = 0
        try:
            root = psutil.Process(self._process.pid)
            total = root.memory_info().rss
            if self._shard is not None and self._shard.kind == "command":
                for process in root.children(recursive=True):
                    total += process.memory_info().rss
        except psutil.Error:  # one of them ended while we looked
            pass
        return int(total)

    async def _death(self) -> MeshError:
        """Why it ended, as far as its status and last words tell."""
        assert self._process is not None
        self._ready = False
        with trio.move_on_after(_GRACE_S):
            await self._process.wait()
        status = self._process.poll()
        words = self._errors.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
        if any(sign in words for sign in _NO_MEMORY):
            return MeshError("memory-limit", "the worker died of want of memory")
        if status is None:
            how = "closed its pipe"
        elif status < 0:
            how = f"was ended by signal {-status} ({signal.strsignal(-status)})"
            if -status == signal.SIGKILL:
                how += ", by a person or a kernel out of memory"
        else:
            how = f"ended with exit code {status}"
        last = words.splitlines()[-1] if words else ""
        return MeshError("crashed", f"the worker {how}" + (f": {last}" if last else ""))


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the daemon's own environment: it may hold secrets."""
    assert meshd.__file__ is not None
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(Path(meshd.__file__).parent.parent),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _kill_tree(process: trio.Process) -> None:
    if process.poll() is not None:
        return
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        below = []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in below:
        with contextlib.suppress(psutil.Error):
            descendant.kill()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
