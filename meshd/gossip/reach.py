"""Reach: which news of links opens or closes a way, and which only adds one to those there are."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import NamedTuple

from protocols.record import LinkState
from protocols.tag import tag_of
from protocols.types import NodeId


class _Links(NamedTuple):
    peers: frozenset[int]
    down: tuple[int, ...]


_NONE = _Links(frozenset(), ())


class News(Enum):
    """What a link state changes for those far away."""

    CLOSED = "a way is gone"
    OPENED = "a way leads where none led before"
    ADDED = "another way leads where one did already, or the end of one says so too"


class Reach:
    """The links of every node that has told them, by tag, and how many tell of a link to each."""

    def __init__(self) -> None:
        self._links: dict[int, _Links] = {}
        self._named: Counter[int] = Counter()

    def change(self, author: NodeId, state: LinkState | None) -> News:
        """An author's links are others now (None: unknown).

        A link that is gone is no news when its other end has said so.
        """
        me = tag_of(author)
        old, new = self._links.pop(me, _NONE), _NONE
        if state is not None:
            new = self._links[me] = _Links(frozenset(e.peer for e in state.standing), state.down)
        came, gone = new.peers - old.peers, old.peers - new.peers
        opened = any(peer not in self._named for peer in came)
        self._named.update(came)
        for peer in sorted(gone):
            self._named[peer] -= 1
            if not self._named[peer]:
                del self._named[peer]
        if any(me in self._links.get(peer, _NONE).peers for peer in gone) or any(
            peer not in old.down for peer in new.down
        ):
            return News.CLOSED
        return News.OPENED if opened or old.down != new.down else News.ADDED
