"""Frames held for their light time: a laboratory's distance, added where they are received."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

_RELEASED_PER_TURN = 64


class HoldQueue:
    """Items with a due time each, let out in order, never early; bounded by count and bytes."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self.count_max, self.bytes_max = count_max, bytes_max
        self._items: deque[tuple[float, bytes | None]] = deque()
        self._bytes = 0
        self._news, self._room = trio.Event(), trio.Event()

    def __len__(self) -> int:
        return len(self._items)

    async def wait_for_room(self, size: int) -> None:
        """Return once `size` more bytes fit. An empty queue takes any one item."""
        while self._items and (
            len(self._items) >= self.count_max or self._bytes + size > self.bytes_max
        ):
            self._room = trio.Event()
            await self._room.wait()

    def put(self, item: bytes | None, due: float) -> None:
        """Hold an item until trio time `due`, or until the one before it is let out, if later."""
        if self._items:
            due = max(due, self._items[-1][0])
        self._items.append((due, item))
        self._bytes += len(item or b"")
        self._news.set()

    async def release_to(
        self, deliver: Callable[[bytes], None], room: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Deliver items as they fall due and have room. Returns when a None, the end, falls due."""
        delivered = 0
        while True:
            while not self._items:
                self._news = trio.Event()
                await self._news.wait()
            due, item = self._items[0]
            if trio.current_time() < due:
                # trio rounds its sleep up and fires no deadline early; looking again makes sure.
                await trio.sleep_until(due)
                continue
            if room is not None:
                await room()
            self._items.popleft()
            if item is None:
                return
            self._bytes -= len(item)
            self._room.set()
            deliver(item)
            delivered += 1
            if delivered % _RELEASED_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
