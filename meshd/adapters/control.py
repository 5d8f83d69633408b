"""Control: the API of one daemon, as HTTP on a Unix socket that only its user can open."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import trio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from meshd.adapters.api_socket import choose_socket, drop_socket
from meshd.adapters.bodies import (
    Address,
    Bootstrap,
    Job,
    Kept,
    NewElements,
    Node,
    Nothing,
    Ping,
    Signed,
)
from meshd.adapters.control_requests import (
    body_of,
    client_gone,
    drain,
    follows,
    internal,
    json_answer,
    no_such_thing,
    number_of,
    only,
    refused,
    stream,
    turn_by_turn,
    whole_body,
)
from meshd.adapters.http import serve_http
from meshd.adapters.openapi import document
from meshd.router.wish import PARAMETERS, Wish, wish_of
from protocols.errors import InputError, MeshError
from protocols.letter import INBOX

if TYPE_CHECKING:
    from trio_typing import TaskStatus

BACKLOG = 64
LETTER_LIFETIME_S = 3_600.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Json: TypeAlias = dict[str, Any]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class Backend(Protocol):
    """One daemon, as its API needs it. Every answer is JSON; every refusal is a MeshError."""

    def status(self) -> Json: ...
    def identity(self) -> Json: ...
    def tell(self, follow: bool) -> AsyncIterator[Json]: ...
    def metrics(self) -> bytes: ...
    def peers(self) -> list[Json]: ...
    def nodes(self) -> list[Json]: ...
    async def links(self, node: str | None, start: str | None, duration: str | None) -> Json: ...
    async def route(self, source: str, target: str, wish: Wish) -> Json: ...
    def elements(self) -> Json: ...
    async def renew(self, at: str, documents: dict[str, str]) -> Json: ...
    async def publish(self, at: str, documents: dict[str, str]) -> Json: ...
    async def records(self, records: list[bytes]) -> Json: ...
    def bootstrap(self) -> list[Json]: ...
    async def name_bootstrap(self, address: str, wanted: bool) -> Json: ...
    async def table(self) -> Json: ...
    async def connect(self, address: str) -> Json: ...
    async def disconnect(self, node: str) -> Json: ...
    async def ping(self, node: str, count: int, interval_s: float) -> Json: ...
    async def trace(self, node: str) -> Json: ...
    async def send(
        self, to: str, port: str, stream: str, lifetime_s: float, wait_s: float, body: bytes
    ) -> Json: ...
    async def letter(self, name: str, wait_s: float) -> Json: ...
    def letters(self) -> list[Json]: ...
    async def mail(self, port: str, count: int, wait_s: float) -> list[Json]: ...
    async def take(self, number: int) -> Json: ...
    def jobs(self) -> list[Json]: ...
    def job(self, name: str) -> Json: ...
    def result(self, name: str) -> list[Json]: ...
    async def submit(self, spec: Json, name: str | None) -> Json: ...
    async def cancel(self, name: str) -> Json: ...
    def watch(self, name: str) -> AsyncIterator[Json]: ...
    def logs(self, name: str, *, follow: bool) -> AsyncIterator[Json]: ...
    def blobs(self) -> list[Json]: ...
    async def put_blob(self, chunks: AsyncIterator[bytes]) -> Json: ...
    def get_blob(self, cid: str) -> tuple[int, Iterator[bytes]]: ...
    def fetch_blob(self, cid: str, node: str) -> AsyncIterator[Json]: ...
    async def keep_blob(self, cid: str, kept: bool) -> Json: ...
    def stop(self) -> None: ...


async def serve_control(
    backend: Backend, home: Path, *, task_status: TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on the home's socket until cancelled; `started` gives its path.

    The home's lock must be held. Raises MeshError "cannot-listen" or "bad-runtime-folder".
    """
    with _listening(home) as (path, listener):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_http, control_app(backend), listener)
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
    return Starlette(
        routes=[
            Route(path, endpoint, methods=[method]) for method, path, endpoint in _table(backend)
        ],
        exception_handlers={
            MeshError: refused,
            HTTPException: no_such_thing,
            ClientDisconnect: client_gone,
            Exception: internal,
        },
    )


