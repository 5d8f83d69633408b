"""Blobs: fetch what is wanted piece by piece, serve what is asked for, keep what anyone wants."""

from __future__ import annotations

import protocols
from meshd.blobs.disk import BLOB_PORT
from meshd.blobs.fetch import ASKED_MAX, WINDOW_FIRST, Fetch, Progress
from meshd.blobs.gaps import Interval
from meshd.blobs.serve import PIECE_LIFETIME_NS, Serving
from meshd.router.routes import Router
from meshd.seam import (
    BlobFailed,
    BlobKept,
    BlobOpened,
    BlobRejected,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    CloseBlob,
    Effect,
    Event,
    Note,
    OpenBlob,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    PayloadTaken,
    Persist,
    PieceWritten,
    ReleaseBlob,
    ShardFinished,
    Started,
    Woke,
    WriteBlob,
)
from protocols.blob import Chunk, Missing, Want
from protocols.errors import ProtocolError
from protocols.forward import PacketIds
from protocols.types import SECOND, Cid, Instant, NodeId

FETCHES_MAX = 1_024
KEPT_MAX = 1_024

IDLE_NS = 600 * SECOND
"""A blob put for a job that never came, or left by a life before, may go after this."""

KEPT_ROW = "blob/"

WORTHLESS = ("hash-mismatch", "size-changed", "piece-length", "bad-piece")
"""How a fetch ends whose pieces cannot be trusted: they are not kept for another time."""


