"""HTTP: answer on a socket that listens, until cancelled."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, cast

import trio
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.utils import wrap_app
from starlette.applications import Starlette

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework
    from trio_typing import TaskStatus

GRACE_S = 0.2


async def serve_http(
    app: Starlette,
    listener: socket.socket,
    *,
    task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an application quietly: it logs nothing, and does not say what it is."""
    config = Config()
    config.errorlog = config.accesslog = None
    config.include_server_header = False
    config.graceful_timeout = GRACE_S
    wrapped = wrap_app(cast("ASGIFramework", app), 0, "asgi")
    sockets = Sockets(secure_sockets=[], insecure_sockets=[listener], quic_sockets=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(worker_serve, wrapped, config, sockets=sockets))
        task_status.started()
