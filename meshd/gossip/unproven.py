"""Unproven: statements that are signed, and not believed until their author is known."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from meshd.router.roster import Entry
from meshd.seam import Effect, Note
from meshd.trust.trust import UNKNOWN
from protocols.types import MINUTE, Instant, NodeId

T = TypeVar("T")

WAITING_MAX = 4_096
REFUSED_MAX = 4_096

REFUSED_NS = 5 * MINUTE
"""A statement that was refused is not asked for again so soon: those who hold it go on telling."""


class Waiting(NamedTuple):
    """A statement whose author's certificate may still come, and how it came itself."""

    via: NodeId
    entry: Entry
    hops: int


class Unproven:
    """Bounded; what falls out is told again by digests."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._refused: dict[int, tuple[int, Instant]] = {}

    def refuse(self, code: str, waiting: Waiting, now: Instant) -> list[Effect]:
        """Keep it in mind, and say so, unless its author may only be late."""
        entry = waiting.entry
        if code == UNKNOWN:
            _put(self._waiting, entry.tag, waiting, WAITING_MAX)
            return []
        _put(self._refused, entry.tag, (entry.statement.sequence, now + REFUSED_NS), REFUSED_MAX)
        author, kind = entry.key
        return [Note(code, {"author": author, "kind": kind, "via": waiting.via})]

    def has(self, tag: int, sequence: int, now: Instant) -> bool:
        """Whether one as new as this is here already, and not believed."""
        waiting, refused = self._waiting.get(tag), self._refused.get(tag)
        if waiting is not None and sequence <= waiting.entry.statement.sequence:
            return True
        return refused is not None and sequence <= refused[0] and now < refused[1]

    def of(self, author: NodeId) -> list[Waiting]:
        """What waited for this author, which has shown its certificate."""
        found = [tag for tag, w in self._waiting.items() if w.entry.statement.author == author]
        return [self._waiting.pop(tag) for tag in found]

    def __len__(self) -> int:
        return len(self._waiting) + len(self._refused)


def _put(table: dict[int, T], tag: int, value: T, most: int) -> None:
    table.pop(tag, None)
    table[tag] = value
    if len(table) > most:
        del table[next(iter(table))]
