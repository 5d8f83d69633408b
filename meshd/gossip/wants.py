"""Wants: what neighbours have announced and we lack, and whom it has been asked of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.types import MILLISECOND, Duration, Instant, NodeId

WANTED_MAX = 65_536
ASKED_MAX = 256
"""Of one neighbour at a time: as many as a frame of records may hold."""

ASK_NS = 300 * MILLISECOND
"""A neighbour that has sent nothing of what it was asked for, so long after a round trip, is asked
after the others that have it."""

TRIES_MAX = 4
"""Then it is left to the next digest."""


@dataclass(slots=True)
class Wanted:
    sequence: int
    sources: list[NodeId]
    """Who has it; the first is asked first."""
    asked: NodeId | None = None
    tries: int = 0


@dataclass(slots=True)
class Source:
    """A neighbour: what it has been asked for and not sent yet, and what it can be asked for."""

    delay_ns: Duration
    asked: dict[int, None] = field(default_factory=dict)
    ready: dict[int, None] = field(default_factory=dict)
    """What has been asked of another meanwhile, or has come, is passed over."""
    until: Instant = 0


class Wants:
    """Each statement is asked of one neighbour at a time, however many announce it."""

    def __init__(self) -> None:
        self._wanted: dict[int, Wanted] = {}
        self._sources: dict[NodeId, Source] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def meet(self, node: NodeId, delay_ns: Duration) -> None:
        self._sources[node] = Source(delay_ns)

    def part(self, node: NodeId) -> None:
        """It is no neighbour any more: what it has must come from others."""
        self._sources.pop(node, None)
        for tag, wanted in list(self._wanted.items()):
            if node in wanted.sources:
                wanted.sources.remove(node)
                if wanted.asked in (node, None):
                    self._free(tag, wanted)

    def heard(self, tag: int, sequence: int, node: NodeId) -> None:
        """A neighbour announces what we lack."""
        source, wanted = self._sources.get(node), self._wanted.get(tag)
        if source is None or (wanted is None and len(self._wanted) >= WANTED_MAX):
            return
        if wanted is None:
            self._wanted[tag] = wanted = Wanted(sequence, [node])
        elif sequence > wanted.sequence:
            wanted.sequence, wanted.sources = sequence, [node]
        elif sequence == wanted.sequence and node not in wanted.sources:
            wanted.sources.append(node)
        if wanted.asked is None:
            source.ready[tag] = None

    def came(self, tag: int, sequence: int, node: NodeId, now: Instant) -> Sequence[NodeId]:
        """A statement is here; who is known to hold it. Who sends may take its time."""
        wanted = self._wanted.get(tag)
        if wanted is None:
            return (node,)
        answers = wanted.asked == node
        if answers:
            source = self._sources[node]
            del source.asked[tag]
            self._extend(source, now)
        if sequence >= wanted.sequence:
            self._forget(tag, wanted)
        elif answers:
            self._put_off(tag, wanted)
        return (node,) if sequence > wanted.sequence else (node, *wanted.sources)

    def next_deadline(self) -> Instant | None:
        return min((s.until for s in self._sources.values() if s.asked), default=None)

    def ask(self, now: Instant) -> dict[NodeId, list[int]]:
        """What to ask of whom now."""
        for source in self._sources.values():
            if source.asked and source.until <= now:
                late, source.asked = source.asked, {}
                for tag in late:
                    self._put_off(tag, self._wanted[tag])
        found = {node: self._next(node, source) for node, source in self._sources.items()}
        for node, tags in found.items():
            if tags:
                self._extend(self._sources[node], now)
        return {node: tags for node, tags in found.items() if tags}

    def _next(self, node: NodeId, source: Source) -> list[int]:
        """What this neighbour has and nobody has been asked for, as much as it may be asked."""
        tags: list[int] = []
        while source.ready and len(source.asked) < ASKED_MAX:
            tag = next(iter(source.ready))
            del source.ready[tag]
            wanted = self._wanted.get(tag)
            if wanted is not None and wanted.asked is None and node in wanted.sources:
                wanted.asked = node
                source.asked[tag] = None
                tags.append(tag)
        return tags

    def _extend(self, source: Source, now: Instant) -> None:
        source.until = now + ASK_NS + 2 * source.delay_ns

    def _put_off(self, tag: int, wanted: Wanted) -> None:
        """It did not send what it has: others are asked, or it again, later."""
        wanted.tries += 1
        if wanted.tries > TRIES_MAX:
            self._forget(tag, wanted)
            return
        if wanted.asked in wanted.sources:
            wanted.sources.remove(wanted.asked)
            wanted.sources.append(wanted.asked)
        self._free(tag, wanted)

    def _free(self, tag: int, wanted: Wanted) -> None:
        """Nobody has been asked for it now: the first who has it may be."""
        wanted.asked = None
        if wanted.sources:
            self._sources[wanted.sources[0]].ready[tag] = None
        else:
            self._forget(tag, wanted)

    def _forget(self, tag: int, wanted: Wanted) -> None:
        del self._wanted[tag]
        if wanted.asked in self._sources:
            self._sources[wanted.asked].asked.pop(tag, None)
