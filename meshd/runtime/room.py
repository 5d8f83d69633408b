"""Room: a folder for one shard that is a program: its inputs and files, and what it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meshd.seam import RunShard
from protocols.errors import MeshError
from protocols.types import Cid

SAID = "said"
"""Standard error of the last program, in the worker's folder: the pool reads it as it grows."""

_TAIL_BYTES = 2000
_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Room:
    """Below `work`: its inputs as in/0, in/1, ... where there are several, the job's files below
    files, and out, where it may leave a file "result" in place of its standard output."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def stdin(self) -> Path:
        """All inputs, one behind the other."""
        return self.folder / "stdin"

    @property
    def stderr(self) -> Path:
        """Beside the room, as it is read to the end when that is gone."""
        return self.folder.with_name(SAID)

    def furnish(self, shard: RunShard, blobs: Mapping[Cid, str]) -> None:
        """Put everything in its place: copies, as a program may do with its own what it likes."""
        for name in ("in", "files", "out"):
            (self.work / name).mkdir(mode=0o700, parents=True)
        self.stderr.write_bytes(b"")
        with self.stdin.open("wb") as stdin:
            for cid in shard.inputs:
                with Path(blobs[cid]).open("rb") as source:
                    shutil.copyfileobj(source, stdin)
        if len(shard.inputs) > 1:
            for number, cid in enumerate(shard.inputs):
                shutil.copyfile(blobs[cid], self.work / "in" / str(number))
        for path, cid in shard.files:
            place = self.work / "files" / path
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(blobs[cid], place)

    def collect(self, shard: RunShard, target: Path) -> None:
        """Its result is in `target`, from out/result if that is there. Raises as `check`."""
        self.check(shard, target)
        if self._result is not None:
            shutil.copyfile(self._result, target, follow_symlinks=False)

    def check(self, shard: RunShard, target: Path) -> None:
        """Raises MeshError "output-limit"."""
        written = [target] if self._result is None else [target, self._result]
        if any(path.exists() and path.stat().st_size > shard.output_bytes_max for path in written):
            message = f"it wrote more than its limit of {shard.output_bytes_max} bytes"
            raise MeshError("output-limit", message)

    @property
    def _result(self) -> Path | None:
        path = self.work / "out" / "result"
        return path if path.is_file() and not path.is_symlink() else None  # a link leads anywhere

    def last_words(self) -> str:
        """The end of its standard error, behind ": ", if it said anything."""
        with self.stderr.open("rb") as file:
            file.seek(max(0, self.stderr.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return ": " + "\n".join(lines[-_TAIL_LINES:]) if lines else ""
