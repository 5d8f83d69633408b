"""Barriers: between whom nothing passes, and which way: partitions, outages, cuts."""

from __future__ import annotations


class Barriers:
    """All that stands between ends now. Directions are (from, to)."""

    def __init__(self) -> None:
        self._apart: frozenset[int] = frozenset()
        self._one_way = False
        self._out: frozenset[int] = frozenset()
        self._cuts: dict[tuple[int, int], None] = {}
        self.any = False

    def part(self, ends: frozenset[int], *, one_way: bool = False) -> None:
        """Between these ends and the others nothing passes; `one_way`: nothing from these."""
        self._apart, self._one_way = ends, one_way
        self._note()

    def cut_off(self, ends: frozenset[int]) -> None:
        """Nothing passes to or from any of these ends."""
        self._out = ends
        self._note()

    def cut(self, a: int, b: int, *, one_way: bool = False) -> None:
        """Nothing passes from `a` to `b`, nor back unless `one_way`."""
        self._cuts[a, b] = None
        if not one_way:
            self._cuts[b, a] = None
        self._note()

    def mend(self, a: int, b: int) -> None:
        self._cuts.pop((a, b), None)
        self._cuts.pop((b, a), None)
        self._note()

    def clear(self) -> None:
        self._apart = self._out = frozenset()
        self._cuts.clear()
        self._note()

    def passes(self, source: int, to: int) -> bool:
        """Whether what one end says can reach the other."""
        inside, outside = source in self._apart, to in self._apart
        parted = inside != outside and (inside or not self._one_way)
        out = source in self._out or to in self._out
        return not parted and not out and (source, to) not in self._cuts

    def joined(self, a: int, b: int) -> bool:
        """Whether all passes both ways: a link lives by answers."""
        return self.passes(a, b) and self.passes(b, a)

    def _note(self) -> None:
        self.any = bool(self._apart or self._out or self._cuts)
