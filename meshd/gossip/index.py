"""Index: the tags of what is held, in order, so that any range can be summed and listed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from protocols.gossip import Span
from protocols.tag import TAG_MAX, mark_of


class Index:
    """Marks by tag. They are put in order when that is asked for: much is heard between digests."""

    def __init__(self, held: Iterable[tuple[int, int]] = ()) -> None:
        self._marks = {tag: mark_of(tag, sequence) for tag, sequence in held}
        self._tags: list[int] | None = None

    def put(self, tag: int, sequence: int) -> None:
        if tag not in self._marks:
            self._tags = None
        self._marks[tag] = mark_of(tag, sequence)

    def drop(self, tag: int) -> None:
        if self._marks.pop(tag, None) is not None:
            self._tags = None

    def between(self, low: int, high: int) -> list[int]:
        """The tags from `low` to `high`, both included."""
        if self._tags is None:
            self._tags = sorted(self._marks)
        return self._tags[bisect_left(self._tags, low) : bisect_right(self._tags, high)]

    def span(self, low: int, bits: int) -> Span:
        """The sum of what is held at the tags that begin like `low`."""
        tags = self.between(low, low | (TAG_MAX >> bits))
        return Span(low, bits, len(tags), sum(map(self._marks.__getitem__, tags)) & TAG_MAX)
