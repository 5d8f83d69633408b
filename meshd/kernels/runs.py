"""Runs of pairs compared: which are in one list and not in the other."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel

IntArray: TypeAlias = NDArray[np.int64]


class Runs(NamedTuple):
    """Half-open runs [begin, finish) of pairs, sorted by (pair, begin)."""

    pair: IntArray
    begin: IntArray
    finish: IntArray


@kernel
def unlike(one: Runs, other: Runs) -> IntArray:
    """The pair of each run that is in one of the two lists alone, ascending."""
    found = np.empty(one.pair.size + other.pair.size, np.int64)
    count, a, b = 0, 0, 0
    while a < one.pair.size or b < other.pair.size:
        order = _order(one, a, other, b)
        if order != 0:
            found[count] = one.pair[a] if order < 0 else other.pair[b]
            count += 1
        a += order <= 0
        b += order >= 0
    return found[:count]


@inner
def _order(one: Runs, a: int, other: Runs, b: int) -> int:
    """-1 where the run of one comes first, 1 where that of the other does, 0 for the same run."""
    if b == other.pair.size:
        return -1
    if a == one.pair.size:
        return 1
    mine = (one.pair[a], one.begin[a], one.finish[a])
    theirs = (other.pair[b], other.begin[b], other.finish[b])
    return -1 if mine < theirs else 1 if mine > theirs else 0
