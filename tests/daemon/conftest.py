"""Real daemons in this process, each on loopback TCP with a home of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from meshd.config import Config
from meshd.daemon import Daemon, Shared
from meshd.seam import StandingWanted


@dataclass
class Yard:
    """Where daemons are started, ended and joined."""

    nursery: trio.Nursery
    folder: Path
    shared: Shared
    scopes: dict[str, trio.CancelScope] = field(default_factory=dict)
    ended: dict[str, trio.Event] = field(default_factory=dict)

    async def up(self, name: str, config: Config | None = None) -> Daemon:
        """A daemon of this name; a name met before gets its old home back."""
        daemon = Daemon(self.folder / name, config or Config(name=name), self.shared)
        scope = self.scopes[name] = trio.CancelScope()
        done = self.ended[name] = trio.Event()

        async def live(task_status: trio.TaskStatus[None]) -> None:
            try:
                with scope:
                    await daemon.run(task_status=task_status)
            finally:
                done.set()

        await self.nursery.start(live)
        return daemon

    async def kill(self, name: str) -> None:
        """End it without a goodbye, and wait until its home is free."""
        self.scopes[name].cancel()
        with trio.fail_after(10):
            await self.ended[name].wait()

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
    async with trio.open_nursery() as nursery:
        await nursery.start(shared.pool.run)
        yield Yard(nursery, tmp_path, shared)
        nursery.cancel_scope.cancel()
