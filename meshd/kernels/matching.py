"""Matching terminals: pairs taken greedily, best first, while both ends have a terminal free."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import kernel, part

IntArray: TypeAlias = NDArray[np.int64]
ByteArray: TypeAlias = NDArray[np.int8]

ALL_SIDES = 15
_AT_ONCE = 4_096


@kernel
def match(i: IntArray, j: IntArray, free: ByteArray) -> ByteArray:
    """Take pairs in order wherever both ends have a terminal free, any; 1 for each that is taken.

    `free` is how many each satellite has; it is used up.
    """
    taken = np.zeros(i.size, np.int8)
    _match(i, j, free, taken)
    return taken


@kernel
def match_sides(i: IntArray, j: IntArray, side: ByteArray, free: ByteArray) -> ByteArray:
    """Take pairs in order, three times over; 1 for each that is taken.

    First those that join what no pair before them has joined (Kruskal, 1956), each from its own
    side; then all from their own sides; then from any that is left. `side` is i's for j; j uses
    the opposite one. A side that is taken does not become free again, so the second time only
    those are looked at that failed for being joined, and most are sifted out many at once, which
    a processor does without guessing at branches.
    """
    taken, joined, many = np.zeros(i.size, np.int8), np.empty(i.size, np.int64), 0
    sides, parent = np.where(free > 0, ALL_SIDES, 0).astype(np.int8), np.arange(free.size)
    some = np.empty(_AT_ONCE, np.int64)
    for begin in range(0, i.size, _AT_ONCE):
        count = 0
        for row in range(begin, min(begin + _AT_ONCE, i.size)):
            some[count] = row
            count += _fits(sides, i[row], j[row], side[row])
        for row in some[:count]:
            a, b, own = i[row], j[row], side[row]
            if _fits(sides, a, b, own):
                if _join(parent, a, b):
                    _take(sides, free, a, b, own)
                    taken[row] = 1
                else:
                    joined[many] = row
                    many += 1
    for row in joined[:many]:
        a, b, own = i[row], j[row], side[row]
        if _fits(sides, a, b, own):
            _take(sides, free, a, b, own)
            taken[row] = 1
    _match(i, j, free, taken)
    return taken


@kernel
def _match(i: IntArray, j: IntArray, free: ByteArray, taken: ByteArray) -> None:
    for row in range(i.size):
        a, b = i[row], j[row]
        if not taken[row] and free[a] > 0 and free[b] > 0:
            free[a], free[b], taken[row] = free[a] - 1, free[b] - 1, 1


@part
def _fits(sides: ByteArray, a: int, b: int, own: int) -> int:
    """1 where both ends have their side free, and a terminal; `sides` has a bit for each."""
    return int((sides[a] >> own) & (sides[b] >> (own ^ 1)) & 1)


@part
def _take(sides: ByteArray, free: ByteArray, a: int, b: int, own: int) -> None:
    free[a], free[b] = free[a] - 1, free[b] - 1
    sides[a] = sides[a] & ~(1 << own) if free[a] > 0 else 0
    sides[b] = sides[b] & ~(1 << (own ^ 1)) if free[b] > 0 else 0


@part
def _root(parent: IntArray, a: int) -> int:
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@part
def _join(parent: IntArray, a: int, b: int) -> bool:
    """Join the parts of two; False when they are one already. The first of a part is its root."""
    a, b = _root(parent, a), _root(parent, b)
    parent[max(a, b)] = min(a, b)
    return a != b


@kernel
def parts(i: IntArray, j: IntArray, count: int) -> IntArray:
    """For each of `count` satellites the first of those that it hangs together with by pairs."""
    parent = np.arange(count)
    for row in range(i.size):
        _join(parent, i[row], j[row])
    for a in range(count):
        parent[a] = _root(parent, a)
    return parent