def _table(backend: Backend) -> list[tuple[str, str, Endpoint]]:
    api = _Api(backend)
    return [
        ("GET", "/v1/status", api.get(backend.status)),
        ("GET", "/v1/id", api.get(backend.identity)),
        ("GET", "/v1/events", api.tell),
        ("GET", "/metrics", api.metrics),
        ("GET", "/v1/openapi.json", api.get(document)),
        ("GET", "/v1/peers", api.get(backend.peers)),
        ("GET", "/v1/nodes", api.get(backend.nodes)),
        ("GET", "/v1/links", api.links),
        ("GET", "/v1/route", api.route),
        ("GET", "/v1/letters", api.get(backend.letters)),
        ("POST", "/v1/letters", api.send),
        ("GET", "/v1/letters/{letter}", api.letter),
        ("GET", "/v1/mail", api.mail),
        ("POST", "/v1/mail/{number:int}/taken", api.take),
        ("GET", "/v1/elements", api.get(backend.elements)),
        ("POST", "/v1/elements", api.renew),
        ("POST", "/v1/records", api.records),
        ("GET", "/v1/bootstrap", api.get(backend.bootstrap)),
        ("POST", "/v1/bootstrap", api.name_bootstrap),
        ("GET", "/v1/table", api.table),
        ("GET", "/v1/jobs", api.get(backend.jobs)),
        ("POST", "/v1/jobs", api.submit),
        ("GET", "/v1/jobs/{job}", api.get_job(backend.job)),
        ("GET", "/v1/jobs/{job}/result", api.get_job(backend.result)),
        ("GET", "/v1/jobs/{job}/events", api.events),
        ("GET", "/v1/jobs/{job}/logs", api.logs),
        ("POST", "/v1/jobs/{job}/cancel", api.cancel),
        ("POST", "/v1/connect", api.connect),
        ("POST", "/v1/disconnect", api.disconnect),
        ("POST", "/v1/ping", api.ping),
        ("POST", "/v1/trace", api.trace),
        ("POST", "/v1/stop", api.stop),
        ("GET", "/v1/blobs", api.get(backend.blobs)),
        ("PUT", "/v1/blobs", api.put_blob),
        ("GET", "/v1/blobs/{cid}", api.get_blob),
        ("POST", "/v1/blobs/{cid}/fetch", api.fetch_blob),
        ("POST", "/v1/blobs/{cid}/keep", api.keep_blob),
    ]


