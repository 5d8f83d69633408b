"""Journal: writes down one node's life while it is lived. It keeps bytes until they are taken."""

from __future__ import annotations

import zlib

import msgspec

from meshd.recording.entries import Ended, Happened, Header, Summary, Why
from meshd.recording.events import encoded
from meshd.recording.plans import kept
from meshd.recording.stream import framed
from meshd.seam import Effect, Event, PlanLoaded
from protocols.record import Signer
from protocols.types import Instant

WAITING_BYTES_MAX = 256 << 20
"""A disk that is so far behind gets no more: the journal ends ("behind"), the node goes on."""

_encode = msgspec.msgpack.Encoder().encode


class Journal:
    """The driver says `begin` and `end` around each event; what it says can be had from `take`."""

    def __init__(self, header: Header) -> None:
        self._waiting = bytearray(framed(header))
        self._plans: set[str] = set()
        self._open: tuple[Event, Instant] | None = None
        self._signatures: list[bytes] = []
        self.events = 0
        self.ended: Why | None = None

    def signing(self, signer: Signer) -> Signer:
        """The same signer, overheard: its signatures are kept, its key is not."""

        def sign(message: bytes) -> bytes:
            signature = signer(message)
            self._signatures.append(signature)
            return signature

        return sign

    def begin(self, event: Event, now: Instant) -> None:
        """The node is about to take this event."""
        self._signatures.clear()
        self._open = (event, now)

    def end(self, effects: list[Effect]) -> None:
        """The node has taken it, and wants this done."""
        self._close_event(tuple(map(summary, effects)))

    def close(self, why: Why) -> None:
        """Say why no more will come. An event under way is one that the node failed at."""
        if self.ended is None:
            self._close_event(None)
            self.ended = why
            self._waiting += framed(Ended(why))

    def take(self) -> bytes:
        """All entries since the last call, framed."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken

    def _close_event(self, effects: tuple[Summary, ...] | None) -> None:
        if self._open is None or self.ended is not None:
            return
        (event, at), self._open = self._open, None
        if isinstance(event, PlanLoaded) and event.plan.digest not in self._plans:
            self._plans.add(event.plan.digest)
            self._waiting += framed(kept(event.plan))
        kind, body = type(event).__name__, msgspec.Raw(encoded(event))
        self._waiting += framed(Happened(at, kind, body, tuple(self._signatures), effects))
        self.events += 1
        if len(self._waiting) > WAITING_BYTES_MAX:
            self.close("behind")


def summary(effect: Effect) -> Summary:
    """An effect in short: the same for the same effect, on every computer."""
    return type(effect).__name__, zlib.crc32(_encode(effect))
