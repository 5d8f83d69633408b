"""Requests: what clients ask over libp2p, one a stream: bounded, timed, and answered with a code.

Knows trio and bytes, not libp2p, as `links_stream` does.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import trio

from meshd.adapters.links_stream import READ_BYTES_MAX, ByteStream, StreamLost
from protocols import BLOB_STREAM, JOB_STREAM, Codec
from protocols.blob import Chunk
from protocols.bounds import CHUNK_BYTES_MAX, TEXT_MAX
from protocols.client import (
    BLOB_PROTOCOL,
    JOB_PROTOCOL,
    Failure,
    Get,
    JobRequest,
    Kept,
    Outputs,
    Permit,
    Result,
    State,
    Status,
    Submit,
)
from protocols.errors import MeshError, ProtocolError
from protocols.frame import FrameDecoder, encode_frame
from protocols.types import SECOND, Cid, NodeId

REQUESTS_MAX = 64
REQUESTS_PER_PEER_MAX = 16
"""Each holds one frame: 4 MiB a peer."""

PUTS_MAX = 4
"""A blob on its way is a file that the store does not count yet."""

FRAME_NS = 10 * SECOND
REQUEST_NS = 600 * SECOND
END_NS = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as Noise proved it, and the capability that was shown; "" for none."""

    peer: NodeId
    permit: str = ""


class Service(Protocol):
    """One daemon, as clients may use it. Every refusal is a MeshError."""

    async def job(self, request: JobRequest, caller: Caller) -> State | Outputs: ...
    def get(self, request: Get) -> Iterator[Chunk]: ...
    async def put(
        self, cid: Cid, size: int, data: AsyncIterator[bytes], caller: Caller
    ) -> Kept: ...


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What clients may take, one and all together. Times are seconds of trio's clock."""

    requests_max: int = REQUESTS_MAX
    requests_per_peer_max: int = REQUESTS_PER_PEER_MAX
    puts_max: int = PUTS_MAX
    frame_s: float = FRAME_NS / SECOND
    """Within which the next frame comes, or is taken."""
    request_s: float = REQUEST_NS / SECOND
    """Within which all is over."""
    end_s: float = END_NS / SECOND
    """A client that was refused may still be writing: so long it is heard out, and not believed."""


class Requests:
    """The streams of clients, each answered by a `Service`."""

    def __init__(self, service: Service, limits: RequestLimits | None = None) -> None:
        self._service, self._limits = service, limits or RequestLimits()
        self._running: Counter[NodeId] = Counter()
        self._puts = 0
        self._answers: dict[str, tuple[Codec[Any], Answer]] = {
            JOB_PROTOCOL: (JOB_STREAM, self._job),
            BLOB_PROTOCOL: (BLOB_STREAM, self._blob),
        }

    @property
    def protocols(self) -> tuple[str, ...]:
        """What the streams are called."""
        return tuple(self._answers)

    async def answer(self, protocol: str, peer: NodeId, stream: ByteStream) -> None:
        """Answer the one request of a stream and end it. Whatever goes wrong ends this stream."""
        codec, answer = self._answers[protocol]
        talk = _Talk(stream, codec, self._limits.frame_s)
        try:
            failure = await self._attempt(peer, answer, talk)
            if failure is not None:
                await talk.say(failure)
            with trio.move_on_after(self._limits.end_s):
                await talk.end()
        except StreamLost:
            return  # nobody is left to be told

    async def _attempt(self, peer: NodeId, answer: Answer, talk: _Talk) -> Failure | None:
        limits = self._limits
        try:
            with self._counted(peer), trio.fail_after(limits.request_s):
                request = await talk.hear()
                caller = Caller(peer)
                if isinstance(request, Permit):
                    caller, request = Caller(peer, request.token), await talk.hear()
                await answer(talk, caller, request)
        except StreamLost:
            raise
        except trio.TooSlowError:
            within = f"a frame within {limits.frame_s:g} s, all of it within {limits.request_s:g} s"
            return Failure("time-out", f"a request must go on: {within}")
        except MeshError as error:
            return Failure(error.code, error.message[:TEXT_MAX])
        except Exception as error:  # noqa: BLE001 - a fault of ours: the log has it, the daemon lives
            sys.stderr.write(f"meshd: a request of {peer} failed [internal]\n")
            traceback.print_exception(error)
            return Failure("internal", "the daemon failed to answer; its log says why")
        return None

    @contextmanager
    def _counted(self, peer: NodeId) -> Iterator[None]:
        limits = self._limits
        if self._running[peer] >= limits.requests_per_peer_max:
            raise MeshError("busy", f"{limits.requests_per_peer_max} requests of yours are open")
        if self._running.total() >= limits.requests_max:
            raise MeshError(
                "busy", f"{limits.requests_max} requests are open here; ask again later"
            )
        self._running[peer] += 1
        try:
            yield
        finally:
            self._running[peer] -= 1
            self._running = +self._running

    async def _job(self, talk: _Talk, caller: Caller, request: Any) -> None:
        if not isinstance(request, Submit | Status | Result):
            raise _not_asked(request)
        await talk.say(await self._service.job(request, caller))

    async def _blob(self, talk: _Talk, caller: Caller, request: Any) -> None:
        match request:
            case Get() as request:
                for chunk in self._service.get(request):
                    await talk.say(chunk)
            case Chunk() as first:
                await self._put(talk, caller, first)
            case other:
                raise _not_asked(other)

    async def _put(self, talk: _Talk, caller: Caller, first: Chunk) -> None:
        if self._puts >= self._limits.puts_max:
            raise MeshError("busy", f"{self._puts} blobs are being put; ask again later")
        self._puts += 1
        try:
            async with aclosing(_data_of(first, talk)) as data:
                kept = await self._service.put(first.cid, first.size, data, caller)
        finally:
            self._puts -= 1
        await talk.say(kept)


