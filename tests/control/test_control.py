"""The control socket: its file, its refusals, and that no request harms the daemon."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from meshd.adapters import api_socket, control_requests
from meshd.adapters.api_socket import PATH_BYTES_MAX, choose_socket, find_socket
from meshd.adapters.control import serve_control
from meshd.router.wish import Wish
from protocols.errors import InputError, MeshError, NotFound

Json = dict[str, Any]


class FakeBackend:
    """Answers with what it was asked; fails as told."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.stopped = 0
        self.stored = b""

    def _answer(self, **asked: Any) -> Json:
        if self.failure is not None:
            raise self.failure
        return asked

    def status(self) -> Json:
        return self._answer(what="status")

    def identity(self) -> Json:
        return self._answer(what="id")

    def peers(self) -> list[Json]:
        return [self._answer(what="peer")]

    def nodes(self) -> list[Json]:
        return [self._answer(what="node")]

    async def links(self, node: str | None, start: str | None, duration: str | None) -> Json:
        return self._answer(node=node, start=start, duration=duration)

    async def route(self, source: str, target: str, wish: Wish) -> Json:
        return self._answer(source=source, target=target, at=wish.at, k=wish.k)

    def elements(self) -> Json:
        return self._answer(what="elements")

    async def renew(self, at: str, documents: dict[str, str]) -> Json:
        return self._answer(at=at, documents=documents)

    async def publish(self, at: str, documents: dict[str, str]) -> Json:
        return self._answer(at=at, documents=documents, publish=True)

    async def records(self, records: list[bytes]) -> Json:
        return self._answer(records=len(records))

    def bootstrap(self) -> list[Json]:
        return [self._answer(what="bootstrap")]

    async def name_bootstrap(self, address: str, wanted: bool) -> Json:
        return self._answer(address=address, wanted=wanted)

    async def table(self) -> Json:
        return self._answer(what="table")

    async def connect(self, address: str) -> Json:
        return self._answer(address=address)

    async def disconnect(self, node: str) -> Json:
        return self._answer(node=node)

    async def ping(self, node: str, count: int, interval_s: float) -> Json:
        return self._answer(node=node, count=count, interval_s=interval_s)

    async def trace(self, node: str) -> Json:
        return self._answer(node=node)

    async def send(
        self, to: str, port: str, stream: str, lifetime_s: float, wait_s: float, body: bytes
    ) -> Json:
        return self._answer(
            to=to, port=port, stream=stream, lifetime_s=lifetime_s, wait_s=wait_s, bytes=len(body)
        )

    async def letter(self, name: str, wait_s: float) -> Json:
        return self._answer(letter=name, wait_s=wait_s)

    def letters(self) -> list[Json]:
        return [self._answer(what="letter")]

    async def mail(self, port: str, count: int, wait_s: float) -> list[Json]:
        return [self._answer(port=port, count=count, wait_s=wait_s)]

    async def take(self, number: int) -> Json:
        return self._answer(number=number)

    def jobs(self) -> list[Json]:
        return [self._answer(what="job")]

    def job(self, name: str) -> Json:
        return self._answer(job=name)

    def result(self, name: str) -> list[Json]:
        return [self._answer(job=name)]

    async def submit(self, spec: Json, name: str | None) -> Json:
        return self._answer(spec=spec, id=name)

    async def cancel(self, name: str) -> Json:
        return self._answer(job=name)

    async def watch(self, name: str) -> AsyncIterator[Json]:
        for number in range(3):
            await trio.lowlevel.checkpoint()
            yield {"job": name, "number": number}

    def blobs(self) -> list[Json]:
        return [self._answer(what="blob")]

    async def put_blob(self, chunks: AsyncIterator[bytes]) -> Json:
        async for chunk in chunks:
            self.stored += chunk
            self._answer()
        return {"bytes": len(self.stored)}

    def get_blob(self, cid: str) -> tuple[int, Iterator[bytes]]:
        self._answer()
        return len(self.stored), iter([self.stored[:10], self.stored[10:]])

    async def fetch_blob(self, cid: str, node: str) -> AsyncIterator[Json]:
        for event in ("progress", "stored"):
            await trio.lowlevel.checkpoint()
            yield {"cid": cid, "from": node, "event": event}

    async def keep_blob(self, cid: str, kept: bool) -> Json:
        return self._answer(cid=cid, kept=kept)

    def stop(self) -> None:
        self.stopped += 1


@asynccontextmanager
async def serving(home: Path, backend: FakeBackend) -> AsyncIterator[httpx.AsyncClient]:
    async with trio.open_nursery() as nursery:
        path = await nursery.start(serve_control, backend, home)
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://meshd") as client:
            yield client
        nursery.cancel_scope.cancel()


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_socket_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        mode = (tmp_path / "api.sock").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert (await client.get("/v1/status")).json() == {"what": "status"}
    assert not await trio.Path(tmp_path / "api.sock").exists()


