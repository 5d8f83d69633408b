"""Up: one daemon as a process of its own, from its first word to a graceful end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from meshd.adapters.notify import notify
from meshd.config import Config
from meshd.daemon.daemon import Daemon, Shared
from meshd.daemon.demo import first_error
from meshd.kernels import is_warm
from meshd.router.warm import warm

if TYPE_CHECKING:
    from trio_typing import TaskStatus

Started = Callable[[dict[str, Any]], None]
Tell = Callable[[str], None]


def run_daemon(home: Path, config: Config, started: Started, tell: Tell) -> None:
    """Live until SIGINT, SIGTERM or `meshd down`. Raises MeshError when it cannot.

    `started` gets the daemon's identity once its control socket answers; `tell` gets lines for
    people. After the first signal a second one kills.
    """
    if not is_warm():  # a daemon without a sky searches its standing links with them, too
        # Here, since compiling in the loop's process would hold up its timers.
        tell("meshd: compiling the router's kernels, once: up to a minute")
        warm()
    try:
        trio.run(_main, home, config, started, tell)
    except BaseExceptionGroup as group:
        raise first_error(group) from group


async def _main(home: Path, config: Config, started: Started, tell: Tell) -> None:
    shared = Shared.for_config(config)
    daemon = Daemon(home, config, shared)
    for line in daemon.world.warnings(shared.clock.now()) if daemon.world else ():
        tell(f"meshd: warning: {line}")
    async with trio.open_nursery() as nursery:
        await nursery.start(_heed_signals, daemon, tell)
        await nursery.start(shared.pool.run)
        async with trio.open_nursery() as life:
            await life.start(daemon.run)
            started(daemon.console.identity())
            notify("READY=1")
        nursery.cancel_scope.cancel()


async def _heed_signals(
    daemon: Daemon, tell: Tell, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            tell(f"{signal.Signals(number).name}: stopping; once more to kill")
            break
    notify("STOPPING=1")
    daemon.stop()
