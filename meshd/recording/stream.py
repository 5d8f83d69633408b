"""The file of a recording: a magic line, then blocks of entries, compressed as one stream.

A block is `length, crc32 of what follows, crc32 of these two` (little-endian u32), then so many
bytes of a zlib stream that is flushed at each block's end: what was written before a cut can be
read. Inside, each entry has its length (u32) before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

from meshd.recording.entries import Entry, Header
from protocols.errors import MALFORMED, InputError

FORMAT = 1
MAGIC = b"meshd recording %d\n" % FORMAT

BLOCK_BYTES_MAX = 1 << 30
"""Once unpacked: a small file cannot fill the memory."""

LEVEL = 1
"""zlib's. On recordings of the demo 6 takes half as long again and saves a twentieth."""

_LENGTH = struct.Struct("<I")
_BLOCK = struct.Struct("<II")
_CHECK = struct.Struct("<I")
_HEAD = _BLOCK.size + _CHECK.size
_FAMILY = b"meshd recording "

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class Packer:
    """Makes blocks of entries. Blocks belong together in the order of packing."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(LEVEL)

    def block(self, entries: bytes) -> bytes:
        """One block of `framed` entries."""
        body = self._zlib.compress(entries) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        head = _BLOCK.pack(len(body), zlib.crc32(body))
        return head + _CHECK.pack(zlib.crc32(head)) + body


def framed(entry: Entry) -> bytes:
    """An entry with its length."""
    data = _encode(entry)
    return _LENGTH.pack(len(data)) + data


def read(data: bytes) -> Iterator[Entry]:
    """The entries of a recording; one that was cut short ends at its last whole block.

    Raises InputError: "not-a-recording", "recording-version" or "recording-empty" at once,
    "recording-damaged" where the damage is.
    """
    _check_magic(data)
    entries = (entry for block in _blocks(data) for entry in _unframed(block))
    header = next(entries, None)
    if header is None:
        raise InputError("recording-empty", "it was cut short before it said whose it is")
    if not isinstance(header, Header):
        raise InputError("recording-damaged", "it does not begin with a header")
    yield header
    yield from entries


def _check_magic(data: bytes) -> None:
    line = data[: len(MAGIC)]
    if line == MAGIC:
        return
    if MAGIC.startswith(line):
        raise InputError("recording-empty", "it was cut short before it said what it is")
    if line.startswith(_FAMILY):
        theirs = line[len(_FAMILY) :].strip().decode("ascii", "replace")
        message = f"its format is {theirs!r}, this meshd reads {FORMAT}"
        raise InputError("recording-version", message)
    raise InputError("not-a-recording", "it is not a recording of `meshd up --record`")


def _blocks(data: bytes) -> Iterator[bytes]:
    """What each whole block holds, unpacked."""
    stream = zlib.decompressobj()
    place, number = len(MAGIC), 1
    while place + _HEAD <= len(data):
        head = data[place : place + _BLOCK.size]
        (check,) = _CHECK.unpack_from(data, place + _BLOCK.size)
        if zlib.crc32(head) != check:
            raise _damaged(number, place, "its head does not match its checksum")
        length, crc = _BLOCK.unpack(head)
        body = data[place + _HEAD : place + _HEAD + length]
        if len(body) < length:
            return
        if zlib.crc32(body) != crc:
            raise _damaged(number, place, "it does not match its checksum")
        try:
            entries = stream.decompress(body, BLOCK_BYTES_MAX)
        except zlib.error as error:
            raise _damaged(number, place, str(error)) from None
        if stream.unconsumed_tail:
            raise _damaged(number, place, f"it unpacks to more than {BLOCK_BYTES_MAX} bytes")
        yield entries
        place, number = place + _HEAD + length, number + 1


def _unframed(block: bytes) -> Iterator[Entry]:
    place = 0
    while place < len(block):
        length = int.from_bytes(block[place : place + _LENGTH.size], "little")
        place += _LENGTH.size
        entry = block[place : place + length]
        place += length
        if place > len(block):
            raise InputError("recording-damaged", "an entry is longer than its block")
        try:
            yield _decoder.decode(entry)
        except MALFORMED as error:
            raise InputError("recording-damaged", f"an entry cannot be read: {error}") from None


def _damaged(number: int, place: int, why: str) -> InputError:
    return InputError("recording-damaged", f"block {number}, at byte {place}: {why}")
