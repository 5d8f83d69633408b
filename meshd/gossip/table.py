"""Table: the newest statement of every author and kind, kept where it is not the roster's."""

from __future__ import annotations

from collections.abc import Iterable

from meshd.gossip.index import Index
from meshd.router.roster import NOBODY, Entry, Roster
from protocols.record import Beacon
from protocols.types import Instant, NodeId


class Table:
    """What has been heard, by tag, over what the roster says: of two under a tag, what was heard.

    Beacons are for the neighbourhood alone: no digest counts them.
    """

    def __init__(self) -> None:
        self.roster: Roster = NOBODY
        self._heard: dict[int, Entry] = {}
        self._index = Index()
        self._whole: Index | None = None
        """Of the roster too: made when a neighbour has another one, until something changes."""
        self._first_end: Instant | None = None
        """Nothing that was heard expires before."""

    def __len__(self) -> int:
        """How many were heard: what the roster says is not ours to keep."""
        return len(self._heard)

    def get(self, tag: int) -> Entry | None:
        return self._heard.get(tag) or self.roster.entries.get(tag)

    def sequence(self, tag: int) -> int:
        entry = self.get(tag)
        return entry.statement.sequence if entry else 0

    def put(self, entry: Entry) -> None:
        statement = entry.statement
        self._heard[entry.tag] = entry
        ends = statement.issued_at + statement.ttl_ns
        if self._first_end is None or ends < self._first_end:
            self._first_end = ends
        if not isinstance(statement.body, Beacon):
            self._index.put(entry.tag, statement.sequence)
            self._whole = None

    def load(self, roster: Roster, me: NodeId) -> None:
        """Take a roster for what was known all along: forget what it says too, or says later.

        Of our own statements all stay that say something else.
        """
        self.roster = roster
        for entry in list(self._heard.values()):
            known = roster.entries.get(entry.tag)
            if known is None:
                continue
            newer = entry.statement.sequence > known.statement.sequence
            same = entry.statement.body == known.statement.body
            if same if entry.statement.author == me else not newer:
                self._drop(entry)
        self._whole = None

    def forget_expired(self, now: Instant) -> list[Entry]:
        """Drop and return what was heard and is no longer true; the roster stands."""
        if self._first_end is None or now < self._first_end:
            return []
        expired = [entry for entry in self._heard.values() if entry.expired(now)]
        for entry in expired:
            self._drop(entry)
        ends = (e.statement.issued_at + e.statement.ttl_ns for e in self._heard.values())
        self._first_end = min(ends, default=None)
        return expired

    def forget_author(self, author: NodeId) -> list[Entry]:
        """Drop and return what was heard from an author."""
        void = [entry for entry in self._heard.values() if entry.statement.author == author]
        for entry in void:
            self._drop(entry)
        return void

    def _drop(self, entry: Entry) -> None:
        del self._heard[entry.tag]
        self._index.drop(entry.tag)
        self._whole = None

    def all(self) -> list[Entry]:
        """Everything, in order of author and kind."""
        return sorted({**self.roster.entries, **self._heard}.values(), key=lambda entry: entry.key)

    def beacons(self) -> list[Entry]:
        """Those that were heard."""
        return [e for e in self._heard.values() if isinstance(e.statement.body, Beacon)]

    def index(self, *, whole: bool) -> Index:
        """What digests are about: only what was heard, or, if `whole`, all that is held."""
        if not whole or not self.roster.entries:
            return self._index
        if self._whole is None:
            self._whole = _index_of({**self.roster.entries, **self._heard}.values())
        return self._whole


def _index_of(entries: Iterable[Entry]) -> Index:
    return Index(
        (entry.tag, entry.statement.sequence)
        for entry in entries
        if not isinstance(entry.statement.body, Beacon)
    )
