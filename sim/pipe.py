"""Pipe: a byte stream between two simulated hosts, as TCP gives it over light time and cuts.

In order, whole, and no faster than light. What the medium loses is sent again and holds up all
behind it; at a cut the stream stalls, and breaks once its silence is noticed. Nothing is lost in
the middle of a stream.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError

from protocols.types import MILLISECOND, Duration
from sim.links import SILENCE_NS
from sim.medium import Link, Medium, Ride
from sim.simclock import SimMission

WINDOW_BYTES = 1 << 20
"""Written and not yet read at the other end; a writer beyond that waits. Like a socket's buffers:
yamux lets less than this be on its way on a stream."""

SEGMENT_BYTES = 65_536

RESEND_NS = 200 * MILLISECOND
"""What is lost is sent again after this much beyond a round trip: TCP's least time-out on Linux."""

Name: TypeAlias = tuple[str, int]
"""Host and port."""

Names: TypeAlias = tuple[Name, Name]

TIDY_S = 1.0
"""An accepted connection's handler may tidy up for so long after a close, as in meshd/adapters."""


class Pipe:
    """One connection: what the medium carries between two sockets."""

    def __init__(self, medium: Medium, mission: SimMission, link: Link, names: Names) -> None:
        self.medium, self.mission, self.link = medium, mission, link
        self.sockets = (Socket(self, 0, names[1]), Socket(self, 1, names[0]))
        if link.path.finish is not None:
            mission.at(link.path.finish + SILENCE_NS, self.break_off)

    @property
    def living(self) -> bool:
        return any(socket.open for socket in self.sockets)

    @property
    def joined(self) -> bool:
        return self.medium.joined(*self.link.ends)

    @property
    def light_ns(self) -> Duration:
        return self.link.path.light(self.mission.now())

    @property
    def passes(self) -> bool:
        """Whether anything gets through now."""
        return self.joined and self.link.path.open_at(self.mission.now())

    def break_off(self) -> None:
        """Both ends give the connection up: each notices by itself that nothing passes."""
        for socket in self.sockets:
            socket.break_off()

    def notice_silence(self) -> None:
        """Called when a cut may have come between the ends; mended in time, it does no harm."""
        if not self.joined:
            self.mission.at(self.mission.now() + SILENCE_NS, self._silent)

    def _silent(self) -> None:
        if not self.joined:
            self.break_off()


class Socket(ReadWriteCloser):
    """One end of a pipe. `scope` is that of its handler, if it was accepted."""

    def __init__(self, pipe: Pipe, side: int, remote: Name) -> None:
        self.pipe, self.side = pipe, side
        self.scope = trio.CancelScope()
        self._remote = remote
        self._unread = bytearray()
        self._ended = False
        """The other end has said that it is closed, behind all it wrote."""
        self._broken = False
        self._closed = False
        self._under_way = 0
        """Bytes written here that the other end is not known to have read."""
        self._read = 0
        """Bytes read that the other end will be told of."""
        self._stalled: deque[bytes] = deque()
        """What the medium has not taken; b"" is the end."""
        self._news, self._room = trio.Event(), trio.Event()

    @property
    def peer(self) -> Socket:
        return self.pipe.sockets[1 - self.side]

    @property
    def open(self) -> bool:
        return not (self._closed or self._broken)

    def get_remote_address(self) -> Name:
        return self._remote

    # --- ReadWriteCloser ------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Wait for room, then let it go. Raises ConnectionClosedError when the other end is gone;
        what is written after our own close is dropped, as the library's sockets do."""
        for start in range(0, len(data), SEGMENT_BYTES):
            segment = data[start : start + SEGMENT_BYTES]
            while self.open and not self._ended and self._under_way >= WINDOW_BYTES:
                self._room = trio.Event()
                await self._room.wait()
            if self._closed:
                return
            if self._broken or self._ended:
                raise ConnectionClosedError("the connection is broken", transport="sim")
            self._under_way += len(segment)
            self._push(segment)
        await trio.lowlevel.checkpoint()

    async def read(self, n: int | None = None) -> bytes:
        """Some bytes, at most n; b"" once the other end has closed and all is read."""
        while n != 0 and not self._unread:
            if self._ended or self._closed:
                return b""
            if self._broken:
                raise ConnectionClosedError("the connection is broken", transport="sim")
            self._news = trio.Event()
            await self._news.wait()
        count = len(self._unread) if n is None else n
        data = bytes(self._unread[:count])
        del self._unread[:count]
        self._read += len(data)
        if self._read and not self._unread:
            pipe = self.pipe
            pipe.mission.at(pipe.mission.now() + pipe.light_ns, self.peer.acknowledge, self._read)
            self._read = 0
        return data

    async def close(self) -> None:
        self.shut()
        await trio.lowlevel.checkpoint()

    # --- what happens ---------------------------------------------------------------------------

    def shut(self) -> None:
        """Close: what was written still leaves, then the end. Also what a kernel does for a
        process that was killed."""
        if self._closed:
            return
        if self.open:
            self._push(b"")
        self._closed = True
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + TIDY_S)
        self._unread.clear()
        self._wake()

    def break_off(self) -> None:
        self._broken = True
        self._stalled.clear()
        self._wake()

    def arrive(self, data: bytes) -> None:
        """Bytes of the other end, or b"", its end."""
        if not self.open:
            return
        self._ended = self._ended or not data
        self._unread += data
        self._news.set()
        if not data:
            self._room.set()

    def acknowledge(self, count: int) -> None:
        self._under_way -= count
        self._room.set()

    def _wake(self) -> None:
        self._news.set()
        self._room.set()

    # --- out ------------------------------------------------------------------------------------

    def _push(self, data: bytes) -> None:
        if self._stalled or not self._try(data):
            self._stall(data)

    def _try(self, data: bytes) -> bool:
        """Give a segment to the medium. False when it did not take it, or lost it."""
        pipe = self.pipe
        now, way = pipe.mission.now(), pipe.link.ways[self.side]
        if not data:
            if pipe.passes:
                heard = max(now + pipe.light_ns, way.last_arrival)
                pipe.mission.at(heard, self.peer.arrive, data)
            return pipe.passes
        ride = pipe.medium.carry(pipe.link, self.side, len(data), now)
        if isinstance(ride, Ride):
            pipe.mission.at(ride.arrive, self.peer.arrive, data)
            return True
        return False

    def _stall(self, data: bytes) -> None:
        self._stalled.append(data)
        if len(self._stalled) == 1:
            self._try_again_later()

    def _try_again_later(self) -> None:
        pipe = self.pipe
        at = pipe.mission.now() + 2 * pipe.light_ns + RESEND_NS
        pipe.mission.at(at, self._try_again)

    def _try_again(self) -> None:
        while self._stalled and self._try(self._stalled[0]):
            self._stalled.popleft()
        if self._stalled:
            self._try_again_later()
