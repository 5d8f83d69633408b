"""Kept: what others have signed that must outlive this process.

Revocations, so that nobody comes back who was sent away; elements; and the presences of neighbours,
which is an address book: a node that starts again knows whom to dial.
"""

from __future__ import annotations

import msgspec

from meshd.router.roster import Entry
from meshd.seam import Effect, Persist
from protocols.certificate import Revocations
from protocols.record import Orbit, Presence, Record

KEPT_ROW = "kept/"
NEIGHBOURS_MAX = 256
"""Presences; of more neighbours, those met last."""

_rows = msgspec.msgpack.Decoder(Record)


def records_in(rows: tuple[tuple[str, bytes], ...]) -> tuple[Record, ...]:
    """The records that a life before has kept, in no order that matters."""
    return tuple(_rows.decode(value) for key, value in rows if key.startswith(KEPT_ROW))


class Kept:
    """Says what to write and what to forget; the rows themselves are the store's."""

    def __init__(self) -> None:
        self._neighbours: dict[int, None] = {}

    def restore(self, rows: tuple[tuple[str, bytes], ...]) -> tuple[Record, ...]:
        """What was kept, to be judged anew."""
        return records_in(rows)

    def keep(self, entry: Entry | None, *, neighbour: bool) -> list[Effect]:
        """Write down a statement that was believed, if it is of a kind that is kept."""
        if entry is None:
            return []
        match entry.statement.body:
            case Revocations() | Orbit():
                return [_row(entry)]
            case Presence() if neighbour:
                self._neighbours.pop(entry.tag, None)
                self._neighbours[entry.tag] = None
                return [_row(entry), *self._oldest()]
            case _:
                return []

    def forget(self, entry: Entry) -> list[Effect]:
        """Drop the row of a statement that is void or has expired; addresses stay of use."""
        if isinstance(entry.statement.body, Orbit):
            return [Persist(f"{KEPT_ROW}{entry.tag}", None)]
        return []

    def _oldest(self) -> list[Effect]:
        if len(self._neighbours) <= NEIGHBOURS_MAX:
            return []
        oldest = next(iter(self._neighbours))
        del self._neighbours[oldest]
        return [Persist(f"{KEPT_ROW}{oldest}", None)]


def _row(entry: Entry) -> Persist:
    return Persist(f"{KEPT_ROW}{entry.tag}", msgspec.msgpack.encode(entry.record))
