"""Queue: what is to happen, in order of (instant, sequence). Two kinds, one order, one trace.

`CalendarQueue` is what worlds run on. `HeapQueue` is the plain one that it is held against: each
push and pop there compares along a heap of everything to come, log2(n) cache misses, and at
100,000 nodes takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, Protocol, TypeAlias

from protocols.types import Instant

Action: TypeAlias = Callable[..., None]

Entry: TypeAlias = tuple[Instant, int, Action, tuple[Any, ...]]
"""(instant, sequence, action, its arguments). No two share a sequence: actions are not compared."""

BUCKET_BITS = 20
"""A calendar's bucket is 2^20 ns, a millisecond: below the light time of a link in orbit, so what a
node sends falls into a later bucket, a plain append; and with 100,000 nodes some hundreds of
entries, sorted at once while they are in the cache. Widths from 2^18 to 2^22 differ by a tenth.
"""


class Queue(Protocol):
    """Gives back what was pushed by instant; what falls on one instant, in order of pushing."""

    def push(self, at: Instant, action: Action, arguments: tuple[Any, ...]) -> None:
        """Add an entry. It may fall on the instant of the entry last given out, not before it."""
        ...

    def due(self, until: Instant) -> Iterator[Entry]:
        """Take out entry after entry up to an instant and at it, those pushed meanwhile too."""
        ...

    def __len__(self) -> int: ...


class HeapQueue:
    """A binary heap."""

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._sequence = 0

    def push(self, at: Instant, action: Action, arguments: tuple[Any, ...]) -> None:
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (at, sequence, action, arguments))

    def due(self, until: Instant) -> Iterator[Entry]:
        heap = self._heap
        while heap and heap[0][0] <= until:
            yield heappop(heap)

    def __len__(self) -> int:
        return len(self._heap)


class CalendarQueue:
    """Buckets of equal width, sorted when their time comes; late comers to that bucket in a heap.

    Buckets that hold nothing are not kept, so a world with nothing to do for an hour skips it.
    """

    __slots__ = ("_buckets", "_days", "_late", "_open", "_ready", "_sequence")

    def __init__(self) -> None:
        self._buckets: dict[int, list[Entry]] = {}
        self._days: list[int] = []
        """A heap of the numbers of the buckets to come."""
        self._open = -1
        """The number of the bucket whose entries are given out now."""
        self._ready: list[Entry] = []
        """The open bucket, its first entry last."""
        self._late: list[Entry] = []
        """A heap of what was pushed into the open bucket after it was sorted."""
        self._sequence = 0

    def push(self, at: Instant, action: Action, arguments: tuple[Any, ...]) -> None:
        self._sequence = sequence = self._sequence + 1
        day = at >> BUCKET_BITS
        bucket = self._buckets.get(day)
        if bucket is not None:
            bucket.append((at, sequence, action, arguments))
        elif day <= self._open:
            heappush(self._late, (at, sequence, action, arguments))
        else:
            self._buckets[day] = [(at, sequence, action, arguments)]
            heappush(self._days, day)

    def due(self, until: Instant) -> Iterator[Entry]:
        late, days, buckets = self._late, self._days, self._buckets
        while True:
            ready = self._ready
            while ready or late:
                if late and not (ready and ready[-1] < late[0]):
                    if late[0][0] > until:
                        return
                    yield heappop(late)
                elif ready[-1][0] > until:
                    return
                else:
                    yield ready.pop()
            if not days or days[0] << BUCKET_BITS > until:
                return
            self._open = heappop(days)
            self._ready = buckets.pop(self._open)
            self._ready.sort(reverse=True)

    def __len__(self) -> int:
        waiting = sum(len(bucket) for bucket in self._buckets.values())
        return waiting + len(self._ready) + len(self._late)
