"""Trace: one hash over all that happened. Same seed, same hash, whatever PYTHONHASHSEED says."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import msgspec

from meshd.seam import Effect, Event, PlanLoaded
from protocols.types import SECOND, Instant

LINE_CHARACTERS_MAX = 240


class Trace:
    """Hashes every event given to a node and every effect it asked for, in order.

    With `lines_max` the last so many are also kept as text, for people.
    """

    def __init__(self, lines_max: int = 0) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._encode = msgspec.msgpack.Encoder().encode
        self._lines_max = lines_max
        self.lines: deque[str] = deque(maxlen=lines_max)
        self.count = 0

    @property
    def hash(self) -> str:
        return self._hash.hexdigest()

    def event(self, at: Instant, node: int, event: Event) -> None:
        self._add(at, node, "<", event)

    def effects(self, at: Instant, node: int, effects: list[Effect]) -> None:
        for effect in effects:
            self._add(at, node, ">", effect)

    def _add(self, at: Instant, node: int, way: str, what: Event | Effect) -> None:
        self.count += 1
        # A plan is named by its digest: its columns follow from what that covers.
        body: Any = what.plan.digest if isinstance(what, PlanLoaded) else what
        self._hash.update(self._encode((at, node, way, type(what).__name__, body)))
        if self._lines_max:
            line = f"{at / SECOND:.9f} {node} {way} {what!r}"
            self.lines.append(line[:LINE_CHARACTERS_MAX])
