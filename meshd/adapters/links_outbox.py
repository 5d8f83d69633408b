"""Outbox: frames that wait to leave on one link, cut into writes, the most urgent first."""

from __future__ import annotations

from collections import deque

from protocols.frame import LENGTH_BYTES, encode_frame
from protocols.priority import Priority


class Outbox:
    """Bounded by count and bytes over all priorities. A frame that has begun to leave is finished
    first: so what is urgent waits for one frame at most, besides what the stream holds already.
    """

    def __init__(self, frames_max: int, bytes_max: int) -> None:
        self._frames_max, self._bytes_max = frames_max, bytes_max
        self._lanes: tuple[deque[bytes], ...] = tuple(deque() for _ in Priority)
        self._begun = memoryview(b"")
        """What is left of the frame that has begun to leave."""
        self.frames = 0
        self.bytes = 0

    def __len__(self) -> int:
        """Frames that have not left whole."""
        return self.frames

    def put(self, frame: bytes, priority: Priority) -> bool:
        """Queue a frame; False if there is no room for it."""
        size = len(frame) + LENGTH_BYTES
        if self.frames >= self._frames_max or self.bytes + size > self._bytes_max:
            return False
        self._lanes[priority].append(encode_frame(frame))
        self.frames += 1
        self.bytes += size
        return True

    def take(self, count: int) -> tuple[bytes, int]:
        """Up to `count` bytes of the stream, and how many frames end among them."""
        pieces: list[bytes | memoryview] = []
        ended, room = 0, count
        while room and (self._begun or self._begin()):
            piece = self._begun[:room]
            self._begun = self._begun[room:]
            pieces.append(piece)
            room -= len(piece)
            ended += not self._begun
        self.frames -= ended
        self.bytes -= count - room
        return b"".join(pieces), ended

    def clear(self) -> None:
        """Forget all that has not left."""
        self.frames = self.bytes = 0
        self._begun = memoryview(b"")
        for lane in self._lanes:
            lane.clear()

    def _begin(self) -> bool:
        for lane in self._lanes:
            if lane:
                self._begun = memoryview(lane.popleft())
                return True
        return False
