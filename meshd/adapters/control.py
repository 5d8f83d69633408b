"""Control: the API of one daemon, as HTTP on a Unix socket that only its user can open."""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast

import msgspec
import trio
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.utils import wrap_app
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from meshd.adapters.api_socket import choose_socket, drop_socket
from meshd.router.wish import PARAMETERS, Wish, wish_of
from protocols.errors import InputError, MeshError, NotFound

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework
    from trio_typing import TaskStatus

BODY_BYTES_MAX = 8 << 20
"""A job of 10,000 shards is 1 MB of JSON. Blobs are streamed and have their own limit."""

DRAIN_BYTES_MAX = 1 << 30
"""What is read of a refused body, and thrown away."""

QUERY_BYTES_MAX = 4_096
BACKLOG = 64
GRACE_S = 0.2

Json: TypeAlias = dict[str, Any]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
B = TypeVar("B", bound=msgspec.Struct)

_STATUS: dict[str, int] = {
    "body-too-large": 413,
    "blob-too-large": 413,
    "time-out": 504,
    "watchers-full": 503,
    "book-full": 503,
    "store-full": 503,
}


class Backend(Protocol):
    """One daemon, as its API needs it. Every answer is JSON; every refusal is a MeshError."""

    def status(self) -> Json: ...
    def identity(self) -> Json: ...
    def peers(self) -> list[Json]: ...
    def nodes(self) -> list[Json]: ...
    async def links(self, node: str | None, start: str | None, duration: str | None) -> Json: ...
    async def route(self, source: str, target: str, wish: Wish) -> Json: ...
    def elements(self) -> Json: ...
    async def renew(self, at: str, documents: dict[str, str]) -> Json: ...
    async def connect(self, address: str) -> Json: ...
    async def disconnect(self, node: str) -> Json: ...
    async def ping(self, node: str, count: int, interval_s: float) -> Json: ...
    async def trace(self, node: str) -> Json: ...
    def jobs(self) -> list[Json]: ...
    def job(self, name: str) -> Json: ...
    def result(self, name: str) -> list[Json]: ...
    async def submit(self, spec: Json, name: str | None) -> Json: ...
    async def cancel(self, name: str) -> Json: ...
    def watch(self, name: str) -> AsyncIterator[Json]: ...
    async def put_blob(self, chunks: AsyncIterator[bytes]) -> Json: ...
    def get_blob(self, cid: str) -> tuple[int, Iterator[bytes]]: ...
    def stop(self) -> None: ...


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Address(msgspec.Struct, forbid_unknown_fields=True):
    address: str


class NewElements(msgspec.Struct, forbid_unknown_fields=True):
    at: str
    documents: dict[str, str]


class Node(msgspec.Struct, forbid_unknown_fields=True):
    node: str


class Ping(msgspec.Struct, forbid_unknown_fields=True):
    node: str
    count: int = 1
    interval_s: float = 1.0


class Job(msgspec.Struct, forbid_unknown_fields=True):
    spec: Json
    id: str | None = None


