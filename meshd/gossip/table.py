"""Table: the newest statement of every author and kind, kept where it is not the roster's."""

from __future__ import annotations

from bisect import bisect_left

from meshd.router.roster import NOBODY, Entry, Key, Roster
from protocols.types import Instant, NodeId

OPEN = ("", "")
"""As an end of a range: no end."""


class Table:
    """What has been heard, over what the roster says: of a key that is in both, what was heard.

    The order of keys is kept between changes, since every digest asks for it.
    """

    def __init__(self) -> None:
        self.roster: Roster = NOBODY
        self._heard: dict[Key, Entry] = {}
        self._sorted: list[Key] | None = []

    def __len__(self) -> int:
        """How many were heard: what the roster says is not ours to keep."""
        return len(self._heard)

    def get(self, key: Key) -> Entry | None:
        return self._heard.get(key) or self.roster.entries.get(key)

    def put(self, key: Key, entry: Entry) -> None:
        if key not in self._heard:
            self._sorted = None
        self._heard[key] = entry

    def load(self, roster: Roster, me: NodeId) -> None:
        """Take a roster for what was known all along: forget what it says too, or says later.

        Of our own statements all stay that say something else.
        """
        self.roster = roster
        for key, entry in list(self._heard.items()):
            known = roster.entries.get(key)
            if known is None:
                continue
            newer = entry.statement.sequence > known.statement.sequence
            same = entry.statement.body == known.statement.body
            if same if key[0] == me else not newer:
                del self._heard[key]
        self._sorted = None

    def forget_expired(self, now: Instant) -> None:
        """What was heard and is no longer true; the roster stands."""
        expired = [key for key, entry in self._heard.items() if entry.expired(now)]
        for key in expired:
            del self._heard[key]
        if expired:
            self._sorted = None

    def all(self) -> list[Entry]:
        """Everything, in order of key."""
        return [entry for _, entry in self.held(OPEN, OPEN, None, whole=True)]

    def held(
        self, low: tuple[str, str], high: tuple[str, str], now: Instant | None, *, whole: bool
    ) -> list[tuple[Key, Entry]]:
        """What is true at `now` between two keys, in order; only what was heard, unless `whole`."""
        if self._sorted is None:
            self._sorted = sorted(self._heard)
        keys = self._sorted
        if whole and self.roster.entries:
            keys = sorted({**self.roster.entries, **self._heard})
        begin = bisect_left(keys, low)
        end = len(keys) if high == OPEN else bisect_left(keys, high)
        heard, roster = self._heard, self.roster.entries
        found = []
        for key in keys[begin:end]:
            entry = heard.get(key)
            if entry is not None and (now is None or not entry.expired(now)):
                found.append((key, entry))
            elif key in roster and whole:
                found.append((key, roster[key]))
        return found