async def test_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("left behind")
    async with serving(tmp_path, FakeBackend()) as client:
        assert (await client.get("/v1/id")).status_code == 200


async def test_home_too_long_for_a_socket_points_to_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = tmp_path / ("long-" * 30)
    home.mkdir()
    assert len(str(home / "api.sock")) > PATH_BYTES_MAX
    async with serving(home, FakeBackend()) as client:
        path = find_socket(home)
        assert len(str(path)) <= PATH_BYTES_MAX
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (await client.get("/v1/id")).json() == {"what": "id"}
    assert not path.exists()
    assert find_socket(home) == home / "api.sock"


def test_runtime_folder_of_someone_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    (runtime / "meshd").mkdir(parents=True)
    (runtime / "meshd").chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(api_socket, "PATH_BYTES_MAX", len(str(runtime)) + 33)
    home = tmp_path / ("long-" * 30)
    home.mkdir()
    with pytest.raises(MeshError) as caught:
        choose_socket(home)
    assert caught.value.code == "bad-runtime-folder"


async def test_questions_reach_the_backend(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:

        async def get(path: str, **query: str) -> Any:
            return (await client.get(f"/v1/{path}", params=query)).json()

        assert await get("links", **{"from": "+1m", "for": "2h"}) == {
            "node": None,
            "start": "+1m",
            "duration": "2h",
        }
        asked = await get("route", **{"from": "New York", "to": "São Paulo", "k": "2"})
        assert asked == {"source": "New York", "target": "São Paulo", "at": None, "k": 2}
        assert await get("elements") == {"what": "elements"}
        files = {"at": "2026-01-01T00:10:00Z", "documents": {"a.tle": "1 ..."}}
        assert (await client.post("/v1/elements", json=files)).json() == files
        published = await client.post("/v1/elements", json={**files, "publish": True})
        assert published.json() == {**files, "publish": True}
        signed = await client.post("/v1/records", json={"records": ["AAE=", "Ag=="]})
        assert (signed.status_code, signed.json()) == (202, {"records": 2})
        assert (
            refusal(await client.post("/v1/records", json={"records": ["?"]}))[1] == "bad-request"
        )
        assert await get("bootstrap") == [{"what": "bootstrap"}]
        named = await client.post("/v1/bootstrap", json={"address": "/x", "wanted": False})
        assert named.json() == {"address": "/x", "wanted": False}
        assert await get("jobs/abc") == {"job": "abc"}
        assert await get("jobs/abc/result") == [{"job": "abc"}]
        pinged = await client.post("/v1/ping", json={"node": "bob", "count": 2})
        assert pinged.json() == {"node": "bob", "count": 2, "interval_s": 1.0}
        submitted = await client.post("/v1/jobs", json={"spec": {"a": 1}, "id": "x"})
        assert submitted.json() == {"spec": {"a": 1}, "id": "x"}
        assert submitted.status_code == 202
        assert await get("letters") == [{"what": "letter"}]
        assert await get("letters/x", wait_s="2") == {"letter": "x", "wait_s": 2.0}
        assert await get("mail", port="p", count="3") == [{"port": "p", "count": 3, "wait_s": 0.0}]
        assert (await client.post("/v1/mail/7/taken")).json() == {"number": 7}
        letter = await client.post("/v1/letters", params={"to": "bob"}, content=b"\0\xff")
        assert letter.status_code == 202
        assert letter.json() == {
            "to": "bob", "port": "inbox", "stream": "", "lifetime_s": 3600.0, "wait_s": 0.0,
            "bytes": 2,
        }  # fmt: skip


async def test_letters_that_cannot_be_read_as_requests(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        assert refusal(await client.post("/v1/letters", content=b"x")) == (400, "bad-request")
        for query in ("wait_s=soon", "wait_s=nan", "wait_s=inf", "urgent=1"):
            assert refusal(await client.get(f"/v1/mail?{query}")) == (400, "bad-request")
        assert refusal(await client.post("/v1/mail/first/taken")) == (404, "unknown-path")


async def test_events_are_one_object_a_line(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        response = await client.get("/v1/jobs/abc/events")
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.text.count("\n") == 3
        assert response.text.startswith('{"job":"abc","number":0}\n')


async def test_a_fetch_is_a_stream_of_rows(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        answer = await client.post("/v1/blobs/c/fetch", json={"node": "n"})
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert [(row["cid"], row["from"]) for row in rows] == [("c", "n")] * 2
        assert [row["event"] for row in rows] == ["progress", "stored"]
        kept = (await client.post("/v1/blobs/c/keep", json={"kept": True})).json()
        assert (kept["cid"], kept["kept"]) == ("c", True)
        assert refusal(await client.post("/v1/blobs/c/fetch", json={})) == (400, "bad-request")


async def test_blobs_are_streamed_both_ways(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        data = bytes(range(256)) * 4_000
        assert (await client.put("/v1/blobs", content=data)).json() == {"bytes": len(data)}
        assert (await client.get("/v1/blobs/any")).content == data


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v1/nope", b"", (404, "unknown-path")),
        ("GET", "/", b"", (404, "unknown-path")),
        ("POST", "/v1/status", b"", (405, "bad-method")),
        ("POST", "/v1/ping", b"{bad", (400, "bad-request")),
        ("POST", "/v1/ping", b"", (400, "bad-request")),
        ("POST", "/v1/ping", b"[1]", (400, "bad-request")),
        ("POST", "/v1/ping", b'{"node": 3}', (400, "bad-request")),
        ("POST", "/v1/ping", b'{"node": "a", "more": 1}', (400, "bad-request")),
        ("POST", "/v1/stop", b'{"now": true}', (400, "bad-request")),
        ("GET", "/v1/peers?a=b", b"", (400, "bad-request")),
        ("GET", "/v1/route?from=a", b"", (400, "bad-request")),
        ("GET", "/v1/route?from=a&to=b&k=many", b"", (400, "bad-request")),
        ("GET", "/v1/route?from=a&to=b&step=1s", b"", (400, "usage")),
        ("GET", "/v1/links?node=" + "a" * 5_000, b"", (400, "bad-request")),
    ],
)
async def test_bad_requests_are_refused_with_a_code(
    tmp_path: Path, method: str, path: str, body: bytes, expected: tuple[int, str]
) -> None:
    backend = FakeBackend()
    async with serving(tmp_path, backend) as client:
        assert refusal(await client.request(method, path, content=body)) == expected
    assert backend.stopped == 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotFound("unknown-node", "no such node"), 404),
        (InputError("bad-time", "not a time"), 400),
        (MeshError("not-finished", "later"), 409),
        (MeshError("time-out", "too late"), 504),
        (MeshError("watchers-full", "too many"), 503),
    ],
)
async def test_refusals_keep_their_code(tmp_path: Path, failure: MeshError, status: int) -> None:
    backend = FakeBackend()
    backend.failure = failure
    async with serving(tmp_path, backend) as client:
        response = await client.get("/v1/status")
        assert refusal(response) == (status, failure.code)
        assert response.json()["error"]["message"] == failure.message
        # A refused stream is refused before it begins.
        assert refusal(await client.get("/v1/jobs/abc/events")) == (status, failure.code)
        put = await client.put("/v1/blobs", content=b"x" * 1_000_000)
        assert refusal(put) == (status, failure.code)


