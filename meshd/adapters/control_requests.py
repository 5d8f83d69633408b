"""Requests to the control socket, read with their bounds, and answers and refusals written."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import msgspec
import trio
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from protocols.errors import InputError, MeshError, NotFound

BODY_BYTES_MAX = 8 << 20
"""A job of 10,000 shards is 1 MB of JSON. Blobs are streamed and have their own limit."""

DRAIN_BYTES_MAX = 1 << 30
"""What is read of a refused body, and thrown away."""

QUERY_BYTES_MAX = 4_096

B = TypeVar("B", bound=msgspec.Struct)

_STATUS: dict[str, int] = {
    "body-too-large": 413,
    "blob-too-large": 413,
    "time-out": 504,
    "watchers-full": 503,
    "book-full": 503,
    "store-full": 503,
}


def json_answer(answer: Any, status: int = 200, then: BackgroundTask | None = None) -> Response:
    body = msgspec.json.encode(answer)
    return Response(body, status, media_type="application/json", background=then)


def only(request: Request, *known: str) -> dict[str, str]:
    """The query, which may ask nothing but this."""
    if len(request.url.query) > QUERY_BYTES_MAX:
        raise InputError("bad-request", f"the query is longer than {QUERY_BYTES_MAX} bytes")
    for name in request.query_params:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InputError("bad-request", f"no parameter {name!r} here; there is: {allowed}")
    return dict(request.query_params)


def follows(request: Request) -> bool:
    """Whether what is still to come is asked for as well: `follow=yes`, and nothing else."""
    follow = only(request, "follow").get("follow", "no")
    if follow not in ("yes", "no"):
        raise InputError("bad-request", f"follow={follow} is neither yes nor no")
    return follow == "yes"


def number_of(asked: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(asked.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError("bad-request", f"{name}={asked[name]} is no number")
    return value


async def whole_body(request: Request) -> bytes:
    """The body of a request, up to a bound."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            await drain(request)
            message = f"the request's body is larger than {BODY_BYTES_MAX} bytes"
            raise InputError("body-too-large", message)
    return data


async def body_of(request: Request, kind: type[B]) -> B:
    data = await whole_body(request)
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise InputError("bad-request", f"the request's body cannot be read: {error}") from None


async def drain(request: Request) -> None:
    """Hear the client out: an answer that overtakes its question makes hypercorn write twice."""
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > DRAIN_BYTES_MAX:
            return


def stream(request: Request, rows: AsyncIterator[Any]) -> StreamingResponse:
    """Rows as they come: lines of JSON, or server-sent events for whoever accepts those."""
    if "text/event-stream" in request.headers.get("accept", ""):
        events = (b"data: " + msgspec.json.encode(row) + b"\n\n" async for row in rows)
        return StreamingResponse(events, media_type="text/event-stream")
    lines = (msgspec.json.encode(row) + b"\n" async for row in rows)
    return StreamingResponse(lines, media_type="application/x-ndjson")


async def turn_by_turn(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await trio.lowlevel.checkpoint()


# --- refusals ---------------------------------------------------------------------------------


def _error(status: int, code: str, message: str) -> Response:
    return json_answer({"error": {"code": code, "message": message}}, status)


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, MeshError)
    other = 404 if isinstance(error, NotFound) else 400 if isinstance(error, InputError) else 409
    return _error(_STATUS.get(error.code, other), error.code, error.message)


async def no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    if error.status_code == 405:
        return _error(405, "bad-method", f"{where}: this path takes another method")
    return _error(error.status_code, "unknown-path", f"{where}: no such thing in this API")


async def client_gone(request: Request, error: Exception) -> Response:
    return _error(400, "client-gone", "the client went away before its request was whole")


async def internal(request: Request, error: Exception) -> Response:
    """A fault of ours: the operator gets the traceback, the client a code, the daemon lives."""
    sys.stderr.write(f"meshd: {request.method} {request.url.path} failed [internal]\n")
    traceback.print_exception(error)
    message = "the daemon failed to answer; its log says why. Please report it"
    return _error(500, "internal", message)
