"""Gaps: the bytes of a blob that are neither here nor asked for yet, as intervals."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
"""Half-open."""


class Gaps:
    """Sorted, disjoint intervals of [0, size), taken from the front."""

    def __init__(self, size: int, held: Iterable[Interval] = ()) -> None:
        self._gaps: list[Interval] = []
        """The last one is the first in the blob."""
        end = size
        for low, high in sorted(held, reverse=True):
            if high < end:
                self._gaps.append((high, end))
            end = min(end, low)
        if end > 0:
            self._gaps.append((0, end))

    def __bool__(self) -> bool:
        return bool(self._gaps)

    def take(self, bytes_max: int) -> Interval:
        """The first interval, or as much of it as is wanted at once."""
        low, high = self._gaps.pop()
        cut = min(high, low + bytes_max)
        if cut < high:
            self._gaps.append((cut, high))
        return low, cut
