"""Disk: when rows are on it, and what a crash, an error or an old copy leaves of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from sim.faults.stall import Stall

Commit: TypeAlias = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Disk:
    """Rows, and the commits on their way to them. A commit is whole or not at all, as in SQLite."""

    rows: dict[str, bytes] = field(default_factory=dict)
    unsynced: deque[Commit] = field(default_factory=deque)
    start: Stall | None = None
    """What waits for the first commit of a life."""
    failing: bool = False
    """The next commit fails, and the daemon stops."""
    copy: dict[str, bytes] = field(default_factory=dict)

    def keep_copy(self) -> None:
        """A backup of the rows as they are now."""
        self.copy = dict(self.rows)

    def write(self, commit: Commit) -> None:
        for key, value in commit:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def crash(self, chance: int) -> tuple[int, int]:
        """A power cut: of the commits under way some first ones are there, none in part.

        Gives (how many are there, how many are not).
        """
        survive = chance % (len(self.unsynced) + 1)
        lost = len(self.unsynced) - survive
        for _ in range(survive):
            self.write(self.unsynced.popleft())
        self.unsynced.clear()
        self.start = None
        return survive, lost
