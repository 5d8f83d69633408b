"""What a simulated node keeps across a crash: its rows and its blobs, in memory."""

from __future__ import annotations

from protocols.cid import cid_of
from protocols.types import Cid

PARTIALS_MAX = 256


class MemoryBlobs:
    """Blobs as `ports.BlobPort` has them.

    What is released is gone at once, a sterner store than a daemon's, unless it `caches`: then it
    stays, as a daemon's does while there is room.
    """

    def __init__(self) -> None:
        self.caches = False
        self._blobs: dict[Cid, bytes] = {}
        self._partials: dict[Cid, Partial] = {}
        self.full = False
        """No piece is taken, as on a full disk."""

    def cids(self) -> tuple[Cid, ...]:
        return tuple(sorted(self._blobs))

    def size(self, cid: Cid) -> int | None:
        blob = self._blobs.get(cid)
        return None if blob is None else len(blob)

    def get(self, cid: Cid) -> bytes | None:
        return self._blobs.get(cid)

    def put(self, data: bytes) -> Cid:
        cid = cid_of(data)
        self._blobs[cid] = data
        return cid

    def resume(self, cid: Cid) -> tuple[int | None, tuple[tuple[int, int], ...]]:
        part = self._partials.get(cid)
        return (None, ()) if part is None else (part.size, part.held)

    def close(self, cid: Cid, *, keep: bool) -> None:
        if not keep:
            self._partials.pop(cid, None)

    def read(self, cid: Cid, offset: int, length: int) -> bytes | None:
        blob = self._blobs.get(cid)
        return None if blob is None else blob[offset : offset + length]

    def write(self, cid: Cid, offset: int, data: bytes, size: int) -> str:
        """Store a piece: "partial", "stored", or "bad-piece", "store-full", "hash-mismatch"."""
        if cid in self._blobs:
            return "stored"
        part = self._partials.get(cid)
        if self.full:
            return "store-full"
        if part is None:
            if len(self._partials) >= PARTIALS_MAX:
                return "store-full"
            part = self._partials[cid] = Partial(size)
        if size != part.size or not part.add(offset, data):
            return "bad-piece"
        if part.missing:
            return "partial"
        del self._partials[cid]
        if cid_of(part.data) != cid:
            return "hash-mismatch"
        self._blobs[cid] = bytes(part.data)
        return "stored"

    def release(self, cid: Cid) -> None:
        self._partials.pop(cid, None)
        if not self.caches:
            self._blobs.pop(cid, None)

    def crash(self) -> None:
        """Lose what a power cut loses: of what is unfinished each second piece, say."""
        for part in self._partials.values():
            part.lose()


class Partial:
    """A blob on its way. Pieces do not overlap, save repeated ones, which change nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = bytearray(size)
        self.missing = size
        self._pieces: dict[int, int] = {}

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        return tuple((low, low + self._pieces[low]) for low in sorted(self._pieces))

    def lose(self) -> None:
        for offset in sorted(self._pieces)[1::2]:
            self.missing += self._pieces.pop(offset)

    def add(self, offset: int, data: bytes) -> bool:
        if not 0 <= offset <= offset + len(data) <= self.size or (self.size and not data):
            return False
        if self._pieces.get(offset) == len(data):
            return True
        self._pieces[offset] = len(data)
        self.data[offset : offset + len(data)] = data
        self.missing -= len(data)
        return True
