"""Light times that are given, and stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protocols.types import Duration, Instant

_NONE: Mapping[tuple[int, int], Duration] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FixedLight:
    """A light time for every pair, whatever the instant: that of `by_pair`, lower site first.

    A plan that has one can be searched by kernels, like one with positions.
    """

    otherwise_ns: Duration
    by_pair: Mapping[tuple[int, int], Duration] = field(default_factory=lambda: _NONE)

    def __call__(self, a: int, b: int, at: Instant) -> Duration:
        return self.by_pair.get((a, b) if a < b else (b, a), self.otherwise_ns)
