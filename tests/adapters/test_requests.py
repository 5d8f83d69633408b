"""Requests of clients: answered, refused with a code, bounded, and never waited for too long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from meshd.adapters.links_stream import StreamLost
from meshd.adapters.requests import Caller as Asking
from meshd.adapters.requests import RequestLimits, Requests
from protocols import BLOB_STREAM, JOB_STREAM
from protocols.blob import Chunk
from protocols.bounds import CHUNK_BYTES_MAX
from protocols.cid import cid_of
from protocols.client import (
    BLOB_PROTOCOL,
    JOB_PROTOCOL,
    Failure,
    Get,
    JobRequest,
    Kept,
    State,
    Status,
)
from protocols.errors import MeshError
from protocols.frame import FRAME_BYTES_MAX, FrameDecoder, encode_frame
from protocols.types import Cid, JobId, NodeId

ME, OTHER = NodeId("me"), NodeId("other")
DATA = bytes(range(256)) * 500  # three chunks, the last a short one
NAME = cid_of(DATA)
RUNNING = State(JobId("j"), "", "running", "", "", 1, 0, ME)


@dataclass
class Library:
    """A service of one job and a few blobs. It fails as told."""

    blobs: dict[Cid, bytes] = field(default_factory=lambda: {NAME: DATA})
    failure: Exception | None = None
    hold: trio.Event | None = None

    async def job(self, request: JobRequest, caller: Asking) -> State:
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        return RUNNING

    def get(self, request: Get) -> Iterator[Chunk]:
        data = self.blobs[request.cid]
        end = min(len(data), request.offset + request.length)
        for at in range(request.offset, end, CHUNK_BYTES_MAX):
            piece = data[at : min(end, at + CHUNK_BYTES_MAX)]
            yield Chunk(request.cid, at, len(data), piece)

    async def put(self, cid: Cid, size: int, data: AsyncIterator[bytes], caller: Asking) -> Kept:
        if self.failure is not None:
            raise self.failure
        self.blobs[cid] = b"".join([piece async for piece in data])
        return Kept(cid, size)


class Pipe:
    """A trio stream as a `ByteStream`."""

    def __init__(self, stream: trio.StapledStream[Any, Any]) -> None:
        self.stream = stream

    async def read(self, count: int) -> bytes:
        try:
            return bytes(await self.stream.receive_some(count))
        except trio.BrokenResourceError as error:
            raise StreamLost from error

    async def write(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def finish(self) -> None:
        await self.stream.send_eof()


@dataclass
class Caller:
    """A client's end of one stream."""

    protocol: str
    stream: trio.StapledStream[Any, Any]
    ended: trio.Event

    async def send(self, *messages: Any) -> None:
        codec: Any = JOB_STREAM if self.protocol == JOB_PROTOCOL else BLOB_STREAM
        for message in messages:
            await self.stream.send_all(encode_frame(codec.encode(message)))

    async def answer(self) -> list[Any]:
        """All that the daemon says, until it ends its side."""
        codec: Any = JOB_STREAM if self.protocol == JOB_PROTOCOL else BLOB_STREAM
        decoder, frames = FrameDecoder(), []
        while data := await self.stream.receive_some(70_000):
            frames += decoder.feed(data)
        decoder.close()
        return [codec.decode(frame) for frame in frames]


def call(
    nursery: trio.Nursery, requests: Requests, protocol: str, peer: NodeId = ME, pair: Any = None
) -> Caller:
    theirs, ours = pair or memory_stream_pair()
    ended = trio.Event()

    async def serve() -> None:
        await requests.answer(protocol, peer, Pipe(ours))
        ended.set()

    nursery.start_soon(serve)
    return Caller(protocol, theirs, ended)


def chunks(data: bytes, cid: Cid | None = None) -> list[Chunk]:
    name = cid or cid_of(data)
    starts = range(0, max(1, len(data)), CHUNK_BYTES_MAX)
    return [Chunk(name, at, len(data), data[at : at + CHUNK_BYTES_MAX]) for at in starts]