async def serve_control(
    backend: Backend, home: Path, *, task_status: TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on the home's socket until cancelled; `started` gives its path.

    The home's lock must be held. Raises MeshError "cannot-listen" or "bad-runtime-folder".
    """
    config = Config()
    config.errorlog = config.accesslog = None
    config.include_server_header = False
    config.graceful_timeout = GRACE_S
    app = wrap_app(cast("ASGIFramework", control_app(backend)), 0, "asgi")
    with _listening(home) as (path, listener):
        sockets = Sockets(secure_sockets=[], insecure_sockets=[listener], quic_sockets=[])
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(worker_serve, app, config, sockets=sockets))
            task_status.started(path)


@contextmanager
def _listening(home: Path) -> Iterator[tuple[Path, socket.socket]]:
    path = choose_socket(home)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(str(path))
                path.chmod(0o600)
                listener.listen(BACKLOG)
            except OSError as error:
                message = f"cannot listen on {path}: {error.strerror}"
                raise MeshError("cannot-listen", message) from error
            listener.setblocking(False)
            yield path, listener
    finally:
        drop_socket(home, path)


def control_app(backend: Backend) -> Starlette:
    """The routes of API version 1 over one daemon."""
    api = _Api(backend)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/v1/status", api.get(backend.status)),
        ("GET", "/v1/id", api.get(backend.identity)),
        ("GET", "/v1/peers", api.get(backend.peers)),
        ("GET", "/v1/nodes", api.get(backend.nodes)),
        ("GET", "/v1/links", api.links),
        ("GET", "/v1/route", api.route),
        ("GET", "/v1/elements", api.get(backend.elements)),
        ("POST", "/v1/elements", api.renew),
        ("GET", "/v1/jobs", api.get(backend.jobs)),
        ("POST", "/v1/jobs", api.submit),
        ("GET", "/v1/jobs/{job}", api.get_job(backend.job)),
        ("GET", "/v1/jobs/{job}/result", api.get_job(backend.result)),
        ("GET", "/v1/jobs/{job}/events", api.events),
        ("POST", "/v1/jobs/{job}/cancel", api.cancel),
        ("POST", "/v1/connect", api.connect),
        ("POST", "/v1/disconnect", api.disconnect),
        ("POST", "/v1/ping", api.ping),
        ("POST", "/v1/trace", api.trace),
        ("POST", "/v1/stop", api.stop),
        ("PUT", "/v1/blobs", api.put_blob),
        ("GET", "/v1/blobs/{cid}", api.get_blob),
    ]
    return Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in table],
        exception_handlers={
            MeshError: _refused,
            HTTPException: _no_such_thing,
            ClientDisconnect: _gone,
            Exception: _internal,
        },
    )


class _Api:
    """Requests read, the backend asked, answers written."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get(self, ask: Callable[[], Any]) -> Endpoint:
        async def answer(request: Request) -> Response:
            _only(request)
            return _json(ask())

        return answer

    def get_job(self, ask: Callable[[str], Any]) -> Endpoint:
        async def answer(request: Request) -> Response:
            _only(request)
            return _json(ask(request.path_params["job"]))

        return answer

    async def links(self, request: Request) -> Response:
        asked = _only(request, "node", "from", "for")
        found = await self._backend.links(asked.get("node"), asked.get("from"), asked.get("for"))
        return _json(found)

    async def route(self, request: Request) -> Response:
        asked = _only(request, "from", "to", *PARAMETERS)
        if not (asked.get("from") and asked.get("to")):
            raise InputError("bad-request", "a route is asked for as /v1/route?from=A&to=B")
        return _json(await self._backend.route(asked["from"], asked["to"], wish_of(asked)))

    async def renew(self, request: Request) -> Response:
        body = await _body(request, NewElements)
        return _json(await self._backend.renew(body.at, body.documents), 202)

    async def connect(self, request: Request) -> Response:
        body = await _body(request, Address)
        return _json(await self._backend.connect(body.address))

    async def disconnect(self, request: Request) -> Response:
        body = await _body(request, Node)
        return _json(await self._backend.disconnect(body.node))

    async def ping(self, request: Request) -> Response:
        body = await _body(request, Ping)
        return _json(await self._backend.ping(body.node, body.count, body.interval_s))

    async def trace(self, request: Request) -> Response:
        body = await _body(request, Node)
        return _json(await self._backend.trace(body.node))

    async def submit(self, request: Request) -> Response:
        body = await _body(request, Job)
        return _json(await self._backend.submit(body.spec, body.id), 202)

    async def cancel(self, request: Request) -> Response:
        await _body(request, Nothing)
        return _json(await self._backend.cancel(request.path_params["job"]))

    async def events(self, request: Request) -> Response:
        _only(request)
        name = request.path_params["job"]
        self._backend.job(name)  # an unknown job is refused before the stream begins
        lines = (msgspec.json.encode(change) + b"\n" async for change in self._backend.watch(name))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def put_blob(self, request: Request) -> Response:
        try:
            return _json(await self._backend.put_blob(request.stream()), 201)
        except MeshError:
            await _drain(request)
            raise

    async def get_blob(self, request: Request) -> Response:
        _only(request)
        size, chunks = self._backend.get_blob(request.path_params["cid"])
        headers = {"content-length": str(size)}
        return StreamingResponse(
            _turn_by_turn(chunks), headers=headers, media_type="application/octet-stream"
        )

    async def stop(self, request: Request) -> Response:
        await _body(request, Nothing)
        return _json({"stopping": True}, then=BackgroundTask(self._stop))

    async def _stop(self) -> None:
        self._backend.stop()


def _json(answer: Any, status: int = 200, then: BackgroundTask | None = None) -> Response:
    body = msgspec.json.encode(answer)
    return Response(body, status, media_type="application/json", background=then)


def _only(request: Request, *known: str) -> dict[str, str]:
    """The query, which may ask nothing but this."""
    if len(request.url.query) > QUERY_BYTES_MAX:
        raise InputError("bad-request", f"the query is longer than {QUERY_BYTES_MAX} bytes")
    for name in request.query_params:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InputError("bad-request", f"no parameter {name!r} here; there is: {allowed}")
    return dict(request.query_params)


async def _body(request: Request, kind: type[B]) -> B:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            await _drain(request)
            message = f"the request's body is larger than {BODY_BYTES_MAX} bytes"
            raise InputError("body-too-large", message)
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise InputError("bad-request", f"the request's body cannot be read: {error}") from None


async def _drain(request: Request) -> None:
    """Hear the client out: an answer that overtakes its question makes hypercorn write twice."""
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > DRAIN_BYTES_MAX:
            return


async def _turn_by_turn(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await trio.lowlevel.checkpoint()


# --- refusals ---------------------------------------------------------------------------------


def _error(status: int, code: str, message: str) -> Response:
    return _json({"error": {"code": code, "message": message}}, status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, MeshError)
    other = 404 if isinstance(error, NotFound) else 400 if isinstance(error, InputError) else 409
    return _error(_STATUS.get(error.code, other), error.code, error.message)


async def _no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    if error.status_code == 405:
        return _error(405, "bad-method", f"{where}: this path takes another method")
    return _error(error.status_code, "unknown-path", f"{where}: no such thing in this API")


async def _gone(request: Request, error: Exception) -> Response:
    return _error(400, "client-gone", "the client went away before its request was whole")


async def _internal(request: Request, error: Exception) -> Response:
    """A fault of ours: the operator gets the traceback, the client a code, the daemon lives."""
    sys.stderr.write(f"meshd: {request.method} {request.url.path} failed [internal]\n")
    traceback.print_exception(error)
    message = "the daemon failed to answer; its log says why. Please report it"
    return _error(500, "internal", message)
