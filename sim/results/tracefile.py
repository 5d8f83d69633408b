"""Trace file: everything that happened in a run, compressed, and read again as lines."""

from __future__ import annotations

import gzip
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

import protocols
from protocols.errors import InputError, ProtocolError
from protocols.types import SECOND, Instant
from sim.trace import HEAD, NAME

TRACE = "trace.gz"
WORDS_MAX = 300
"""Characters of one line's body."""

_FRAMES = ("<FrameReceived", ">SendFrame")


class TraceFile:
    """Takes what a trace hashes, in order, into a temporary file; `keep_in` puts it in a folder."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this does
        self._packed = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=5, mtime=0)

    def add(self, data: bytes) -> None:
        self._packed.write(data)

    def keep_in(self, folder: Path) -> None:
        """Write `trace.gz`. Nothing can be added afterwards."""
        self._packed.close()
        self._file.seek(0)
        with (folder / TRACE).open("wb") as target:
            shutil.copyfileobj(self._file, target)


class Entry(NamedTuple):
    """One event ("<Woke") or effect (">SendFrame") of a node, by its index among all nodes."""

    at: Instant
    node: int
    what: str
    number: int
    """The link, where it is about one."""
    body: bytes


def entries(path: Path) -> Iterator[Entry]:
    """The entries of a trace file, in order. Raises InputError "no-trace" or "bad-trace"."""
    if not path.is_file():
        raise InputError("no-trace", f"{path} is not there: `real` runs and old ones leave none")
    head, names = struct.Struct(HEAD), {0: ""}
    try:
        with gzip.open(path) as file:
            while packed := file.read(head.size):
                at, node, code, number, size = head.unpack(packed)
                body = file.read(size)
                if code == NAME:
                    names[number] = body.decode()
                else:
                    yield Entry(at, node, names[code], number, body)
    except (OSError, EOFError, KeyError, ValueError, struct.error, zlib.error) as error:
        raise InputError("bad-trace", f"{path} is damaged: {error}; run it again") from None


def as_line(entry: Entry, start: Instant, nodes: tuple[str, ...]) -> str:
    """An entry for people: seconds after the start, the node, what it was."""
    words = _words(entry)
    return f"{(entry.at - start) / SECOND:.9f} {nodes[entry.node]} {entry.what} {words}".rstrip()


def _words(entry: Entry) -> str:
    if entry.what in _FRAMES:
        try:
            return f"link {entry.number}: {protocols.LINK.decode(entry.body)!r}"[:WORDS_MAX]
        except ProtocolError as error:
            return f"link {entry.number}: {len(entry.body)} bytes, {error.code}"
    try:
        return str(msgspec.msgpack.decode(entry.body))[:WORDS_MAX] if entry.body else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return entry.body.decode("ascii", "replace")[:WORDS_MAX]  # a digest
