"""Driver: the trio loop that carries one node. It is the only code that waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol, TypeAlias, get_args

import trio

from meshd.blobs.disk import DISK_EFFECTS, DiskEffect, carry_out
from meshd.node import Node
from meshd.ports import BlobPort, ClockPort, ExecutorPort, LinkPort, StorePort
from meshd.seam import (
    BlobFailed,
    CloseLink,
    Effect,
    ElementsHeard,
    Event,
    FrameReceived,
    LetterArrived,
    LetterKept,
    LetterSettled,
    LinkDown,
    LinkUp,
    Note,
    OpenLink,
    PayloadArrived,
    PayloadLost,
    Persist,
    PlanLoaded,
    ReportJob,
    RunShard,
    SendFrame,
    Started,
    StopShard,
    Woke,
)
from protocols.errors import MeshError
from protocols.record import Orbit
from protocols.types import Instant

if TYPE_CHECKING:
    from trio_typing import TaskStatus

EVENTS_A_TURN = 64
"""After so many events the loop lets others run."""

INBOX_FRAMES_MAX = 4_096
INBOX_BYTES_MAX = 2 << 20
"""Frames that may wait: beyond it no link is read (`Driver.room`), so that its sender, in the end,
has to wait too. What the world reports besides comes at its own slow pace.
"""

WATCHERS_MAX = 64
WATCHED_MAX = 1_024

Told: TypeAlias = (
    ReportJob | Note | PayloadArrived | PayloadLost | LetterKept | LetterSettled | LetterArrived
    | ElementsHeard | BlobFailed
)  # fmt: skip
"""Effects that are for people and programs outside."""

Witnessed: TypeAlias = LinkUp | LinkDown | PlanLoaded
"""Events that they hear of too."""

Happening: TypeAlias = Told | Witnessed
_TOLD, _WITNESSED = get_args(Told), get_args(Witnessed)


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a node needs of the world."""

    clock: ClockPort
    links: LinkPort
    store: StorePort
    blobs: BlobPort
    executor: ExecutorPort
    elements: Callable[[Orbit], None] = lambda orbit: None
    """Who makes the plans, and hears of new elements here."""


class Witness(Protocol):
    """Sees what a node takes and wants, in order: a `meshd.recording.Journal`, or a trace."""

    def begin(self, event: Event, now: Instant) -> None: ...
    def end(self, effects: list[Effect]) -> None: ...


