"""All ways from one site to another that cost no more than a bound."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import kernel

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

TOO_MANY = -1


class Arcs(NamedTuple):
    """Links by site, both ways: those of site s are `first[s]` to `first[s + 1]` - 1.

    `peer` is the site at the other end, `link` the link's number.
    """

    first: IntArray
    peer: IntArray
    link: IntArray


@kernel
def near_paths(
    arcs: Arcs,
    cost: FloatArray,
    left: FloatArray,
    ends: tuple[int, int],
    bound: float,
    found: IntArray,
) -> int:
    """How many paths without a loop cost at most `bound`; their links are written to `found`.

    `cost` is by link, `left` the least cost from each site to the target: no step is taken that
    cannot lead there within the bound. A row of `found` is ended by -1. TOO_MANY when a path has
    as many links as its columns, or there are more paths than its rows.
    """
    source, target = ends
    count, depth, columns = 0, 0, found.shape[1]
    site, arc = np.empty(columns + 1, np.int64), np.empty(columns + 1, np.int64)
    spent, taken = np.zeros(columns + 1), np.zeros(left.size, np.bool_)
    site[0], arc[0], taken[source] = source, arcs.first[source], True
    while depth >= 0:
        here = site[depth]
        if here == target or arc[depth] == arcs.first[here + 1]:
            if here == target:
                if count == found.shape[0]:
                    return TOO_MANY
                for step in range(depth):
                    found[count, step] = arcs.link[arc[step] - 1]
                found[count, depth] = -1
                count += 1
            taken[here] = False
            depth -= 1
            continue
        step = arc[depth]
        arc[depth] = step + 1
        peer, total = arcs.peer[step], spent[depth] + cost[arcs.link[step]]
        if not taken[peer] and total + left[peer] <= bound:
            depth += 1
            if depth == columns:
                return TOO_MANY
            site[depth], arc[depth], spent[depth] = peer, arcs.first[peer], total
            taken[peer] = True
    return count
