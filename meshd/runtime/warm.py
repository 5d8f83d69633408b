"""Warm: what was loaded last, kept for the next shard of the same model, under two bounds."""

from __future__ import annotations

from typing import Generic, TypeVar

from protocols.types import Cid

T = TypeVar("T")

MODELS_MAX = 4
BYTES_MAX = 512 << 20
"""Of model files; what they take in memory is of that order. One alone may be larger."""


class Warm(Generic[T]):
    """The least recently used goes first."""

    def __init__(self, models_max: int = MODELS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.models_max, self.bytes_max = models_max, bytes_max
        self._kept: dict[Cid, tuple[T, int]] = {}

    def __contains__(self, cid: object) -> bool:
        return cid in self._kept

    def get(self, cid: Cid) -> T | None:
        found = self._kept.pop(cid, None)
        if found is None:
            return None
        self._kept[cid] = found
        return found[0]

    def keep(self, cid: Cid, model: T, size: int) -> None:
        self._kept.pop(cid, None)
        while self._kept and (
            len(self._kept) >= self.models_max
            or size + sum(taken for _, taken in self._kept.values()) > self.bytes_max
        ):
            del self._kept[next(iter(self._kept))]
        self._kept[cid] = (model, size)