class _Api:
    """Requests read, the backend asked, answers written."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get(self, ask: Callable[[], Any]) -> Endpoint:
        async def answer(request: Request) -> Response:
            only(request)
            return json_answer(ask())

        return answer

    def get_job(self, ask: Callable[[str], Any]) -> Endpoint:
        async def answer(request: Request) -> Response:
            only(request)
            return json_answer(ask(request.path_params["job"]))

        return answer

    async def table(self, request: Request) -> Response:
        only(request)
        return json_answer(await self._backend.table())

    async def tell(self, request: Request) -> Response:
        """NDJSON; or server-sent events, for whoever accepts those."""
        return stream(request, self._backend.tell(follows(request)))

    async def metrics(self, request: Request) -> Response:
        only(request)
        return Response(self._backend.metrics(), media_type=METRICS_TYPE)

    async def links(self, request: Request) -> Response:
        asked = only(request, "node", "from", "for")
        found = await self._backend.links(asked.get("node"), asked.get("from"), asked.get("for"))
        return json_answer(found)

    async def route(self, request: Request) -> Response:
        asked = only(request, "from", "to", *PARAMETERS)
        if not (asked.get("from") and asked.get("to")):
            raise InputError("bad-request", "a route is asked for as /v1/route?from=A&to=B")
        return json_answer(await self._backend.route(asked["from"], asked["to"], wish_of(asked)))

    async def renew(self, request: Request) -> Response:
        body = await body_of(request, NewElements)
        give = self._backend.publish if body.publish else self._backend.renew
        return json_answer(await give(body.at, body.documents), 202)

    async def records(self, request: Request) -> Response:
        body = await body_of(request, Signed)
        return json_answer(await self._backend.records(body.records), 202)

    async def name_bootstrap(self, request: Request) -> Response:
        body = await body_of(request, Bootstrap)
        return json_answer(await self._backend.name_bootstrap(body.address, body.wanted))

    async def connect(self, request: Request) -> Response:
        body = await body_of(request, Address)
        return json_answer(await self._backend.connect(body.address))

    async def disconnect(self, request: Request) -> Response:
        body = await body_of(request, Node)
        return json_answer(await self._backend.disconnect(body.node))

    async def ping(self, request: Request) -> Response:
        body = await body_of(request, Ping)
        return json_answer(await self._backend.ping(body.node, body.count, body.interval_s))

    async def trace(self, request: Request) -> Response:
        body = await body_of(request, Node)
        return json_answer(await self._backend.trace(body.node))

    async def send(self, request: Request) -> Response:
        """The request's body is the letter's."""
        asked = only(request, "to", "port", "stream", "lifetime_s", "wait_s")
        body = await whole_body(request)
        if not asked.get("to"):
            raise InputError("bad-request", "a letter is sent as POST /v1/letters?to=NODE")
        answer = await self._backend.send(
            asked["to"],
            asked.get("port", INBOX),
            asked.get("stream", ""),
            number_of(asked, "lifetime_s", LETTER_LIFETIME_S),
            number_of(asked, "wait_s", 0.0),
            body,
        )
        return json_answer(answer, 202)

    async def letter(self, request: Request) -> Response:
        asked, name = only(request, "wait_s"), request.path_params["letter"]
        return json_answer(await self._backend.letter(name, number_of(asked, "wait_s", 0.0)))

    async def mail(self, request: Request) -> Response:
        asked = only(request, "port", "count", "wait_s")
        count, wait_s = number_of(asked, "count", 1.0), number_of(asked, "wait_s", 0.0)
        port = asked.get("port", INBOX)
        return json_answer(await self._backend.mail(port, int(count), wait_s))

    async def take(self, request: Request) -> Response:
        await body_of(request, Nothing)
        return json_answer(await self._backend.take(request.path_params["number"]))

    async def submit(self, request: Request) -> Response:
        body = await body_of(request, Job)
        return json_answer(await self._backend.submit(body.spec, body.id), 202)

    async def cancel(self, request: Request) -> Response:
        await body_of(request, Nothing)
        return json_answer(await self._backend.cancel(request.path_params["job"]))

    async def events(self, request: Request) -> Response:
        only(request)
        name = request.path_params["job"]
        self._backend.job(name)  # an unknown job is refused before the stream begins
        return stream(request, self._backend.watch(name))

    async def logs(self, request: Request) -> Response:
        follow, name = follows(request), request.path_params["job"]
        self._backend.job(name)
        return stream(request, self._backend.logs(name, follow=follow))

    async def put_blob(self, request: Request) -> Response:
        try:
            return json_answer(await self._backend.put_blob(request.stream()), 201)
        except MeshError:
            await drain(request)
            raise

    async def get_blob(self, request: Request) -> Response:
        only(request)
        size, chunks = self._backend.get_blob(request.path_params["cid"])
        headers = {"content-length": str(size)}
        return StreamingResponse(
            turn_by_turn(chunks), headers=headers, media_type="application/octet-stream"
        )

    async def fetch_blob(self, request: Request) -> Response:
        """NDJSON: how far it is, until it is there or has failed; wanted while somebody listens."""
        body = await body_of(request, Node)
        rows = self._backend.fetch_blob(request.path_params["cid"], body.node)
        return stream(request, rows)

    async def keep_blob(self, request: Request) -> Response:
        body = await body_of(request, Kept)
        return json_answer(await self._backend.keep_blob(request.path_params["cid"], body.kept))

    async def stop(self, request: Request) -> Response:
        await body_of(request, Nothing)
        return json_answer({"stopping": True}, then=BackgroundTask(self._stop))

    async def _stop(self) -> None:
        self._backend.stop()
