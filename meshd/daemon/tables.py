"""Tables: this daemon's next hops to all nodes, worked out beside its loop and swapped whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.daemon.names import Names
from meshd.ephemeris.timescale import format_time
from meshd.router.table import VALID_NS, Entry, Inquiry, Table
from protocols.types import MILLISECOND

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]


class Tables:
    """Keeps the newest table. It is made anew when somebody asks and the links differ, or time has
    passed: a table nobody reads costs nothing.
    """

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names
        self._newest: tuple[Inquiry, Table] | None = None
        self._working = trio.Lock()

    async def table(self) -> Json:
        """The table of now, as the API has it."""
        found = await self._current()
        return {
            "node": found.node,
            "name": self._names.name_of(found.node),
            "at": format_time(found.at),
            "valid_until": format_time(found.at + VALID_NS),
            "entries": sorted(
                (self._entry(entry, found) for entry in found.entries),
                key=lambda row: (row["to"], row["node"]),
            ),
            "unreachable": sorted(map(self._names.name_of, found.unreachable)),
        }

    async def _current(self) -> Table:
        async with self._working:
            now, inquiry = self._daemon.shared.clock.now(), self._daemon.node.router.inquiry()
            if self._newest is not None:
                known, table = self._newest
                if inquiry.is_like(known) and table.at <= now < table.at + VALID_NS:
                    return table
            table = await trio.to_thread.run_sync(inquiry.table, now)
            self._newest = inquiry, table
            return table

    def _entry(self, entry: Entry, table: Table) -> Json:
        return {
            "to": self._names.name_of(entry.destination),
            "node": entry.destination,
            "next": self._names.name_of(entry.node),
            "next_node": entry.node,
            "hold_until": format_time(entry.depart),
            "hold_ms": round((entry.depart - table.at) / MILLISECOND, 6),
            "arrive": format_time(entry.arrive),
            "one_way_ms": round((entry.arrive - table.at) / MILLISECOND, 6),
            "hops": entry.hops,
        }
