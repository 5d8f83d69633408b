"""Real daemons in this process, each on loopback TCP with a home of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from meshd.config import Config
from meshd.daemon import Daemon, Shared
from meshd.daemon.fleet import Fleet, open_fleet
from meshd.seam import StandingWanted


@dataclass
class Yard:
    """Where daemons are started, ended and joined."""

    fleet: Fleet

    @property
    def folder(self) -> Path:
        return self.fleet.folder

    @property
    def shared(self) -> Shared:
        return self.fleet.shared

    async def up(self, name: str, config: Config | None = None) -> Daemon:
        """A daemon of this name; a name met before gets its old home back."""
        return await self.fleet.start(name, config or Config(name=name))

    async def kill(self, name: str) -> None:
        """End it without a goodbye, and wait until its home is free."""
        self.fleet.kill(name)
        with trio.fail_after(10):
            await self.fleet.ended(name)

    def join(self, a: Daemon, b: Daemon) -> None:
        a.driver.post(StandingWanted(b.identity.node_id, b.addresses[0]))


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until it holds; a time-out is a failed claim."""
    with trio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110 - a view has no event to wait for
            await trio.sleep(0.02)


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    shared = Shared.for_config(Config())
    async with trio.open_nursery() as nursery, open_fleet(shared, tmp_path) as fleet:
        await nursery.start(shared.pool.run)
        yield Yard(fleet)
        nursery.cancel_scope.cancel()