async def test_body_too_large_is_refused_and_nothing_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(control_requests, "BODY_BYTES_MAX", 100_000)
    async with serving(tmp_path, FakeBackend()) as client:
        response = await client.post("/v1/ping", content=b" " * 3_000_000)
        assert refusal(response) == (413, "body-too-large")
        assert (await client.get("/v1/status")).status_code == 200
    assert capsys.readouterr().err == ""


async def test_a_fault_of_ours_shows_no_traceback_and_kills_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = FakeBackend()
    backend.failure = ZeroDivisionError("a secret place in the code")
    async with serving(tmp_path, backend) as client:
        response = await client.get("/v1/status")
        assert refusal(response) == (500, "internal")
        assert "secret" not in response.text
        backend.failure = None
        assert (await client.get("/v1/status")).json() == {"what": "status"}
    assert "ZeroDivisionError: a secret place" in capsys.readouterr().err


async def test_stop_answers_first(tmp_path: Path) -> None:
    backend = FakeBackend()
    async with serving(tmp_path, backend) as client:
        assert (await client.post("/v1/stop")).json() == {"stopping": True}
        with trio.fail_after(2):
            while not backend.stopped:  # noqa: ASYNC110 - a fake signals no one
                await trio.sleep(0.01)


async def test_garbage_and_vanishing_clients_harm_no_one(tmp_path: Path) -> None:
    async with serving(tmp_path, FakeBackend()) as client:
        for request in (b"\0\xff not http\r\n\r\n", b"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\n", b""):
            stream = await trio.open_unix_socket(str(tmp_path / "api.sock"))
            if request:
                await stream.send_all(request)
            await stream.aclose()
        half = await trio.open_unix_socket(str(tmp_path / "api.sock"))
        await half.send_all(
            b'POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"node"'
        )
        await half.aclose()
        assert (await client.get("/v1/status")).status_code == 200