class Driver:
    """Feeds events to a node one at a time and performs what it asks, in order.

    `post` may be called by anything that runs on the same trio loop. Effects behind a `Persist`
    wait for its commit, while other events go on. A `journal` writes down what happens.
    """

    def __init__(self, node: Node, ports: Ports, journal: Witness | None = None) -> None:
        self.node = node
        self.ports = ports
        self.journal = journal
        self.handled = 0
        """Events handled since the start."""
        self.inbox_full = 0
        """How often links had to wait for room."""
        self._inbox: deque[Event] = deque()
        self._inbox_frames = self._inbox_bytes = 0
        self._room = trio.Event()
        self._wakeup = trio.Event()
        self._still = False
        self._watchers: list[Watcher] = []
        self._uncommitted: list[list[Effect]] = []
        self._to_commit = trio.Event()
        self._for_disk: list[DiskEffect] = []
        """What waits for the blobs' disk: no more than fetches and askers may have under way."""
        self._disk_news = trio.Event()

    def post(self, event: Event) -> None:
        """Give the node an event; it is handled soon, in the order of posting."""
        if isinstance(event, FrameReceived):
            self._inbox_frames += 1
            self._inbox_bytes += len(event.frame)
        self._inbox.append(event)
        self._wakeup.set()

    async def room(self) -> None:
        """Return once the inbox has room for a frame; a link asks before it posts one."""
        while self._is_full():
            self.inbox_full += 1
            await self._room.wait()

    def _is_full(self) -> bool:
        return self._inbox_frames >= INBOX_FRAMES_MAX or self._inbox_bytes >= INBOX_BYTES_MAX

    @contextmanager
    def watch(self, wanted: Callable[[Happening], bool]) -> Iterator[Watcher]:
        """Everything of interest that happens from now on, bounded: a slow watcher loses some."""
        watcher = Watcher(wanted)
        if len(self._watchers) >= WATCHERS_MAX:
            raise MeshError(
                "watchers-full", f"{WATCHERS_MAX} clients watch already; end one of them"
            )
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)

    async def run(
        self,
        addresses: tuple[str, ...] = (),
        *,
        task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start the node from its store and carry it until cancelled.

        Raises MeshError("store-failed") when a commit fails: what was not acknowledged is then
        unknown, and only a restart from the disk can tell.
        """
        async with trio.open_nursery() as nursery:
            rows = self.ports.store.load()
            self._take(Started(rows, self.ports.blobs.cids(), addresses))
            while self._uncommitted:  # the numbers reserved for this life, before any is used
                await self._commit_waiting()
            nursery.start_soon(self._commit)
            nursery.start_soon(self._use_disk)
            task_status.started()
            while True:
                self._turn()
                await self._rest()

    def stand(self, *, still: bool) -> None:
        """Take no event from now on, as a process that is stopped; or go on with all that came."""
        self._still = still
        self._wakeup.set()

    def _turn(self) -> None:
        """Handle what is due, a bounded number of events at a time."""
        if self._still:
            return
        due = self.node.next_deadline()
        if due is not None and due <= self.ports.clock.now():
            self._take(Woke())  # timers first: a full inbox must not starve them
        for _ in range(EVENTS_A_TURN):
            deadline = self.node.next_deadline() if not self._inbox else None
            if self._inbox:
                self._take(self._next())
            elif deadline is not None and deadline <= self.ports.clock.now():
                self._take(Woke())
            else:
                return

    def _next(self) -> Event:
        event = self._inbox.popleft()
        if isinstance(event, FrameReceived):
            self._inbox_frames -= 1
            self._inbox_bytes -= len(event.frame)
            if not self._is_full():
                self._room.set()
                self._room = trio.Event()
        return event

    async def _rest(self) -> None:
        """Sleep until an event comes or the node's deadline."""
        await trio.lowlevel.checkpoint()
        if self._inbox and not self._still:
            return
        self._wakeup = trio.Event()
        deadline = self.node.next_deadline()
        if deadline is None or self._still:
            await self._wakeup.wait()
            return
        with trio.move_on_after(self.ports.clock.real_seconds_until(deadline)):
            await self._wakeup.wait()

    def _take(self, event: Event) -> None:
        self.handled += 1
        if isinstance(event, _WITNESSED):
            self._tell(event)
        now = self.ports.clock.now()
        if self.journal is not None:
            self.journal.begin(event, now)
        effects = self.node.handle(event, now)
        if self.journal is not None:
            self.journal.end(effects)
        self._perform(effects)

    # --- effects --------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        """Perform effects in order, up to the first Persist; the rest follows its commit."""
        for index, effect in enumerate(effects):
            if isinstance(effect, Persist):
                self._uncommitted.append(effects[index:])
                self._to_commit.set()
                return
            self._carry_out(effect)

    async def _commit(self) -> None:
        """Commit what waits, in the order in which it came, and perform what stands behind it."""
        while True:
            await self._to_commit.wait()
            await self._commit_waiting()

    async def _commit_waiting(self) -> None:
        waiting, self._uncommitted, self._to_commit = self._uncommitted, [], trio.Event()
        rows: list[tuple[str, bytes | None]] = []
        tails: list[list[Effect]] = []
        for effects in waiting:
            kept = list(takewhile(lambda effect: isinstance(effect, Persist), effects))
            rows += [(row.key, row.value) for row in kept if isinstance(row, Persist)]
            tails.append(effects[len(kept) :])
        await self.ports.store.commit(rows)
        for tail in tails:
            self._perform(tail)

    async def _use_disk(self) -> None:
        """Read, write and hash blobs in a thread, as much at a time as has gathered meanwhile."""
        while True:
            await self._disk_news.wait()
            effects, self._for_disk, self._disk_news = self._for_disk, [], trio.Event()
            for event in await trio.to_thread.run_sync(carry_out, effects, self.ports.blobs):
                self.post(event)

    def _carry_out(self, effect: Effect) -> None:
        ports = self.ports
        match effect:
            case SendFrame(link=link, frame=frame, priority=priority):
                ports.links.send(link, frame, priority)
            case OpenLink(node=node, addresses=addresses):
                ports.links.open(node, addresses)
            case CloseLink(link=link, code=code):
                ports.links.close(link, code)
            case RunShard():
                ports.executor.run(effect)
            case StopShard(run=run):
                ports.executor.stop(run)
            case for_disk if isinstance(for_disk, DISK_EFFECTS):
                self._for_disk.append(for_disk)
                self._disk_news.set()
            case ElementsHeard(orbit=orbit):
                ports.elements(orbit)
                self._tell(effect)
            case told if isinstance(told, _TOLD):
                self._tell(told)
            case _:
                raise AssertionError(f"no driver carries out {effect!r}")

    def _tell(self, happening: Happening) -> None:
        for watcher in self._watchers:
            watcher.see(happening)


class Watcher:
    """What one client is shown. Bounded: `missed` counts what it was too slow for."""

    def __init__(self, wanted: Callable[[Happening], bool]) -> None:
        self._wanted = wanted
        self._send, self._receive = trio.open_memory_channel[Happening](WATCHED_MAX)
        self.missed = 0

    def see(self, happening: Happening) -> None:
        if not self._wanted(happening):
            return
        try:
            self._send.send_nowait(happening)
        except trio.WouldBlock:
            self.missed += 1

    async def next(self) -> Happening:
        return await self._receive.receive()
