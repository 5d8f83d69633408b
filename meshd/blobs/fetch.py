"""Blobs: fetch what is wanted piece by piece, serve what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import protocols
from meshd.router.routes import Router
from meshd.seam import (
    BlobFailed,
    BlobRejected,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    Effect,
    Event,
    Note,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    ReadBlob,
    ReleaseBlob,
    ShardFinished,
    Started,
    Woke,
    WriteBlob,
)
from protocols.blob import Chunk, Missing, Want
from protocols.bounds import CHUNK_BYTES_MAX
from protocols.errors import ProtocolError
from protocols.forward import PacketIds
from protocols.types import SECOND, Cid, Instant, NodeId

BLOB_PORT = "blob"
FETCHES_MAX = 1_024
WINDOW = 4
"""Pieces asked for at once: they fit one yamux window (256 KiB)."""

PIECE_LIFETIME_NS = 120 * SECOND
PIECE_MARGIN_NS = 4 * SECOND
TRIES_MAX = 5

IDLE_NS = 600 * SECOND
"""A blob put for a job that never came, or left by a life before, may go after this."""


@dataclass(slots=True)
class Piece:
    again_at: Instant
    tries: int


@dataclass(slots=True)
class Fetch:
    """One blob on its way here. The first piece tells the size, and so the other pieces."""

    cid: Cid
    source: NodeId
    until: Instant
    wants: int = 1
    size: int | None = None
    next_offset: int = 0
    asked: dict[int, Piece] = field(default_factory=dict)


class Blobs:
    """Asks sources for what is wanted, a window of pieces at a time, and counts who wants what."""

    def __init__(self, me: NodeId, router: Router) -> None:
        self._me = me
        self._router = router
        self._ids = PacketIds(me, "b")
        self._wants: dict[Cid, int] = {}
        """Every blob that is whole here, with how many want it to stay."""
        self._fetches: dict[Cid, Fetch] = {}
        self._idle: dict[Cid, Instant] = {}
        """Blobs that nobody wants yet, and until when they may wait for somebody."""

    def view(self) -> tuple[Cid, ...]:
        return tuple(sorted(self._fetches))

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case BlobWanted():
                return self._want(event, now)
            case PayloadArrived(port=port):
                return self._arrived(event, now) if port == BLOB_PORT else []
            case BlobUnwanted(cid=cid):
                return self._unwant(cid)
            case BlobStored(cid=cid):
                return self._stored(cid, now)
            case ShardFinished(output=output):
                return [] if output is None else self._made(output)
            case Started(blobs=blobs):
                self._wants = dict.fromkeys(blobs, 0)
                self._idle = dict.fromkeys(blobs, now + IDLE_NS)
                return []
            case BlobRejected(cid=cid, code=code):
                return self._fail(cid, code)
            case PayloadLost():
                return []  # the piece's own timer asks again
            case _:
                assert isinstance(event, Woke)
                return self._wake(now)

    def next_deadline(self) -> Instant | None:
        times = [piece.again_at for f in self._fetches.values() for piece in f.asked.values()]
        times += [fetch.until for fetch in self._fetches.values()]
        times += self._idle.values()
        return min(times, default=None)

    def _want(self, wanted: BlobWanted, now: Instant) -> list[Effect]:
        cid = wanted.cid
        if cid in self._wants:
            self._wants[cid] += 1
            self._idle.pop(cid, None)
            return [BlobStored(cid, 0)]
        if cid in self._fetches:
            return self._want_again(self._fetches[cid], wanted, now)
        if wanted.source == self._me:
            return [BlobFailed(cid, "blob-missing")]
        if len(self._fetches) >= FETCHES_MAX:
            return [BlobFailed(cid, "fetches-full")]
        fetch = Fetch(cid, wanted.source, now + wanted.lifetime_ns)
        self._fetches[cid] = fetch
        return self._ask(fetch, 0, now)

    def _stored(self, cid: Cid, now: Instant) -> list[Effect]:
        fetch = self._fetches.pop(cid, None)
        if fetch is not None and fetch.wants <= 0:
            return [ReleaseBlob(cid)]  # who wanted it gave up while it came
        wants = self._wants.get(cid, 0) + (fetch.wants if fetch else 0)
        self._wants[cid] = wants
        if wants == 0:
            self._idle[cid] = now + IDLE_NS
        return []

    def _made(self, cid: Cid) -> list[Effect]:
        """A shard of ours has put it out, and wants it to stay. It need not be fetched any more."""
        fetch = self._fetches.pop(cid, None)
        self._idle.pop(cid, None)
        self._wants[cid] = self._wants.get(cid, 0) + 1 + (max(0, fetch.wants) if fetch else 0)
        return [BlobStored(cid, 0)] if fetch else []

    def _want_again(self, fetch: Fetch, wanted: BlobWanted, now: Instant) -> list[Effect]:
        """One more wants it; a source named later takes over, as the first may be gone."""
        fetch.wants += 1
        fetch.until = max(fetch.until, now + wanted.lifetime_ns)
        if wanted.source in (fetch.source, self._me):
            return []
        fetch.source = wanted.source
        asked = sorted(fetch.asked)
        return [effect for offset in asked for effect in self._ask(fetch, offset, now)]

    def _unwant(self, cid: Cid) -> list[Effect]:
        if cid in self._fetches:
            self._fetches[cid].wants -= 1
        if cid not in self._wants:  # not whole here yet
            return []
        self._wants[cid] -= 1
        if self._wants[cid] > 0:
            return []
        del self._wants[cid]
        self._idle.pop(cid, None)
        return [ReleaseBlob(cid)]

    def _ask(self, fetch: Fetch, offset: int, now: Instant, tries: int = 1) -> list[Effect]:
        trip = self._router.delays_from(self._me, now).get(fetch.source, 0)
        fetch.asked[offset] = Piece(now + 2 * trip + PIECE_MARGIN_NS * tries, tries)
        want = protocols.BLOB.encode(Want(fetch.cid, offset, CHUNK_BYTES_MAX))
        packet = self._ids.next(now)
        return [PayloadOffered(packet, fetch.source, BLOB_PORT, want, PIECE_LIFETIME_NS)]

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for cid in [cid for cid, until in self._idle.items() if until <= now]:
            del self._idle[cid], self._wants[cid]
            effects.append(ReleaseBlob(cid))
        for cid in sorted(self._fetches):
            fetch = self._fetches[cid]
            if fetch.until <= now:
                effects += self._fail(cid, "fetch-timeout")
                continue
            late = [(o, p.tries) for o, p in fetch.asked.items() if p.again_at <= now]
            if any(tries >= TRIES_MAX for _, tries in late):
                effects += self._fail(cid, "fetch-timeout")
                continue
            for offset, tries in late:
                effects += self._ask(fetch, offset, now, tries + 1)
        return effects

    def _arrived(self, event: PayloadArrived, now: Instant) -> list[Effect]:
        try:
            message = protocols.BLOB.decode(event.payload)
        except ProtocolError as error:
            return [Note(error.code, {"node": event.source, "message": error.message})]
        match message:
            case Want(cid=cid, offset=offset, length=length):
                return [ReadBlob(cid, offset, length, event.source, PIECE_LIFETIME_NS)]
            case Missing(cid=cid):
                asked = cid in self._fetches and self._fetches[cid].source == event.source
                return self._fail(cid, "blob-missing") if asked else []
            case Chunk():
                return self._chunk(event.source, message, now)

    def _chunk(self, source: NodeId, chunk: Chunk, now: Instant) -> list[Effect]:
        fetch = self._fetches.get(chunk.cid)
        if fetch is None or source != fetch.source or chunk.offset not in fetch.asked:
            return []
        if fetch.size not in (None, chunk.size):
            return self._fail(chunk.cid, "size-changed")
        due = min(CHUNK_BYTES_MAX, chunk.size - chunk.offset)
        if len(chunk.data) != due:
            return self._fail(chunk.cid, "piece-length")
        del fetch.asked[chunk.offset]
        if fetch.size is None:
            fetch.size, fetch.next_offset = chunk.size, CHUNK_BYTES_MAX
        effects: list[Effect] = [WriteBlob(chunk.cid, chunk.offset, chunk.data, chunk.size)]
        while len(fetch.asked) < WINDOW and fetch.next_offset < fetch.size:
            effects += self._ask(fetch, fetch.next_offset, now)
            fetch.next_offset += CHUNK_BYTES_MAX
        return effects

    def _fail(self, cid: Cid, code: str) -> list[Effect]:
        return [BlobFailed(cid, code)] if self._fetches.pop(cid, None) is not None else []


def piece_of(read: ReadBlob, size: int | None, data: bytes | None) -> bytes:
    """What a driver sends for a ReadBlob: the piece its store gave, or that it is missing."""
    if size is None or data is None:
        return protocols.BLOB.encode(Missing(read.cid))
    return protocols.BLOB.encode(Chunk(read.cid, read.offset, size, data))


def written(write: WriteBlob, code: str) -> BlobStored | BlobRejected | None:
    """What a driver reports of a WriteBlob by its store's code; nothing of a part."""
    if code == "partial":
        return None
    if code == "stored":
        return BlobStored(write.cid, write.size)
    return BlobRejected(write.cid, code)
