"""Index: what is held in order of its tags, so that any range can be summed, listed and found."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from meshd.router.roster import Entry, Key
from protocols.gossip import Span
from protocols.tag import TAG_MAX, mark_of, tag_of


class Index:
    """Three columns in order of tag. A sum over a range is one pass over a slice."""

    def __init__(self, entries: Iterable[tuple[Key, Entry]] = ()) -> None:
        rows = sorted(
            (tag, mark_of(tag, entry.statement.sequence), key)
            for key, entry in entries
            for tag in (tag_of(*key),)
        )
        self._tags = [tag for tag, _, _ in rows]
        self._marks = [mark for _, mark, _ in rows]
        self._keys = [key for _, _, key in rows]

    def put(self, key: Key, sequence: int) -> None:
        tag = tag_of(*key)
        at = bisect_left(self._tags, tag)
        if at < len(self._tags) and self._tags[at] == tag:
            self._marks[at], self._keys[at] = mark_of(tag, sequence), key
            return
        self._tags.insert(at, tag)
        self._marks.insert(at, mark_of(tag, sequence))
        self._keys.insert(at, key)

    def drop(self, key: Key) -> None:
        at = bisect_left(self._tags, tag_of(*key))
        if at < len(self._keys) and self._keys[at] == key:
            del self._tags[at], self._marks[at], self._keys[at]

    def find(self, tag: int) -> Key | None:
        at = bisect_left(self._tags, tag)
        return self._keys[at] if at < len(self._tags) and self._tags[at] == tag else None

    def between(self, low: int, high: int) -> list[Key]:
        """Keys of the tags from `low` to `high`, both included."""
        return self._keys[bisect_left(self._tags, low) : bisect_right(self._tags, high)]

    def span(self, low: int, bits: int) -> Span:
        """The sum of what is held at the tags that begin like `low`."""
        begin = bisect_left(self._tags, low)
        end = bisect_right(self._tags, low | (TAG_MAX >> bits))
        return Span(low, bits, end - begin, sum(self._marks[begin:end]) & TAG_MAX)
