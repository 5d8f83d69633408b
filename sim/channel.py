"""Channel: messages between the controller of a real run and its yards, over a pipe."""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
import trio

from meshd.driver import Happening
from meshd.seam import LetterKept, LetterSettled, Note, PayloadArrived, PayloadLost, ReportJob
from protocols.errors import MeshError
from protocols.types import Instant
from sim.orders import AnyOrder
from sim.scenario.schema import Scenario

M = TypeVar("M")

LENGTH_BYTES = 4
MESSAGE_BYTES_MAX = 1 << 28
_READ_BYTES = 65_536


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first thing a yard is told."""

    scenario: Scenario
    folder: str
    """Where the scenario's files are."""
    homes: str
    seed: int
    speed: float


class Ask(msgspec.Struct, frozen=True, tag=True):
    number: int
    order: AnyOrder


class Answer(msgspec.Struct, frozen=True, tag=True):
    number: int
    body: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, tag=True):
    number: int
    code: str
    message: str


class Heard(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A daemon told something: one of these."""

    at: Instant
    arrived: PayloadArrived | None = None
    lost: PayloadLost | None = None
    note: Note | None = None
    report: ReportJob | None = None
    kept: LetterKept | None = None
    settled: LetterSettled | None = None

    @property
    def happening(self) -> Happening:
        found = self.arrived or self.lost or self.note or self.report or self.kept or self.settled
        assert found is not None
        return found


ToYard: TypeAlias = Setup | Ask
FromYard: TypeAlias = Answer | Refusal | Heard


class Channel(Generic[M]):
    """Messages in, of one union, and out. Each is its length in 4 bytes, and msgpack."""

    def __init__(
        self, inbound: trio.abc.ReceiveStream, outbound: trio.abc.SendStream, kind: Any
    ) -> None:
        self._inbound, self._outbound = inbound, outbound
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kind)
        self._unread = bytearray()
        self._sending = trio.Lock()

    async def send(self, message: msgspec.Struct) -> None:
        """Raises trio.BrokenResourceError when the other end is gone."""
        data = msgspec.msgpack.encode(message)
        if len(data) > MESSAGE_BYTES_MAX:
            raise MeshError("message-too-long", f"{type(message).__name__} of {len(data)} bytes")
        async with self._sending:
            await self._outbound.send_all(len(data).to_bytes(LENGTH_BYTES, "big") + data)

    async def receive(self) -> M | None:
        """The next message; None once the other end has gone, be it in the middle of one."""
        head = await self._take(LENGTH_BYTES)
        length = int.from_bytes(head or b"", "big")
        if length > MESSAGE_BYTES_MAX:
            raise MeshError("message-too-long", f"a message of {length} bytes")
        body = await self._take(length) if head else None
        return None if body is None else self._decoder.decode(body)

    async def _take(self, count: int) -> bytes | None:
        while len(self._unread) < count:
            try:
                data = await self._inbound.receive_some(_READ_BYTES)
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self._unread += data
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken
