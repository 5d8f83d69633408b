"""One link: frames in and out of one byte stream, bounded, batched, and held for light time.

Knows trio and bytes, not libp2p: the stream is anything with `read`, `write` and `finish`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from meshd.adapters.links_hold import HoldQueue
from meshd.adapters.links_outbox import Outbox
from protocols.errors import ProtocolError
from protocols.frame import FrameDecoder
from protocols.priority import Priority

READ_BYTES_MAX = 65_536

WRITE_BYTES_MAX = 65_507
"""One yamux frame (12 bytes of header) in one Noise message (65,519 of plaintext): one TCP send."""

YAMUX_STALL_S = 5.0
"""py-libp2p fails a write whose window stays shut for so long (hard-coded there)."""

_POSTS_PER_TURN = 64


class StreamLost(Exception):
    """The other side is gone without the courtesy of ending the stream."""


class ByteStream(Protocol):
    """What a link needs of a stream. `read` returns b"" once the peer has ended it."""

    async def read(self, count: int) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def finish(self) -> None:
        """Say that nothing more will be written."""
        ...


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What one link may hold. A link that would queue more of our own frames is closed; one that
    would hold more of its peer's stops reading until there is room."""

    outbox_frames_max: int = 4096
    outbox_bytes_max: int = 4_194_304
    held_frames_max: int = 16_384
    held_bytes_max: int = 16_777_216
    write_seconds_max: float = 15.0
    close_seconds_max: float = 1.0
    """Frames queued before a close may still leave within this time."""
    silence_s: float = 5.0
    """How long an end takes to notice, in a laboratory, that its peer ended behind a cut."""


@dataclass(slots=True)
class LinkCounts:
    frames_in: int = 0
    frames_out: int = 0
    frames_dropped: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class LinkStream:
    """One stream's life. It ends once, with a code; from then on it delivers nothing.

    `delay` gives the seconds by which what has just been read is held before it is delivered
    (a laboratory's light time); None delivers at once. While it is infinite nothing passes.
    Before a frame is delivered, `room` is waited for: until then nothing more is read.
    """

    def __init__(
        self,
        stream: ByteStream,
        deliver: Callable[[bytes], None],
        limits: LinkLimits,
        delay: Callable[[], float] | None = None,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.counts = LinkCounts()
        self.code: str | None = None
        self.ended = trio.Event()
        self._stream, self._deliver, self._limits, self._delay = stream, deliver, limits, delay
        self._room = room
        self._outbox = Outbox(limits.outbox_frames_max, limits.outbox_bytes_max)
        self._outbox_news = trio.Event()
        self._held = HoldQueue(limits.held_frames_max, limits.held_bytes_max)
        self._held_code = ""
        """Why the link will end, once all that is held has been delivered."""
        self._receiving, self._sending = trio.CancelScope(), trio.CancelScope()

    async def carry(self) -> None:
        """Read and write until the link ends; if it ends kindly, what is queued still leaves."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_outbox)
            with self._receiving:
                async with trio.open_nursery() as receiving:
                    receiving.start_soon(self._receive)
                    if self._delay is not None:
                        receiving.start_soon(self._release_held)

    def end(self, code: str, *, kindly: bool = False) -> None:
        """End the link, once. Kindly: queued frames may leave, for `close_seconds_max` at most."""
        if self.code is not None:
            return
        self.code = code
        self.ended.set()
        self._receiving.cancel()
        if kindly:
            self._sending.deadline = trio.current_time() + self._limits.close_seconds_max
            self._outbox_news.set()
        else:
            self._sending.cancel()

    # --- out ------------------------------------------------------------------------------------

    def send(self, frame: bytes, priority: Priority = Priority.CONTROL) -> None:
        """Queue a frame behind those that are no less urgent. A full outbox ends the link,
        "outbox-full": nothing is lost unseen."""
        if self.code is not None or self._held_code:
            self.counts.frames_dropped += 1
        elif self._outbox.put(frame, priority):
            self._outbox_news.set()
        else:
            self.counts.frames_dropped += 1 + len(self._outbox)
            self.end("outbox-full")

    async def _send_outbox(self) -> None:
        with self._sending:
            while self._outbox or self.code is None:
                if self._outbox:
                    await self._send_batch()
                else:
                    self._outbox_news = trio.Event()
                    await self._outbox_news.wait()
            await self._stream.finish()

    async def _send_batch(self) -> None:
        batch, frames = self._outbox.take(WRITE_BYTES_MAX)
        started = trio.current_time()
        try:
            with trio.fail_after(self._limits.write_seconds_max):
                await self._stream.write(batch)
        except trio.TooSlowError:
            self.end("write-timeout")
        except StreamLost:
            stalled = trio.current_time() - started >= YAMUX_STALL_S
            self._end_behind_held("write-timeout" if stalled else "peer-closed")
            # What cannot be written is gone; what was read before may still be held.
            self._outbox.clear()
        else:
            self.counts.bytes_out += len(batch)
            self.counts.frames_out += frames

    # --- in -------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        decoder, code = FrameDecoder(), "peer-closed"
        try:
            while data := await self._stream.read(READ_BYTES_MAX):
                due = trio.current_time() + (self._delay() if self._delay else 0.0)
                self.counts.bytes_in += len(data)
                for frame in decoder.feed(data):
                    await self._take(frame, due)
                decoder.check()
            decoder.close()
        except ProtocolError as error:
            code = error.code
        except StreamLost:
            pass
        self._end_behind_held(code)

    async def _take(self, frame: bytes, due: float) -> None:
        if due == math.inf:
            self.counts.frames_dropped += 1
            return
        self.counts.frames_in += 1
        if self._delay is not None:
            await self._held.wait_for_room(len(frame))
            self._held.put(frame, due)
            return
        if self._room is not None:
            await self._room()
        self._deliver_while_up(frame)
        if self.counts.frames_in % _POSTS_PER_TURN == 0:
            await trio.lowlevel.checkpoint()

    def _end_behind_held(self, code: str) -> None:
        """End the link for a reason that came over it, so no earlier than its last frame."""
        if self._delay is None:
            self.end(code)
        elif not self._held_code:
            delay = self._delay()
            if delay == math.inf:
                code, delay = "silent", self._limits.silence_s
            self._held_code = code
            self._held.put(None, trio.current_time() + delay)

    async def _release_held(self) -> None:
        await self._held.release_to(self._deliver_while_up, self._room)
        self.end(self._held_code)

    def _deliver_while_up(self, frame: bytes) -> None:
        if self.code is None:
            self._deliver(frame)
