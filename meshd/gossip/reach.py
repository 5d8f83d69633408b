"""Reach: which news of links opens or closes a way, and which only adds one to those there are."""

from __future__ import annotations

from collections import Counter
from enum import Enum

from protocols.record import LinkState
from protocols.tag import tag_of
from protocols.types import NodeId

_NONE = LinkState((), ())


class News(Enum):
    """What a link state changes for those far away."""

    CLOSED = "a way is gone"
    OPENED = "a way leads where none led before"
    ADDED = "another way leads where one did already, or the end of one says so too"


class Reach:
    """The link states held, by the tag of their author, and how many of them name each node."""

    def __init__(self) -> None:
        self._states: dict[int, LinkState] = {}
        self._named: Counter[int] = Counter()

    def change(self, author: NodeId, new: LinkState | None) -> News:
        """An author's links are others now (None: unknown).

        A link that is gone is no news when its other end has said so.
        """
        me = tag_of(author)
        old = self._states.pop(me, _NONE)
        if new is not None:
            self._states[me] = new
        before, after = _peers(old), _peers(new or _NONE)
        came = [peer for peer in after if peer not in before]
        gone = [peer for peer in before if peer not in after]
        opened = any(peer not in self._named for peer in came)
        for peer in came:
            self._named[peer] += 1
        for peer in gone:
            self._named[peer] -= 1
            if not self._named[peer]:
                del self._named[peer]
        down = (new or _NONE).down
        if any(me in _peers(self._states.get(peer, _NONE)) for peer in gone) or any(
            peer not in old.down for peer in down
        ):
            return News.CLOSED
        return News.OPENED if opened or old.down != down else News.ADDED


def _peers(state: LinkState) -> dict[int, None]:
    return dict.fromkeys([link.peer for link in state.standing])
