"""Found: the ways that were searched for in the current tick, kept for the departures of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeAlias, TypeVar

from meshd.router.arrival import ArrivalTree
from protocols.types import SECOND, Instant, NodeId

TREE_TICK_NS = SECOND
"""What is found serves departures for this long: light times move by at most 50 us in it."""

TREES_MAX = 64
WAYS_MAX = 1_024

DeadLinks: TypeAlias = tuple[tuple[NodeId, NodeId], ...]
K = TypeVar("K", bound=Hashable)


class Found:
    """Trees and ways of a tick, and when its first question came. Bounded: the oldest go."""

    def __init__(self) -> None:
        self._trees: OrderedDict[int, ArrivalTree] = OrderedDict()
        self._ways: OrderedDict[tuple[int, int, DeadLinks], ArrivalTree] = OrderedDict()
        self._began: OrderedDict[DeadLinks, Instant] = OrderedDict()
        self._tick: Instant = 0

    def forget(self) -> None:
        """What ways there are has changed."""
        self._trees.clear()
        self._ways.clear()
        self._began.clear()

    def turn(self, now: Instant) -> None:
        """Another tick: light times have moved."""
        tick = now - now % TREE_TICK_NS
        if tick != self._tick:
            self._tick = tick
            self.forget()

    def began(self, now: Instant, dead: DeadLinks) -> Instant:
        """When the first departure of this tick was, for what the packet has met."""
        self.turn(now)
        start = self._began.setdefault(dead, now)
        if len(self._began) > TREES_MAX:
            self._began.popitem(last=False)
        return start

    def way(
        self, key: tuple[int, int, DeadLinks], search: Callable[[], ArrivalTree]
    ) -> ArrivalTree:
        """From here to a vertex, for so many bytes, around what was met."""
        return _kept(self._ways, key, search, WAYS_MAX)

    def tree(self, root: int, search: Callable[[], ArrivalTree]) -> ArrivalTree:
        """From a vertex to all others."""
        return _kept(self._trees, root, search, TREES_MAX)


def _kept(
    found: OrderedDict[K, ArrivalTree], key: K, search: Callable[[], ArrivalTree], most: int
) -> ArrivalTree:
    tree = found.get(key)
    if tree is None:
        tree = found[key] = search()
        if len(found) > most:
            found.popitem(last=False)
    return tree
