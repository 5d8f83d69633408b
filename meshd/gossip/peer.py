"""Peer: one neighbour, and what waits to be told or given to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import protocols
from meshd.gossip.table import Table
from meshd.seam import Effect, SendFrame
from protocols import LinkMessage
from protocols.bounds import DIGEST_ENTRIES_MAX, HOPS_EVERYWHERE, RECORDS_MAX
from protocols.gossip import Have, Held, Records
from protocols.record import Record
from protocols.types import MILLISECOND, SECOND, Duration, Instant, LinkId

FLUSH_NS = 100 * MILLISECOND
"""What we say waits this long for company: one frame then carries many records."""

RELAY_NS = 115 * MILLISECOND
"""What others say waits a little longer, at every hop. Two hundred nodes on a torus 15 hops across
then hear of a new one in 1.9 s, for less than the 582 B/s each that ScaleCube's SWIM spends."""

CLOSED_NS = 20 * MILLISECOND
"""That a way is gone waits less."""

ADDED_NS = 2 * SECOND
"""That there is another way to where one leads already waits longer, at every hop."""

FRAME_RECORDS_BYTES_MAX = 131_072


@dataclass(slots=True)
class Peer:
    """One neighbour. What it may lack is announced; what it lacks, or what is ours, is given.

    All that waits is of statements held, by tag, and so bounded as they are.
    """

    link: LinkId
    delay_ns: Duration = 0
    give: dict[int, None] = field(default_factory=dict)
    tell: dict[int, None] = field(default_factory=dict)
    later: dict[int, None] = field(default_factory=dict)
    """To be told when there is nothing urgent about it."""
    flush_at: Instant | None = None
    gather_at: Instant | None = None
    roster: str | None = None
    """The digest of the roster it leaves out of its digests; None until it has sent one."""
    opened: bool = False
    """It was sent a digest when its link became ready, and has not sent its own yet."""

    def has(self, tag: int) -> None:
        """It holds what we hold: that need not be said."""
        self.give.pop(tag, None)
        self.tell.pop(tag, None)
        self.later.pop(tag, None)

    def queue(
        self, tag: int, now: Instant, *, give: bool = False, wait_ns: Duration = RELAY_NS
    ) -> None:
        """Tell it of a statement, or give it, within the wait."""
        if wait_ns > RELAY_NS and not give:
            self.later[tag] = None
            self.gather_at = self.gather_at or now + wait_ns
            return
        (self.give if give else self.tell)[tag] = None
        at = now + min(wait_ns, FLUSH_NS if give else RELAY_NS)
        if self.flush_at is None or at < self.flush_at:
            self.flush_at = at

    @property
    def busy(self) -> bool:
        """Whether news waits for it."""
        return bool(self.give or self.tell or self.later)

    @property
    def due_at(self) -> Instant | None:
        if self.flush_at is None or self.gather_at is None:
            return self.gather_at if self.flush_at is None else self.flush_at
        return min(self.flush_at, self.gather_at)

    def due(self, table: Table, now: Instant) -> list[Effect]:
        """What has waited long enough."""
        if self.gather_at is not None and self.gather_at <= now:
            self.tell.update(self.later)
            self.later, self.gather_at = {}, None
            return self.flush(table, now)
        return self.flush(table, now) if self.flush_at and self.flush_at <= now else []

    def flush(self, table: Table, now: Instant) -> list[Effect]:
        """A frame of announcements and about one of records; the rest goes with the next flush."""
        messages = [*self._announcement(table), *self._records(table)]
        self.flush_at = now + FLUSH_NS if self.give or self.tell else None
        return [SendFrame(self.link, protocols.LINK.encode(message)) for message in messages]

    def _announcement(self, table: Table) -> Iterator[LinkMessage]:
        held: list[Held] = []
        while self.tell and len(held) < DIGEST_ENTRIES_MAX:
            tag = next(iter(self.tell))
            del self.tell[tag]
            if sequence := table.sequence(tag):  # it may have expired
                held.append(Held(tag, sequence))
        if held:
            yield Have(tuple(held))

    def _records(self, table: Table) -> Iterator[LinkMessage]:
        """Records, those that go equally far in a frame."""
        batches: dict[int, list[Record]] = {}
        count = size = 0
        while self.give and count < RECORDS_MAX and size < FRAME_RECORDS_BYTES_MAX:
            tag = next(iter(self.give))
            del self.give[tag]
            entry = table.get(tag)
            if entry is None or not entry.hops:  # of a beacon, a newer one may go no further
                continue
            hops = entry.hops if entry.hops == HOPS_EVERYWHERE else entry.hops - 1
            batches.setdefault(hops, []).append(entry.record)
            count += 1
            size += len(entry.record.statement) + len(entry.record.signature)
        for hops, records in batches.items():
            yield Records(tuple(records), hops)
