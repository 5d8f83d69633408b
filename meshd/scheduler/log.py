"""Log: the last of what the shards of a job said on standard error, where the job was taken.

For people who watch: nothing waits for it, a restart forgets it, and some may be lost on the way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from protocols.types import Instant, NodeId

CHARS_MAX = 65_536
"""Kept of one job; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Line:
    """Some text of one shard, as it came: not always whole lines."""

    number: int
    at: Instant
    shard: int
    node: NodeId
    text: str


@dataclass(slots=True)
class Log:
    """Keeps the newest lines, under a bound of letters."""

    lines: deque[Line] = field(default_factory=deque)
    chars: int = 0
    count: int = 0
    """Lines that ever came: each has a number of its own."""

    def add(self, at: Instant, shard: int, node: NodeId, text: str) -> None:
        self.lines.append(Line(self.count, at, shard, node, text))
        self.count += 1
        self.chars += len(text)
        while self.chars > CHARS_MAX:
            self.chars -= len(self.lines.popleft().text)

    def since(self, number: int) -> tuple[Line, ...]:
        """What is kept from this number on."""
        return tuple(line for line in self.lines if line.number >= number)
