"""What a disk holds after a crash: every prefix of what was done, and what power loss leaves of it.

A **kill** leaves all that was done before it. A **power loss** leaves what was synced, and of the
rest each write or not, a long one perhaps in part (512 bytes are written whole). Names are made,
changed and removed on their own: an entry is safe once its folder was synced or, as journalling
file systems have it, once the file itself was synced after it was made.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ACKNOWLEDGED = "acknowledged"
"""A file of this name in the recorded folder: each write to it is a promise made to somebody."""

_HEADER = struct.Struct("<cHHQI")
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Done:
    """One entry of the record; `what` is one of c w t s r d m, see recorder.c."""

    what: str
    path: str
    other: str
    offset: int
    data: bytes


def read_log(path: Path) -> list[Done]:
    """The record in the order in which things were done."""
    return list(_entries(path.read_bytes()))


def _entries(log: bytes) -> Iterator[Done]:
    at = 0
    while at < len(log):
        what, path, other, offset, length = _HEADER.unpack_from(log, at)
        parts = []
        at += _HEADER.size
        for size in (path, other, length):
            parts.append(log[at : at + size])
            at += size
        yield Done(what.decode(), parts[0].decode(), parts[1].decode(), offset, parts[2])


def promises(done: list[Done]) -> list[str]:
    """What was acknowledged within these entries."""
    said = (one.data.decode() for one in done if one.what == "w" and one.path == ACKNOWLEDGED)
    return "".join(said).splitlines()


@dataclass(slots=True)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    unsafe: list[Done] = field(default_factory=list)


class Disk:
    """The files of one folder while the entries of a record are done to them, one by one."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self._seen: dict[str, _File] = {}
        """The names as a running process sees them."""
        self._safe: dict[str, _File] = {}
        self._names: list[tuple[Done, _File]] = []
        """What happened to names and may still be undone."""

    def do(self, done: Done) -> None:
        match done.what:
            case "m":
                self.folders.append(done.path)
            case "c":
                self._seen[done.path] = _File()
                self._names.append((done, self._seen[done.path]))
            case "r":
                self._seen[done.other] = self._seen.pop(done.path)
                self._names.append((done, self._seen[done.other]))
            case "d":
                self._names.append((done, self._seen.pop(done.path)))
            case "s":
                self._sync(done.path)
            case _:
                self._seen[done.path].unsafe.append(done)

    def _sync(self, path: str) -> None:
        file = self._seen.get(path)
        left = []
        if file is not None:
            for one in file.unsafe:
                _apply(file.safe, one)
            file.unsafe = []
        for one, target in self._names:
            if (file is None and _inside(path, one)) or (target is file and one.what == "c"):
                _rename(self._safe, one, target)
            else:
                left.append((one, target))
        self._names = left

    def killed(self) -> dict[str, bytes]:
        """The files after the process alone has died."""
        return {path: _content(file, file.unsafe) for path, file in self._seen.items()}

    def unpowered(self, rng: random.Random) -> dict[str, bytes]:
        """The files after the power failed."""
        names = dict(self._safe)
        for one, target in self._names:
            if rng.random() < 0.5:
                _rename(names, one, target)
        content: dict[int, bytes] = {}
        for _, file in sorted(names.items()):
            if id(file) not in content:
                content[id(file)] = _content(file, _surviving(file.unsafe, rng))
        return {path: content[id(file)] for path, file in sorted(names.items())}


def _surviving(unsafe: list[Done], rng: random.Random) -> Iterator[Done]:
    for one in unsafe:
        luck = rng.random()
        if luck < 0.45:
            yield one
        elif luck < 0.65 and len(one.data) > _SECTOR:
            kept = rng.randrange(len(one.data) // _SECTOR + 1) * _SECTOR
            yield Done("w", one.path, "", one.offset, one.data[:kept])


def _content(file: _File, further: list[Done] | Iterator[Done]) -> bytes:
    content = bytearray(file.safe)
    for one in further:
        _apply(content, one)
    return bytes(content)


def _apply(content: bytearray, one: Done) -> None:
    if one.what == "t":
        del content[one.offset :]
        content.extend(bytes(one.offset - len(content)))
        return
    content.extend(bytes(max(0, one.offset - len(content))))
    content[one.offset : one.offset + len(one.data)] = one.data


def _rename(names: dict[str, _File], one: Done, target: _File) -> None:
    if one.what == "d":
        names.pop(one.path, None)
    elif one.what == "c":
        names[one.path] = target
    elif names.get(one.path) is target:
        names[one.other] = names.pop(one.path)


def _inside(folder: str, one: Done) -> bool:
    return (one.other or one.path).rpartition("/")[0] == folder


def lay_out(files: dict[str, bytes], folders: list[str], where: Path) -> None:
    """Write an image into a folder that is not there yet."""
    where.mkdir(mode=0o700)
    for folder in folders:
        (where / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, content in files.items():
        (where / path).write_bytes(content)
        (where / path).chmod(0o600)
