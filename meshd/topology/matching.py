"""Greedy matching of terminals: pairs in a given order, each end with a terminal to spare."""

from __future__ import annotations

import numpy as np

from meshd.topology.trajectory import IntArray

_OPPOSITE = (1, 0, 3, 2)


class Matching:
    """Links taken so far among n satellites with a few terminals each, one a sector."""

    def __init__(self, n: int, terminals: int) -> None:
        self._left = [terminals] * n
        self._used = [0] * n  # a bit a sector
        self._taken: dict[tuple[int, int], None] = {}

    def take(self, i: IntArray, j: IntArray, sector: IntArray | None) -> None:
        """Take pairs (i < j) in order wherever both ends have a terminal free.

        `sector` (0-3) is i's terminal for j; j uses the opposite one. None: any terminal.
        """
        left, used, taken = self._left, self._used, self._taken
        sectors = [-1] * len(i) if sector is None else sector.tolist()
        for a, b, side in zip(i.tolist(), j.tolist(), sectors, strict=True):
            if not left[a] or not left[b]:
                continue
            if side >= 0:
                bit_a, bit_b = 1 << side, 1 << _OPPOSITE[side]
                if used[a] & bit_a or used[b] & bit_b:
                    continue
                used[a] |= bit_a
                used[b] |= bit_b
            elif (a, b) in taken:
                continue
            left[a] -= 1
            left[b] -= 1
            taken[a, b] = None

    def copy(self) -> Matching:
        """Another that starts where this one stands."""
        other = Matching(0, 0)
        other._left, other._used = list(self._left), list(self._used)
        other._taken = dict(self._taken)
        return other

    def free(self) -> IntArray:
        """Terminals left of each satellite."""
        return np.array(self._left, dtype=np.int64)

    def pairs(self) -> tuple[IntArray, IntArray]:
        """The pairs taken (a < b), sorted."""
        table = np.array(sorted(self._taken), dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def pair_hash(i: IntArray, j: IntArray) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A number for each pair that has nothing to do with where they are: breaks ties fairly.

    Mixing by the multipliers and shifts of SplitMix64 (Steele et al., 2014).
    """
    x = i.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = x ^ (j.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
