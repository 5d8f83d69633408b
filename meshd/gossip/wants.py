"""Wants: what neighbours have announced and we lack, and whom it has been asked of."""

from __future__ import annotations

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
    tries: int = 0


@dataclass(slots=True)
class Asked:
    """What one neighbour was asked for and has not sent yet."""

    delay_ns: Duration
    tags: dict[int, None] = field(default_factory=dict)
    until: Instant = 0


class Wants:
    """Each statement is asked of one neighbour at a time, however many announce it."""

    def __init__(self) -> None:
        self._wanted: dict[int, Wanted] = {}
        self._ready: dict[int, None] = {}
        """Not asked for at present."""
        self._asked: dict[NodeId, Asked] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def meet(self, node: NodeId, delay_ns: Duration) -> None:
        self._asked[node] = Asked(delay_ns)

    def part(self, node: NodeId) -> None:
        """It is no neighbour any more: what it has must come from others."""
        asked = self._asked.pop(node, None)
        self._ready.update(asked.tags if asked else {})
        for tag, wanted in list(self._wanted.items()):
            if node in wanted.sources:
                wanted.sources.remove(node)
                if not wanted.sources:
                    self._forget(tag)

    def heard(self, tag: int, sequence: int, node: NodeId) -> None:
        """A neighbour announces what we lack."""
        wanted = self._wanted.get(tag)
        if wanted is None:
            if len(self._wanted) < WANTED_MAX and node in self._asked:
                self._wanted[tag] = Wanted(sequence, [node])
                self._ready[tag] = None
            return
        wanted.sequence = max(wanted.sequence, sequence)
        if node not in wanted.sources:
            wanted.sources.append(node)

    def came(self, tag: int, sequence: int, node: NodeId, now: Instant) -> None:
        """A statement is here, from whomever; a neighbour that sends may take its time."""
        wanted = self._wanted.get(tag)
        if wanted is None:
            return
        asked = self._asked.get(node)
        answers = asked is not None and tag in asked.tags
        if asked is not None and answers:
            del asked.tags[tag]
            self._extend(asked, now)
        if sequence >= wanted.sequence:
            self._forget(tag)
        elif answers:
            self._put_off(tag, node)

    def next_deadline(self) -> Instant | None:
        return min((asked.until for asked in self._asked.values() if asked.tags), default=None)

    def ask(self, now: Instant) -> dict[NodeId, list[int]]:
        """What to ask of whom now."""
        for node, asked in self._asked.items():
            if asked.tags and asked.until <= now:
                tags, asked.tags = asked.tags, {}
                for tag in tags:
                    self._put_off(tag, node)
        found: dict[NodeId, list[int]] = {}
        room = {node: ASKED_MAX - len(asked.tags) for node, asked in self._asked.items()}
        left = sum(room.values())
        for tag in list(self._ready) if left else ():
            source = next((node for node in self._wanted[tag].sources if room[node]), None)
            if source is None:
                continue
            room[source] -= 1
            left -= 1
            del self._ready[tag]
            self._asked[source].tags[tag] = None
            found.setdefault(source, []).append(tag)
            if not left:
                break
        for source in found:
            self._extend(self._asked[source], now)
        return found

    def _extend(self, asked: Asked, now: Instant) -> None:
        asked.until = now + ASK_NS + 2 * asked.delay_ns

    def _put_off(self, tag: int, node: NodeId) -> None:
        """It did not send what it has: others are asked, or it again, later."""
        wanted = self._wanted[tag]
        wanted.tries += 1
        if wanted.tries > TRIES_MAX:
            self._forget(tag)
            return
        wanted.sources.remove(node)
        wanted.sources.append(node)
        self._ready[tag] = None

    def _forget(self, tag: int) -> None:
        del self._wanted[tag]
        self._ready.pop(tag, None)
        for asked in self._asked.values():
            asked.tags.pop(tag, None)
