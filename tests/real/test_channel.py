"""The protocol between the controller of a real run and its yards."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
import trio

from meshd.seam import Note, PayloadArrived, PayloadLost, ReportJob
from protocols.errors import MeshError
from protocols.types import JobId, NodeId, PacketId
from sim.channel import MESSAGE_BYTES_MAX, Ask, Channel, Heard, ToYard
from sim.orders import AnyOrder, Begin, Look, Offer, answer_type

A, B = NodeId("a"), NodeId("b")


def test_every_order_says_what_it_is_answered() -> None:
    kinds = get_args(AnyOrder)
    assert {kind.__name__ for kind in kinds} >= {"Begin", "Look", "Views"}
    for kind in kinds:
        msgspec.msgpack.Decoder(answer_type(kind))
    assert answer_type(Begin) == tuple[str, ...]


async def test_orders_arrive_as_they_were_sent() -> None:
    here, there = trio.testing.memory_stream_pair()
    orders: list[Any] = [Begin(("a", "b")), Offer(PacketId("p"), "a", B, "app", 3, 4, True), Look()]
    out: Channel[Any] = Channel(here, here, ToYard)
    into: Channel[Any] = Channel(there, there, ToYard)
    for number, order in enumerate(orders):
        await out.send(Ask(number, order))
    assert [(await into.receive()).order for _ in orders] == orders
    await here.aclose()
    assert await into.receive() is None


async def test_a_message_cut_short_is_the_end() -> None:
    here, there = trio.testing.memory_stream_pair()
    into: Channel[Any] = Channel(there, there, ToYard)
    await here.send_all(b"\x00\x00\x00\x09half")
    await here.aclose()
    assert await into.receive() is None


async def test_a_message_too_long_is_refused_by_its_head() -> None:
    here, there = trio.testing.memory_stream_pair()
    into: Channel[Any] = Channel(there, there, ToYard)
    await here.send_all((MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(MeshError, match="message of"):
        await into.receive()


@pytest.mark.parametrize(
    "happening",
    [
        PayloadArrived(PacketId("p"), A, "app", b"", 1, (A, B), (1, 2)),
        PayloadLost(PacketId("p"), "app", B, "expired", A),
        Note("packet-dropped", {"packet": "p", "code": "expired", "n": 1}),
        ReportJob(JobId("j"), "held", 3, A),
    ],
)
def test_whatever_daemons_tell_is_heard_as_it_was(happening: Any) -> None:
    names = {
        PayloadArrived: "arrived",
        PayloadLost: "lost",
        Note: "note",
        ReportJob: "report",
    }
    heard = Heard(7, **{names[type(happening)]: happening})
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(heard), type=Heard)
    assert again.at == 7
    assert again.happening == happening
