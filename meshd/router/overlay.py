"""What a node knows that the plan does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

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


EMPTY = Overlay()
