"""Fleet: many daemons in one trio run, each with a home of its own, started, killed, restarted."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from meshd.config import Config
from meshd.daemon.daemon import Daemon, Shared
from meshd.daemon.plans import World
from meshd.seam import RecordsLoaded
from protocols.types import NodeId

if TYPE_CHECKING:
    from trio_typing import TaskStatus


@dataclass(slots=True)
class _Life:
    """One daemon's scope, and its end."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    over: trio.Event = field(default_factory=trio.Event)


@dataclass(slots=True)
class Fleet:
    """Daemons by name, in homes below one folder. `open_fleet` makes one."""

    shared: Shared
    folder: Path
    nursery: trio.Nursery
    daemons: dict[str, Daemon] = field(default_factory=dict)
    """Those alive."""
    started: int = 0
    _lives: dict[str, _Life] = field(default_factory=dict)

    def home(self, name: str) -> Path:
        return self.folder / name.replace(" ", "-")

    async def start(self, name: str, config: Config, world: World | None = None) -> Daemon:
        """Bring a daemon up, on the home of this name: a name met before gets its own back."""
        daemon = Daemon(self.home(name), config, self.shared, world)
        life = self._lives[name] = _Life()

        async def live(*, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            try:
                with life.scope:
                    await daemon.run(task_status=task_status)
            finally:
                life.over.set()
                if self.daemons.get(name) is daemon:
                    del self.daemons[name]

        await self.nursery.start(live)
        self.started += 1
        self.daemons[name] = daemon
        return daemon

    def kill(self, name: str) -> None:
        """End a daemon without a word to anyone: its sockets just close."""
        del self.daemons[name]
        self._lives[name].scope.cancel()

    async def ended(self, name: str) -> None:
        """Return when nobody holds the home of this name: who was killed has let go of it."""
        if name in self._lives and name not in self.daemons:
            await self._lives[name].over.wait()

    async def restart(self, name: str, daemon: Daemon) -> Daemon:
        """A fresh daemon of the same kind on the home of one that was killed."""
        await self.ended(name)
        return await self.start(name, daemon.config, daemon.world)

    def clear(self) -> None:
        """Remove the homes of daemons that have ended."""
        for name in self._lives:
            shutil.rmtree(self.home(name), ignore_errors=True)
        with suppress(OSError):
            self.folder.rmdir()

    def introduce(self) -> None:
        """Give every daemon the signed presence of every other: a roster, not a first link."""
        roster = tuple(
            record
            for daemon in self.daemons.values()
            for record in daemon.node.gossip.presence(daemon.identity.node_id)
        )
        for daemon in self.daemons.values():
            daemon.driver.post(RecordsLoaded(roster))

    def name_of(self, node: NodeId) -> str:
        """The name of a daemon that lives; else its id."""
        names = (n for n, daemon in self.daemons.items() if daemon.identity.node_id == node)
        return next(names, node)


@asynccontextmanager
async def open_fleet(
    shared: Shared, folder: Path | None = None, keep: bool = False
) -> AsyncIterator[Fleet]:
    """A fleet, empty yet, with homes in this folder or in a new one. At the end its daemons end.

    Their homes go then, unless they are to be kept, and the folder if nothing else is in it.
    """
    fleet: Fleet | None = None
    try:
        async with trio.open_nursery() as nursery:
            homes = folder or Path(tempfile.mkdtemp(prefix="meshd-"))
            fleet = Fleet(shared, homes, nursery)
            yield fleet
            nursery.cancel_scope.cancel()
    finally:
        if fleet is not None and not keep:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(fleet.clear)
