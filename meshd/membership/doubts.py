"""Doubts: who has said of whom that it was silent where it should have been heard."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.record import Doubt, Doubts
from protocols.types import HOUR, Instant, NodeId

DOUBTS_TTL_NS = 24 * HOUR


class Against:
    """The newest word of every author, by the tag of who is doubted.

    A doubt is of an epoch: the instant at which the presence was issued by which its author knew
    the one it doubts. What has another presence now is not doubted by it.
    """

    def __init__(self) -> None:
        self._said: dict[NodeId, Mapping[int, Instant]] = {}
        self._against: dict[int, dict[NodeId, tuple[Instant, Instant]]] = {}
        """Of each that is doubted: (epoch, when it was said), by author."""

    def take(self, author: NodeId, doubts: Doubts, issued_at: Instant) -> list[int]:
        """An author's word, in place of its last; the tags it is about, or was."""
        before, now = self._said.pop(author, {}), {d.peer: d.epoch for d in doubts.peers}
        for tag in before:
            if tag not in now:
                del self._against[tag][author]
                if not self._against[tag]:
                    del self._against[tag]
        for tag, epoch in now.items():
            self._against.setdefault(tag, {})[author] = (epoch, issued_at)
        if now:
            self._said[author] = now
        return sorted(before.keys() | now.keys())

    def of(self, tag: int, epoch: Instant | None, now: Instant) -> frozenset[NodeId]:
        """Who doubts one at this epoch, and has said so within the life of a statement."""
        return frozenset(
            author
            for author, (at, said_at) in self._against.get(tag, {}).items()
            if at == epoch and now - said_at < DOUBTS_TTL_NS
        )

    def epochs(self, tag: int) -> frozenset[Instant]:
        """At which one is doubted by anybody."""
        return frozenset(epoch for epoch, _ in self._against.get(tag, {}).values())


def statement(doubted: Mapping[int, Instant]) -> Doubts:
    """Doubts of these tags at these epochs, in order."""
    return Doubts(tuple(Doubt(tag, epoch) for tag, epoch in sorted(doubted.items())))