class Blobs:
    """Asks sources for what is wanted, a window of pieces at a time, and counts who wants what."""

    def __init__(self, me: NodeId, router: Router) -> None:
        self._me = me
        self._router = router
        self._ids = PacketIds(me, "b")
        self._serving = Serving(me)
        self._wants: dict[Cid, int] = {}
        """Every blob that is whole here, with how many want it to stay."""
        self._kept: dict[Cid, None] = {}
        """Those that a person wants to stay, each counted among the wants once it is whole."""
        self._fetches: dict[Cid, Fetch] = {}
        self._idle: dict[Cid, Instant] = {}
        """Blobs that nobody wants yet, and until when they may wait for somebody."""

    def view(self) -> tuple[Progress, ...]:
        """Fetches under way, by name."""
        return tuple(self._fetches[cid].progress for cid in sorted(self._fetches))

    def progress(self, cid: Cid) -> Progress | None:
        fetch = self._fetches.get(cid)
        return None if fetch is None else fetch.progress

    def kept(self) -> tuple[Cid, ...]:
        return tuple(sorted(self._kept))

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case BlobWanted():
                return self._want(event, now)
            case PayloadArrived(port=port):
                return self._arrived(event, now) if port == BLOB_PORT else []
            case PayloadTaken(packet=packet) | PayloadLost(packet=packet):
                # A question of ours that is lost is asked again by its pieces' own timers.
                return self._serving.left(packet, now)
            case BlobOpened() | PieceWritten() | BlobStored() | BlobRejected():
                return self._disk(event, now)
            case BlobUnwanted(cid=cid):
                return self._unwant(cid)
            case BlobKept(cid=cid, kept=kept):
                return self._keep(cid) if kept else self._let_go(cid)
            case ShardFinished(output=output):
                return [] if output is None else self._made(output)
            case Started():
                return self._start(event, now)
            case _:
                assert isinstance(event, Woke)
                return self._wake(now)

    def next_deadline(self) -> Instant | None:
        times = [
            min(p.again_at for p in f.asked.values()) for f in self._fetches.values() if f.asked
        ]
        times += [fetch.until for fetch in self._fetches.values()]
        times += self._idle.values()
        return min(times, default=None)

    def _start(self, started: Started, now: Instant) -> list[Effect]:
        rows = [key for key, _ in started.rows if key.startswith(KEPT_ROW)]
        self._kept = {Cid(key[len(KEPT_ROW) :]): None for key in rows}
        self._wants = {cid: int(cid in self._kept) for cid in started.blobs}
        self._idle = {cid: now + IDLE_NS for cid, wants in self._wants.items() if not wants}
        return []

    # --- who wants what -------------------------------------------------------------------------

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
        until = now + wanted.lifetime_ns
        self._fetches[cid] = Fetch(cid, wanted.source, wanted.lifetime_ns, until)
        return [OpenBlob(cid)]

    def _want_again(self, fetch: Fetch, wanted: BlobWanted, now: Instant) -> list[Effect]:
        """One more wants it; a source named later takes over, as the first may be gone."""
        fetch.wants += 1
        fetch.patience_ns = max(fetch.patience_ns, wanted.lifetime_ns)
        fetch.until = max(fetch.until, now + wanted.lifetime_ns)
        if wanted.source in (fetch.source, self._me):
            return []
        fetch.source = wanted.source
        return [e for offset in sorted(fetch.asked) for e in self._ask_again(fetch, offset, now)]

    def _unwant(self, cid: Cid) -> list[Effect]:
        fetch = self._fetches.get(cid)
        if fetch is not None:
            fetch.wants -= 1
            if fetch.wants <= 0:
                del self._fetches[cid]
                return [CloseBlob(cid, keep=True)]
        if cid not in self._wants:  # not whole here yet
            return []
        self._wants[cid] -= 1
        if self._wants[cid] > 0:
            return []
        del self._wants[cid]
        self._idle.pop(cid, None)
        return [ReleaseBlob(cid)]

    def _keep(self, cid: Cid) -> list[Effect]:
        if cid in self._kept:
            return []
        if len(self._kept) >= KEPT_MAX:
            return [Note("kept-full", {"cid": cid, "max": KEPT_MAX})]
        self._kept[cid] = None
        if cid in self._wants:
            self._wants[cid] += 1
            self._idle.pop(cid, None)
        return [Persist(KEPT_ROW + cid, b"")]

    def _let_go(self, cid: Cid) -> list[Effect]:
        if cid not in self._kept:
            return []
        del self._kept[cid]
        whole = cid in self._wants
        return [Persist(KEPT_ROW + cid, None), *(self._unwant(cid) if whole else [])]

    def _made(self, cid: Cid) -> list[Effect]:
        """A shard of ours has put it out, and wants it to stay. It need not be fetched any more."""
        fetch = self._fetches.pop(cid, None)
        self._idle.pop(cid, None)
        fresh = cid not in self._wants and cid in self._kept
        self._wants[cid] = self._wants.get(cid, 0) + 1 + fresh + (fetch.wants if fetch else 0)
        return [CloseBlob(cid, keep=False), BlobStored(cid, 0)] if fetch else []

    # --- what the disk says ---------------------------------------------------------------------

    def _disk(
        self, event: BlobOpened | PieceWritten | BlobStored | BlobRejected, now: Instant
    ) -> list[Effect]:
        fetch = self._fetches.get(event.cid)
        match event:
            case BlobStored(cid=cid):
                return self._stored(cid, now)
            case _ if fetch is None:
                return []  # it has ended meanwhile
            case BlobOpened(size=size, held=held):
                if not fetch.opened:
                    fetch.open(size, held)
                return self._ask(fetch, now)
            case PieceWritten(offset=offset, length=length):
                fetch.wrote(offset, length)
                return self._ask(fetch, now)
            case BlobRejected(cid=cid, code="hash-mismatch") if fetch.resumed:
                # What was left by a fetch before may be what is wrong: once more, from nothing.
                again = Fetch(cid, fetch.source, fetch.patience_ns, now + fetch.patience_ns)
                again.wants = fetch.wants
                self._fetches[cid] = again
                return [OpenBlob(cid)]
            case BlobRejected(cid=cid, code=code):
                return self._fail(cid, code)

    def _stored(self, cid: Cid, now: Instant) -> list[Effect]:
        fetch = self._fetches.pop(cid, None)
        fresh = cid not in self._wants and cid in self._kept
        wants = self._wants.get(cid, 0) + fresh + (fetch.wants if fetch else 0)
        self._wants[cid] = wants
        if wants == 0:
            self._idle[cid] = now + IDLE_NS
        return []

    # --- asking ---------------------------------------------------------------------------------

    def _ask(self, fetch: Fetch, now: Instant) -> list[Effect]:
        """Ask for as much as the window has room for."""
        share = max(WINDOW_FIRST, ASKED_MAX // len(self._fetches))
        effects: list[Effect] = []
        while (asked := fetch.next(share)) is not None:
            effects += self._question(fetch, asked, now)
        return effects

    def _ask_again(self, fetch: Fetch, offset: int, now: Instant, more: int = 0) -> list[Effect]:
        piece = fetch.asked[offset]
        asked = (offset, offset + piece.length)
        return self._question(fetch, asked, now, piece.tries + more)

    def _question(
        self, fetch: Fetch, asked: Interval, now: Instant, tries: int = 1
    ) -> list[Effect]:
        trip = self._router.delays_from(self._me, now).get(fetch.source, 0)
        fetch.ask(asked, trip, now, tries)
        want = protocols.BLOB.encode(Want(fetch.cid, asked[0], asked[1] - asked[0]))
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
            for offset, _ in fetch.late(now):
                effects += self._ask_again(fetch, offset, now, 1)
        return effects

    # --- what others say ------------------------------------------------------------------------

    def _arrived(self, event: PayloadArrived, now: Instant) -> list[Effect]:
        try:
            message = protocols.BLOB.decode(event.payload)
        except ProtocolError as error:
            return [Note(error.code, {"node": event.source, "message": error.message})]
        match message:
            case Want():
                return self._serving.ask(event.source, message, now)
            case Missing(cid=cid):
                fetch = self._fetches.get(cid)
                asked = fetch is not None and fetch.asked and fetch.source == event.source
                return self._fail(cid, "blob-missing") if asked else []
            case Chunk():
                return self._chunk(event.source, message, now)

    def _chunk(self, source: NodeId, chunk: Chunk, now: Instant) -> list[Effect]:
        fetch = self._fetches.get(chunk.cid)
        if fetch is None or source != fetch.source or chunk.offset not in fetch.asked:
            return []
        if fetch.size not in (None, chunk.size):
            return self._fail(chunk.cid, "size-changed")
        due = min(fetch.asked[chunk.offset].length, chunk.size - chunk.offset)
        if len(chunk.data) != due:
            return self._fail(chunk.cid, "piece-length")
        fetch.came(chunk.offset, due, now)
        if fetch.size is None:
            fetch.learn(chunk.size)
        written = WriteBlob(chunk.cid, chunk.offset, chunk.data, chunk.size)
        return [written, *self._ask(fetch, now)]

    def _fail(self, cid: Cid, code: str) -> list[Effect]:
        if self._fetches.pop(cid, None) is None:
            return []
        return [CloseBlob(cid, keep=code not in WORTHLESS), BlobFailed(cid, code)]