async def asked(service: Library, protocol: str, *messages: Any, raw: bytes = b"") -> list[Any]:
    """What comes of one request by a client that then ends its side."""
    async with trio.open_nursery() as nursery:
        caller = call(nursery, Requests(service), protocol)
        await caller.send(*messages)
        if raw:
            await caller.stream.send_all(raw)
        await caller.stream.send_eof()
        return await caller.answer()


async def test_every_request_is_answered_on_its_stream() -> None:
    library = Library()
    assert await asked(library, JOB_PROTOCOL, Status(JobId("j"))) == [RUNNING]
    assert await asked(library, BLOB_PROTOCOL, Get(NAME, 0, 1 << 30)) == chunks(DATA)
    middle = await asked(library, BLOB_PROTOCOL, Get(NAME, 100, 7))
    assert middle == [Chunk(NAME, 100, len(DATA), DATA[100:107])]
    for data in (b"", b"x", DATA[:CHUNK_BYTES_MAX], DATA[: 2 * CHUNK_BYTES_MAX + 1]):
        assert await asked(library, BLOB_PROTOCOL, *chunks(data)) == [Kept(cid_of(data), len(data))]
        assert library.blobs[cid_of(data)] == data


FIRST, SECOND, THIRD = chunks(DATA)


def framed(message: Any) -> bytes:
    return encode_frame(msgspec.msgpack.encode(message))


@pytest.mark.parametrize(
    ("protocol", "raw", "code"),
    [
        (JOB_PROTOCOL, b"", "frame-truncated"),
        (JOB_PROTOCOL, bytes(4), "frame-empty"),
        (JOB_PROTOCOL, (FRAME_BYTES_MAX + 1).to_bytes(4, "big"), "frame-too-long"),
        (JOB_PROTOCOL, framed(Status(JobId("j")))[:-1], "frame-truncated"),
        (JOB_PROTOCOL, encode_frame(b"\xc1"), "bad-message"),
        (JOB_PROTOCOL, framed(Get(NAME, 0, 1)), "unknown-message"),
        (JOB_PROTOCOL, framed(RUNNING), "bad-message"),
        (JOB_PROTOCOL, framed(["status", "j" * 41]), "bad-message"),
        (JOB_PROTOCOL, framed(["submit", "j", {"name": "", "kind": "onnx"}]), "bad-message"),
        (BLOB_PROTOCOL, framed(["get", NAME, -1, 1]), "bad-message"),
        (BLOB_PROTOCOL, framed(["get", NAME, 0, 0]), "bad-message"),
        (BLOB_PROTOCOL, framed(Kept(NAME, 1)), "bad-message"),
        (BLOB_PROTOCOL, framed(SECOND), "bad-piece"),
        (BLOB_PROTOCOL, framed(FIRST), "frame-truncated"),
        (BLOB_PROTOCOL, framed(FIRST) + framed(FIRST), "bad-piece"),
        (BLOB_PROTOCOL, framed(FIRST) + framed(THIRD), "bad-piece"),
        (BLOB_PROTOCOL, framed(FIRST) + framed(Get(NAME, 0, 1)), "bad-message"),
        (BLOB_PROTOCOL, framed(Chunk(NAME, 0, len(DATA), b"")), "bad-piece"),
        (BLOB_PROTOCOL, framed(Chunk(NAME, 0, 1, b"xy")), "bad-piece"),
        (
            BLOB_PROTOCOL,
            framed(FIRST) + framed(Chunk(cid_of(b""), *msgspec.structs.astuple(SECOND)[1:])),
            "bad-piece",
        ),
    ],
)
async def test_nonsense_is_refused_with_a_code(protocol: str, raw: bytes, code: str) -> None:
    library = Library()
    (failure,) = await asked(library, protocol, raw=raw)
    assert isinstance(failure, Failure)
    assert failure.code == code
    assert library.blobs == {NAME: DATA}


