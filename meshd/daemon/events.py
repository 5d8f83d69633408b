"""Events: what happens to a daemon, as rows for people and programs; the last of them are kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

from meshd.daemon.names import Names
from meshd.driver import Happening
from meshd.ephemeris.timescale import format_time
from meshd.seam import (
    BlobFailed,
    ElementsHeard,
    LetterArrived,
    LetterKept,
    LetterSettled,
    LinkDown,
    LinkUp,
    Note,
    PayloadArrived,
    PayloadLost,
    PlanLoaded,
    ReportJob,
)
from protocols.types import LinkId, NodeId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

KEPT_MAX = 1_000
LINKS_MAX = 4_096
"""Of so many links it is remembered where they led."""


class Events:
    """Hears all that a driver tells: counts it, and keeps the newest rows."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names
        self._kept: deque[Json] = deque(maxlen=KEPT_MAX)
        self._ends: dict[LinkId, NodeId] = {}
        self.counts: Counter[str] = Counter()
        """By kind, since the start."""

    async def run(self) -> None:
        """Listen for as long as the daemon lives."""
        with self._daemon.driver.watch(lambda _: True) as watcher:
            while True:
                row = self._row(await watcher.next())
                self.counts[row["event"]] += 1
                self._kept.append(row)

    async def tell(self, follow: bool) -> AsyncIterator[Json]:
        """The rows that are kept, oldest first; then, if wanted, each new one.

        A reader who is too slow misses some: a row "missed" says how many.
        """
        with self._daemon.driver.watch(lambda _: follow) as watcher:
            for row in tuple(self._kept):
                yield row
            missed = 0
            while follow:
                yield self._row(await watcher.next())
                if watcher.missed > missed:
                    yield self._stamped("missed", count=watcher.missed - missed)
                    missed = watcher.missed

    def _stamped(self, event: str, **fields: Any) -> Json:
        return {"at": format_time(self._daemon.shared.clock.now()), "event": event, **fields}

    def _remember(self, link: LinkId, node: NodeId) -> None:
        self._ends[link] = node
        if len(self._ends) > LINKS_MAX:
            del self._ends[next(iter(self._ends))]

    def _row(self, happening: Happening) -> Json:
        """Nodes go by name; payloads by their size."""
        name = self._names.name_of
        match happening:
            case Note(code=code, fields=fields):
                named = {k: name(v) if k == "node" else v for k, v in fields.items()}  # type: ignore[arg-type]
                return self._stamped(code, **named)
            case LinkUp(link=link, node=node, dialled=dialled, address=address):
                self._remember(link, node)
                return self._stamped("link-up", node=name(node), dialled=dialled, address=address)
            case LinkDown(link=link, code=code):
                ends = name(self._ends[link]) if link in self._ends else None
                return self._stamped("link-down", node=ends, code=code)
            case PlanLoaded(plan=plan):
                until = format_time(plan.end)
                return self._stamped("plan", contacts=plan.n_contacts, until=until)
            case PayloadArrived(packet=packet, source=source, port=port, payload=payload):
                size = len(payload)
                return self._stamped(
                    "packet-arrived", packet=packet, node=name(source), port=port, bytes=size
                )
            case PayloadLost(packet=packet, port=port, destination=to, code=code, node=node):
                return self._stamped(
                    "packet-lost", packet=packet, port=port, to=name(to), code=code, node=name(node)
                )
            case BlobFailed(cid=cid, code=code):
                return self._stamped("blob-failed", cid=cid, code=code)
            case LetterKept() | LetterSettled() | LetterArrived():
                return self._letter(happening)
            case ElementsHeard(orbit=orbit):
                at = format_time(orbit.at)
                return self._stamped("elements", satellite=orbit.name, count_from=at)
            case ReportJob(job=job, what=what, shard=shard, node=node, code=code):
                who = name(node) if node else None
                return self._stamped(
                    "job", job=job, what=what, shard=shard, node=who, code=code or None
                )

    def _letter(self, happening: LetterKept | LetterSettled | LetterArrived) -> Json:
        match happening:
            case LetterKept(letter=letter):
                return self._stamped("letter-kept", letter=letter)
            case LetterSettled(letter=letter, destination=to, code=code):
                return self._stamped(
                    "letter-settled", letter=letter, to=self._names.name_of(to), code=code
                )
            case LetterArrived(number=number, port=port):
                return self._stamped("letter-arrived", number=number, port=port)
