"""One worker process: `python -P -m meshd.runtime.worker`, started and killed by the pool.

It reads assignments from stdin and answers each with one ShardFinished on stdout, both msgpack
behind a length of four bytes, most significant first. An assignment is the RunShard, the files of
its blobs by name, and the file to write the output to. The first answer, code "ready", says that
the libraries are loaded. Wall-clock time is the pool's business.
"""

from __future__ import annotations

import os
import queue
import shutil
import struct
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from meshd.runtime import command, limits
from meshd.runtime.onnx import Models
from meshd.runtime.room import Room
from meshd.runtime.wasm import Modules
from meshd.seam import RunShard, ShardFinished
from protocols.errors import MeshError
from protocols.types import Cid

Assignment: TypeAlias = tuple[RunShard, dict[Cid, str], str]
MESSAGE_CHARS_MAX = 1000
ROOM = "run"
"""The folder of the program at work, below the worker's own; the pool looks at its size."""
_LENGTH = struct.Struct(">I")


class Worker:
    """Does one assignment at a time; keeps the models it has met warm."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.models = Models()
        self.modules = Modules()

    def work(self, assignment: Assignment) -> ShardFinished:
        """Run it and say how it went; what is raised past here is a crash."""
        shard, blobs, path = assignment
        target = Path(path)
        begun = time.perf_counter_ns()
        code, message, size = "ok", "", 0
        try:
            if shard.kind == "onnx":
                self._infer(shard, blobs, target)
            else:
                self._program(shard, blobs, target)
            size = target.stat().st_size
        except MeshError as error:
            code, message = error.code, error.message[-MESSAGE_CHARS_MAX:]
        except OSError as error:  # the disk: inputs that are no input are MeshErrors
            code, message = "store-failed", f"a worker cannot read or write: {error}"
        except MemoryError:
            code, message = limits.out_of_memory(shard.memory_bytes)
        wall_ns = time.perf_counter_ns() - begun
        return ShardFinished(shard.run, code, message, output_bytes=size, wall_ns=wall_ns)

    def _infer(self, shard: RunShard, blobs: dict[Cid, str], target: Path) -> None:
        if shard.model is None or not shard.inputs:
            raise MeshError("bad-input", "an onnx shard needs a model and an input")
        with limits.memory(shard.memory_bytes):
            sources = [Path(blobs[cid]) for cid in shard.inputs]
            outputs = self.models.run(shard.model, Path(blobs[shard.model]), sources)
            outputs.write(target, shard.output_bytes_max)

    def _program(self, shard: RunShard, blobs: dict[Cid, str], target: Path) -> None:
        """A command, or a module of WebAssembly: it reads and writes in a room of its own."""
        room = Room(self.scratch / ROOM)
        try:
            room.furnish(shard, blobs)
            target.touch()
            self._execute(shard, blobs, room, target)
            room.collect(shard, target)
        except MeshError:
            room.check(shard, target)  # what it met when it could write no more says less
            raise
        finally:
            shutil.rmtree(room.folder, ignore_errors=True)

    def _execute(self, shard: RunShard, blobs: dict[Cid, str], room: Room, target: Path) -> None:
        if shard.kind == "command":
            command.run(shard, room, target)
        elif shard.model is None:
            raise MeshError("bad-module", "a wasm shard needs a module")
        else:
            self.modules.run(shard.model, Path(blobs[shard.model]), shard, room, target)


def main() -> None:
    """Serve until stdin ends."""
    limits.settle()
    # Libraries that print must not corrupt the pipe: it moves away from descriptor 1.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = Worker(Path.cwd())
    assignments: queue.SimpleQueue[Assignment] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, assignments), daemon=True).start()
    _answer(answers, ShardFinished("", "ready"))
    while True:
        _answer(answers, worker.work(assignments.get()))


def _answer(stream: BinaryIO, finished: ShardFinished) -> None:
    data = msgspec.msgpack.encode(finished)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _listen(stream: BinaryIO, assignments: queue.SimpleQueue[Assignment]) -> None:
    """Read assignments. At the end the daemon is gone: so go, at once, with every descendant."""
    decoder = msgspec.msgpack.Decoder(Assignment)
    status = 1
    try:
        while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            assignments.put(decoder.decode(stream.read(length)))
        status = 0
    except msgspec.DecodeError as error:
        sys.stderr.write(f"an assignment makes no sense: {error}\n")
    finally:  # whatever it was: a worker that no longer listens could not be stopped
        command.kill_descendants()
        os._exit(status)


if __name__ == "__main__":
    main()
