"""The control API described as OpenAPI 3.1, made from the types that it reads and answers with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeAlias

import msgspec

from meshd.adapters import answers, bodies
from meshd.router.wish import PARAMETERS

Json: TypeAlias = dict[str, Any]

NDJSON = "application/x-ndjson"
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked. Query parameters are by name; a `!` says it must be given."""

    method: str
    path: str
    summary: str
    answer: Any
    query: tuple[str, ...] = ()
    body: type[msgspec.Struct] | str | None = None
    """A type of JSON, or the media type of raw bytes."""
    status: int = 200
    media: str = "application/json"

    @property
    def name(self) -> str:
        """Of the operation, for who generates a client."""
        words = [word for word in re.split(r"[^a-z]+", self.path) if word not in ("", "v", "int")]
        return "_".join([self.method.lower(), *words])


OPERATIONS = (
    Operation("GET", "/v1/status", "How this daemon is doing", answers.Status),
    Operation("GET", "/v1/id", "Who this daemon is", answers.Identity),
    Operation(
        "GET", "/v1/events", "What happened here; with follow=yes also what comes",
        answers.Anything, ("follow",), media=NDJSON,
    ),
    Operation("GET", "/metrics", "For Prometheus", str, media="text/plain"),
    Operation("GET", "/v1/openapi.json", "This description", answers.Anything),
    Operation("GET", "/v1/peers", "The links that are up", list[answers.Peer]),
    Operation("GET", "/v1/nodes", "The nodes heard of", list[answers.KnownNode]),
    Operation(
        "GET", "/v1/links", "The predicted contacts of a site", answers.Links,
        ("node", "from", "for"),
    ),
    Operation(
        "GET", "/v1/route", "The way between two sites, or every change of it over a while",
        answers.Anything, ("from!", "to!", *PARAMETERS),
    ),
    Operation("GET", "/v1/table", "Next hops to every node, now", answers.Table),
    Operation("GET", "/v1/elements", "The orbital elements in use", answers.Anything),
    Operation(
        "POST", "/v1/elements", "New elements of satellites", answers.Anything,
        body=bodies.NewElements, status=202,
    ),
    Operation(
        "POST", "/v1/records", "Statements that an operator signed, for all", answers.Anything,
        body=bodies.Signed,
    ),
    Operation("GET", "/v1/bootstrap", "Whom this daemon dials at each start", answers.Anything),
    Operation(
        "POST", "/v1/bootstrap", "Dial a daemon at each start, or no longer", answers.Anything,
        body=bodies.Bootstrap,
    ),
    Operation(
        "POST", "/v1/connect", "Link with a daemon, until told otherwise", answers.Linked,
        body=bodies.Address,
    ),
    Operation(
        "POST", "/v1/disconnect", "Give up a standing link", answers.Unlinked, body=bodies.Node
    ),
    Operation("POST", "/v1/ping", "Round trips to a node", answers.Pings, body=bodies.Ping),
    Operation("POST", "/v1/trace", "A round trip hop by hop", answers.Trace, body=bodies.Node),
    Operation("GET", "/v1/letters", "Letters on their way from here", list[answers.SentLetter]),
    Operation(
        "POST", "/v1/letters", "Send a letter; the body is the letter's", answers.SentLetter,
        ("to!", "port", "stream", "lifetime_s", "wait_s"), OCTETS, 202,
    ),
    Operation(
        "GET", "/v1/letters/{letter}", "Where a letter is, after waiting for its receipt",
        answers.SentLetter, ("wait_s",),
    ),
    Operation(
        "GET", "/v1/mail", "Letters that came and were not taken", list[answers.Mail],
        ("port", "count", "wait_s"),
    ),
    Operation(
        "POST", "/v1/mail/{number:int}/taken", "Let the mailbox forget a letter", answers.Taken,
        body=bodies.Nothing,
    ),
    Operation("GET", "/v1/jobs", "Jobs that were accepted here", list[answers.Job]),
    Operation(
        "POST", "/v1/jobs", "Submit a job; its blobs must be here", answers.Anything,
        body=bodies.Job, status=202,
    ),
    Operation("GET", "/v1/jobs/{job}", "A job with its shards", answers.WholeJob),
    Operation("GET", "/v1/jobs/{job}/result", "The outputs, as blobs", list[answers.Output]),
    Operation(
        "GET", "/v1/jobs/{job}/events", "A job's progress, to its end", answers.Anything,
        media=NDJSON,
    ),
    Operation(
        "GET", "/v1/jobs/{job}/logs", "What its shards said on standard error", answers.Anything,
        ("follow",), media=NDJSON,
    ),
    Operation(
        "POST", "/v1/jobs/{job}/cancel", "End a job", answers.Anything, body=bodies.Nothing
    ),
    Operation("GET", "/v1/blobs", "The blobs here", list[answers.Blob]),
    Operation(
        "PUT", "/v1/blobs", "Keep the request's body as a blob", answers.Anything, body=OCTETS,
        status=201,
    ),
    Operation("GET", "/v1/blobs/{cid}", "The bytes of a blob", bytes, media=OCTETS),
    Operation(
        "POST", "/v1/blobs/{cid}/fetch", "Fetch a blob from a node, with its progress",
        answers.Anything, body=bodies.Node, media=NDJSON,
    ),
    Operation(
        "POST", "/v1/blobs/{cid}/keep", "Keep a blob, or let it be a cache", answers.Anything,
        body=bodies.Kept,
    ),
    Operation("POST", "/v1/stop", "End this daemon", answers.Stopping, body=bodies.Nothing),
)  # fmt: skip


def document() -> Json:
    """The description, as JSON."""
    schemas, components = msgspec.json.schema_components(
        list(_types()), ref_template="#/components/schemas/{name}"
    )
    named = {repr(kind): schema for kind, schema in zip(_types(), schemas, strict=True)}
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        path = operation.path.replace(":int", "")
        paths.setdefault(path, {})[operation.method.lower()] = _described(operation, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "meshd control API",
            "version": version("meshd"),
            "description": "HTTP on the Unix socket in a daemon's home (api.sock). Whoever can "
            "open the socket may do everything.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _types() -> Iterator[Any]:
    yield answers.Refusal
    for operation in OPERATIONS:
        yield operation.answer
        if isinstance(operation.body, type):
            yield operation.body


def _described(operation: Operation, schemas: dict[str, Json]) -> Json:
    told: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": {
            str(operation.status): {
                "description": operation.summary,
                "content": {operation.media: {"schema": schemas[repr(operation.answer)]}},
            },
            "default": {
                "description": "Refused, with a code",
                "content": {"application/json": {"schema": schemas[repr(answers.Refusal)]}},
            },
        },
    }
    if isinstance(operation.body, str):
        told["requestBody"] = {"content": {operation.body: {}}, "required": True}
    elif operation.body is not None:
        content = {"application/json": {"schema": schemas[repr(operation.body)]}}
        told["requestBody"] = {"content": content}
    return told


def _parameters(operation: Operation) -> Iterator[Json]:
    for name, kind in re.findall(r"{(\w+)(:int)?}", operation.path):
        schema = {"type": "integer" if kind else "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name in operation.query:
        yield {
            "name": name.rstrip("!"),
            "in": "query",
            "required": name.endswith("!"),
            "schema": {"type": "string"},
        }
