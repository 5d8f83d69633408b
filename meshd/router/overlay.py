"""What a node knows that the plan does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from meshd.kernels.arrival import Corrections
from protocols.types import Duration

_NONE: Mapping[int, tuple[tuple[int, Duration], ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Overlay:
    """Corrections to a plan: sites without a daemon, dead links, and links no plan predicts.

    `absent` sites are neither relay nor end. `dead` links (low index first) are not used, planned
    or standing. `standing` gives each vertex its always-open links, ((vertex, delay_ns), ...);
    vertices from `plan.n_sites` up are nodes without an orbit. A link that works both ways is
    listed at both ends.
    """

    absent: frozenset[int] = frozenset()
    dead: frozenset[tuple[int, int]] = frozenset()
    standing: Mapping[int, tuple[tuple[int, Duration], ...]] = field(default_factory=lambda: _NONE)
    _columns: dict[int, Corrections] = field(default_factory=dict, repr=False, compare=False)

    def columns(self, vertices: int) -> Corrections:
        """The same for kernels, with at least so many vertices: made once, since many ask."""
        if not (self.absent or self.dead or self.standing):
            return _no_corrections(vertices)
        found = self._columns.get(vertices)
        if found is None:
            if len(self._columns) >= _COLUMNS_MAX:
                self._columns.clear()
            found = self._columns[vertices] = self._corrections(vertices)
        return found

    def _corrections(self, vertices: int) -> Corrections:
        ends = [peer for links in self.standing.values() for peer, _ in links]
        named = (*self.standing, *ends, *self.absent)
        vertices = max(vertices, 1 + max(named, default=-1))
        absent = np.zeros(vertices, dtype=np.bool_)
        absent[sorted(self.absent)] = True
        keys = sorted(low << 32 | high for low, high in self.dead)
        count = np.zeros(vertices + 1, dtype=np.int64)
        links: list[tuple[int, Duration]] = []
        for vertex in sorted(self.standing):
            count[vertex + 1] = len(self.standing[vertex])
            links += self.standing[vertex]
        return Corrections(
            absent,
            np.array(keys, dtype=np.int64),
            np.cumsum(count),
            np.array([peer for peer, _ in links], dtype=np.int32),
            np.array([delay for _, delay in links], dtype=np.int64),
        )


_COLUMNS_MAX = 4


@lru_cache(maxsize=_COLUMNS_MAX)
def _no_corrections(vertices: int) -> Corrections:
    """Most nodes know of none: they share them."""
    nobody, none = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    return Corrections(
        np.zeros(vertices, np.bool_), none, np.zeros(vertices + 1, np.int64), nobody, none
    )


EMPTY = Overlay()
