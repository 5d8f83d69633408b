"""Index: the tags of what is held, in order, so that any range can be summed and listed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from protocols.gossip import Span
from protocols.tag import TAG_MAX, mark_of


class Index:
    """Two columns in order of tag. A sum over a range is one pass over a slice."""

    def __init__(self, held: Iterable[tuple[int, int]] = ()) -> None:
        rows = sorted(held)
        self._tags = [tag for tag, _ in rows]
        self._marks = [mark_of(tag, sequence) for tag, sequence in rows]

    def put(self, tag: int, sequence: int) -> None:
        at = bisect_left(self._tags, tag)
        if at < len(self._tags) and self._tags[at] == tag:
            self._marks[at] = mark_of(tag, sequence)
            return
        self._tags.insert(at, tag)
        self._marks.insert(at, mark_of(tag, sequence))

    def drop(self, tag: int) -> None:
        at = bisect_left(self._tags, tag)
        if at < len(self._tags) and self._tags[at] == tag:
            del self._tags[at], self._marks[at]

    def between(self, low: int, high: int) -> list[int]:
        """The tags from `low` to `high`, both included."""
        return self._tags[bisect_left(self._tags, low) : bisect_right(self._tags, high)]

    def span(self, low: int, bits: int) -> Span:
        """The sum of what is held at the tags that begin like `low`."""
        begin = bisect_left(self._tags, low)
        end = bisect_right(self._tags, low | (TAG_MAX >> bits))
        return Span(low, bits, end - begin, sum(self._marks[begin:end]) & TAG_MAX)