class _Talk:
    """Messages, framed, in and out of one stream; each within its time."""

    def __init__(self, stream: ByteStream, codec: Codec[Any], frame_s: float) -> None:
        self._stream, self._codec, self._frame_s = stream, codec, frame_s
        self._decoder = FrameDecoder()
        self._frames: deque[bytes] = deque()

    async def hear(self) -> Any:
        """The next message. ProtocolError, StreamLost, TooSlowError."""
        with trio.fail_after(self._frame_s):
            while not self._frames:
                data = await self._stream.read(READ_BYTES_MAX)
                if not data:
                    self._decoder.close()
                    raise ProtocolError("frame-truncated", "the stream ended before its request")
                self._frames += self._decoder.feed(data)
        return self._codec.decode(self._frames.popleft())

    async def say(self, message: Any) -> None:
        """Write a message. StreamLost, also when the client does not take it in time."""
        try:
            with trio.fail_after(self._frame_s):
                await self._stream.write(encode_frame(self._codec.encode(message)))
        except trio.TooSlowError as error:
            raise StreamLost from error

    async def end(self) -> None:
        """Say that this was all, and read on until the client has said so too.

        Were the stream reset before, the answer could be lost on its way to the client's reader.
        """
        await self._stream.finish()
        while await self._stream.read(READ_BYTES_MAX):
            pass


Answer: TypeAlias = Callable[[_Talk, Caller, Any], Awaitable[None]]


async def _data_of(first: Chunk, talk: _Talk) -> AsyncGenerator[bytes, None]:
    """The bytes of a blob that comes in chunks: in order, each as long as it may be."""
    chunk, offset = first, 0
    while True:
        due = (first.cid, first.size, offset, min(CHUNK_BYTES_MAX, first.size - offset))
        if (chunk.cid, chunk.size, chunk.offset, len(chunk.data)) != due:
            message = f"the chunk at {offset} must hold {due[3]} bytes of {first.cid}"
            raise ProtocolError("bad-piece", message)
        yield chunk.data
        offset += len(chunk.data)
        if offset == first.size:
            return
        chunk = await talk.hear()
        if not isinstance(chunk, Chunk):
            raise _not_asked(chunk)


def _not_asked(message: object) -> ProtocolError:
    name = type(message).__name__
    return ProtocolError("bad-message", f"no request, nor a part of one: {name}")