async def test_silent_client_is_told_so(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        requests = Requests(Library())
        for protocol in requests.protocols:
            began = trio.current_time()
            caller = call(nursery, requests, protocol)
            (failure,) = await caller.answer()
            assert (failure.code, trio.current_time() - began) == ("time-out", pytest.approx(10))
            await caller.ended.wait()  # though the client never ends its side
            assert trio.current_time() - began == pytest.approx(12)


async def test_trickling_client_is_ended(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        requests, whole = Requests(Library()), framed(Status(JobId("j")))
        bytewise = call(nursery, requests, JOB_PROTOCOL)
        for at in range(3):
            await bytewise.stream.send_all(whole[at : at + 1])
            await trio.sleep(4)
        assert [failure.code for failure in await bytewise.answer()] == ["time-out"]
        big = 200 * CHUNK_BYTES_MAX
        chunkwise, began = call(nursery, requests, BLOB_PROTOCOL), trio.current_time()
        for offset in range(0, big, CHUNK_BYTES_MAX):
            if chunkwise.ended.is_set():
                break
            await chunkwise.send(Chunk(NAME, offset, big, bytes(CHUNK_BYTES_MAX)))
            await trio.sleep(9)
        assert [failure.code for failure in await chunkwise.answer()] == ["time-out"]
        assert 600 <= trio.current_time() - began < 630


async def test_client_that_takes_no_answer_is_left(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        requests = Requests(Library())
        caller = call(nursery, requests, BLOB_PROTOCOL, pair=lockstep_stream_pair())
        await caller.send(Get(NAME, 0, 1 << 20))
        with trio.fail_after(30):
            await caller.ended.wait()
        assert not requests._running


async def test_requests_are_bounded_for_each_peer_and_in_all() -> None:
    library, limits = Library(hold=trio.Event()), RequestLimits(3, 2)
    async with trio.open_nursery() as nursery:
        requests = Requests(library, limits)
        taken = [call(nursery, requests, JOB_PROTOCOL, peer) for peer in (ME, ME, OTHER)]
        for caller in taken:
            await caller.send(Status(JobId("j")))
        await trio.testing.wait_all_tasks_blocked()
        for peer in (ME, OTHER, NodeId("third")):
            one = call(nursery, requests, JOB_PROTOCOL, peer)
            assert [failure.code for failure in await one.answer()] == ["busy"]
            await one.stream.aclose()
        assert library.hold is not None
        library.hold.set()
        for caller in taken:
            assert await caller.answer() == [RUNNING]
            await caller.stream.aclose()
        again = call(nursery, requests, JOB_PROTOCOL)
        await again.send(Status(JobId("j")))
        assert await again.answer() == [RUNNING]
        await again.stream.aclose()


async def test_puts_are_bounded() -> None:
    async with trio.open_nursery() as nursery:
        requests = Requests(Library(), RequestLimits(puts_max=1))
        first, second = (call(nursery, requests, BLOB_PROTOCOL) for _ in range(2))
        await first.send(FIRST)
        await trio.testing.wait_all_tasks_blocked()
        await second.send(FIRST)
        assert [failure.code for failure in await second.answer()] == ["busy"]
        await first.send(SECOND, THIRD)
        assert await first.answer() == [Kept(NAME, len(DATA))]
        for caller in (first, second):
            await caller.stream.aclose()


async def test_client_refused_while_it_writes_reads_why() -> None:
    async with trio.open_nursery() as nursery:
        library = Library(failure=MeshError("remote-not-allowed", "no"))
        caller = call(nursery, Requests(library), BLOB_PROTOCOL)
        await caller.send(FIRST)
        await trio.testing.wait_all_tasks_blocked()
        await caller.send(SECOND, THIRD)
        assert await caller.answer() == [Failure("remote-not-allowed", "no")]
        assert not caller.ended.is_set()
        await caller.stream.send_eof()
        await caller.ended.wait()


async def test_our_own_fault_stays_in_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    library = Library(failure=ZeroDivisionError("ours"))
    (failure,) = await asked(library, JOB_PROTOCOL, Status(JobId("j")))
    assert failure.code == "internal"
    assert "ZeroDivisionError: ours" in capsys.readouterr().err
    library.failure = None
    assert await asked(library, JOB_PROTOCOL, Status(JobId("j"))) == [RUNNING]
