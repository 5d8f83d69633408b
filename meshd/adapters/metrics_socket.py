"""Metrics socket: `/metrics` for Prometheus, which reads over TCP alone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meshd.adapters.control import METRICS_TYPE
from meshd.adapters.http import serve_http
from protocols.errors import InputError, MeshError

if TYPE_CHECKING:
    from trio_typing import TaskStatus

BACKLOG = 16


async def serve_metrics(
    address: str,
    text: Callable[[], bytes],
    *,
    task_status: TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer scrapes at HOST:PORT until cancelled; `started` gives the port.

    Raises InputError "bad-config", MeshError "cannot-listen".
    """

    async def answer(request: Request) -> Response:
        return Response(text(), media_type=METRICS_TYPE)

    app = Starlette(routes=[Route("/metrics", answer)])
    with _listener(address) as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_http, app, listener)
            task_status.started(listener.getsockname()[1])


def _listener(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        message = f"--metrics {address} is no HOST:PORT, such as 127.0.0.1:9469"
        raise InputError("bad-config", message)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        where = (host.strip("[]"), int(port))
        listener = socket.create_server(where, family=family, backlog=BACKLOG)
    except OSError as error:
        message = f"cannot listen on {address} for metrics: {error.strerror or error}"
        raise MeshError("cannot-listen", message) from error
    listener.setblocking(False)
    return listener
