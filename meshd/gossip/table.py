"""Table: the newest statement of every author and kind, kept where it is not the roster's."""

from __future__ import annotations

from functools import lru_cache

from meshd.gossip.index import Index
from meshd.router.roster import NOBODY, Entry, Key, Roster
from protocols.record import KINDS, Beacon
from protocols.types import Instant, NodeId

BEACON = KINDS[Beacon]
"""The kind that is for the neighbourhood alone: no digest counts it."""


class Table:
    """What has been heard, over what the roster says: of a key that is in both, what was heard."""

    def __init__(self) -> None:
        self.roster: Roster = NOBODY
        self._heard: dict[Key, Entry] = {}
        self._index = Index()
        self._whole: Index | None = None
        """Of the roster too: made when a neighbour has another one, until something changes."""
        self._first_end: Instant | None = None
        """Nothing that was heard expires before."""

    def __len__(self) -> int:
        """How many were heard: what the roster says is not ours to keep."""
        return len(self._heard)

    def get(self, key: Key) -> Entry | None:
        return self._heard.get(key) or self.roster.entries.get(key)

    def sequence(self, key: Key) -> int:
        entry = self.get(key)
        return entry.statement.sequence if entry else 0

    def put(self, key: Key, entry: Entry) -> None:
        self._heard[key] = entry
        ends = entry.statement.issued_at + entry.statement.ttl_ns
        self._first_end = ends if self._first_end is None else min(self._first_end, ends)
        if key[1] != BEACON:
            self._index.put(key, entry.statement.sequence)
            self._whole = None

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
                self._drop(key)
        self._whole = None

    def forget_expired(self, now: Instant) -> list[Entry]:
        """Drop and return what was heard and is no longer true; the roster stands."""
        if self._first_end is None or now < self._first_end:
            return []
        expired = [(key, entry) for key, entry in self._heard.items() if entry.expired(now)]
        for key, _ in expired:
            self._drop(key)
        ends = (e.statement.issued_at + e.statement.ttl_ns for e in self._heard.values())
        self._first_end = min(ends, default=None)
        return [entry for _, entry in expired]

    def _drop(self, key: Key) -> None:
        del self._heard[key]
        self._index.drop(key)
        self._whole = None

    def all(self) -> list[Entry]:
        """Everything, in order of key."""
        entries = {**self.roster.entries, **self._heard}
        return [entries[key] for key in sorted(entries)]

    def beacons(self) -> list[tuple[Key, Entry]]:
        """Those that were heard."""
        return [(key, entry) for key, entry in self._heard.items() if key[1] == BEACON]

    def key(self, tag: int) -> Key | None:
        """What is held under a tag, if anything."""
        return self._index.find(tag) or _of_roster(self.roster).find(tag)

    def index(self, *, whole: bool) -> Index:
        """What digests are about: only what was heard, or, if `whole`, all that is held."""
        if not whole or not self.roster.entries:
            return self._index
        if self._whole is None:
            entries = {**self.roster.entries, **self._heard}
            self._whole = Index((k, e) for k, e in entries.items() if k[1] != BEACON)
        return self._whole


@lru_cache(16)
def _of_roster(roster: Roster) -> Index:
    """Worked out once for all nodes that have it."""
    return Index((key, entry) for key, entry in roster.entries.items() if key[1] != BEACON)
