"""A link's stream without libp2p, on a simulated clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from meshd.adapters.links_hold import HoldQueue
from meshd.adapters.links_stream import (
    WRITE_BYTES_MAX,
    LinkLimits,
    LinkStream,
    StreamLost,
)
from protocols.frame import FRAME_BYTES_MAX, FrameDecoder, encode_frame


class FakeStream:
    """A stream whose peer is the test: it feeds bytes, takes writes, stalls or dies."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.finished = False
        self.stalled = False
        self._send, self._receive = trio.open_memory_channel[bytes | None](1000)

    def feed(self, data: bytes | None) -> None:
        """Bytes; b"" for an end; None for a peer that is gone."""
        self._send.send_nowait(data)

    @property
    def unread(self) -> int:
        return self._send.statistics().current_buffer_used

    async def read(self, count: int) -> bytes:
        data = await self._receive.receive()
        if data is None:
            raise StreamLost
        assert len(data) <= count
        return data

    async def write(self, data: bytes) -> None:
        if self.stalled:
            await trio.sleep(5)
            raise StreamLost
        await trio.lowlevel.checkpoint()
        self.writes.append(data)

    async def finish(self) -> None:
        self.finished = True


class Laboratory:
    """One link, its fake peer, and the times at which frames were delivered."""

    def __init__(
        self,
        delay: Callable[[], float] | None = None,
        limits: LinkLimits | None = None,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.peer = FakeStream()
        self.got: list[tuple[float, bytes]] = []
        self.link = LinkStream(self.peer, self._deliver, limits or LinkLimits(), delay, room)

    def _deliver(self, frame: bytes) -> None:
        self.got.append((trio.current_time(), frame))

    @property
    def frames(self) -> list[bytes]:
        return [frame for _, frame in self.got]

    async def ending(self) -> str:
        """Carry the link to its end; its code."""
        await self.link.carry()
        assert self.link.code is not None
        return self.link.code


async def test_frames_are_batched_into_full_writes(autojump_clock: trio.testing.MockClock) -> None:
    laboratory = Laboratory()
    frames = [bytes([i % 256]) * 100 for i in range(2000)]
    for frame in frames:
        laboratory.link.send(frame)
    laboratory.link.end("done", kindly=True)
    assert await laboratory.ending() == "done"
    writes = laboratory.peer.writes
    assert [len(data) for data in writes[:-1]] == [WRITE_BYTES_MAX] * 3
    assert FrameDecoder().feed(b"".join(writes)) == frames
    assert laboratory.link.counts.frames_out == 2000
    assert laboratory.peer.finished


async def test_an_abrupt_end_leaves_the_outbox(autojump_clock: trio.testing.MockClock) -> None:
    laboratory = Laboratory()
    laboratory.link.send(b"never")
    laboratory.link.end("write-timeout")
    assert await laboratory.ending() == "write-timeout"
    assert laboratory.peer.writes == []


@pytest.mark.parametrize(
    "limits", [LinkLimits(outbox_frames_max=10), LinkLimits(outbox_bytes_max=10 * 104)]
)
async def test_a_full_outbox_ends_the_link(limits: LinkLimits) -> None:
    laboratory = Laboratory(limits=limits)
    for _ in range(10):
        laboratory.link.send(bytes(100))
    assert laboratory.link.code is None
    laboratory.link.send(bytes(100))
    laboratory.link.send(bytes(100))
    assert await laboratory.ending() == "outbox-full"
    assert laboratory.link.counts.frames_dropped == 12


async def test_a_peer_that_takes_nothing_is_left(autojump_clock: trio.testing.MockClock) -> None:
    for seconds_max, expected in ((3.0, 3.0), (15.0, 5.0)):
        laboratory = Laboratory(limits=LinkLimits(write_seconds_max=seconds_max))
        laboratory.peer.stalled = True
        laboratory.link.send(b"x")
        start = trio.current_time()
        assert await laboratory.ending() == "write-timeout"
        assert trio.current_time() - start == pytest.approx(expected)


async def test_a_kind_end_waits_only_so_long(autojump_clock: trio.testing.MockClock) -> None:
    laboratory = Laboratory()
    laboratory.peer.stalled = True
    laboratory.link.send(b"x")
    laboratory.link.end("done", kindly=True)
    start = trio.current_time()
    assert await laboratory.ending() == "done"
    assert trio.current_time() - start == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ([b""], "peer-closed"),
        ([None], "peer-closed"),
        ([b"\x00\x00", b""], "frame-truncated"),
        ([b"\x00\x00", None], "peer-closed"),
        ([b"\x00\x00\x00\x00"], "frame-empty"),
        ([(FRAME_BYTES_MAX + 1).to_bytes(4, "big")], "frame-too-long"),
    ],
)
@pytest.mark.parametrize("delay", [None, lambda: 2.0])
async def test_endings_come_after_the_last_frame(
    tail: list[bytes | None],
    code: str,
    delay: Callable[[], float] | None,
    autojump_clock: trio.testing.MockClock,
) -> None:
    laboratory = Laboratory(delay)
    laboratory.peer.feed(encode_frame(b"first") + encode_frame(b"last"))
    for data in tail:
        laboratory.peer.feed(data)
    assert await laboratory.ending() == code
    assert laboratory.frames == [b"first", b"last"]


async def test_frames_are_held_while_more_are_read(autojump_clock: trio.testing.MockClock) -> None:
    laboratory = Laboratory(lambda: 1.5)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(laboratory.link.carry)
        for i in range(20):
            laboratory.peer.feed(encode_frame(bytes([i])))
            await trio.sleep(0.1)
        await trio.sleep(1.5)
        laboratory.link.end("done")
    # Twenty frames, 0.1 s apart, each 1.5 s late: 3.4 s in all, not thirty.
    assert [round(at - start, 3) for at, _ in laboratory.got] == [
        round(1.5 + i / 10, 3) for i in range(20)
    ]


async def test_frames_stay_in_order_when_the_distance_shrinks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    delays = iter([3.0, 1.0, 0.0, 5.0, 0.0])
    laboratory = Laboratory(lambda: next(delays))
    start = trio.current_time()
    for i in range(4):
        laboratory.peer.feed(encode_frame(bytes([i])))
    laboratory.peer.feed(b"")
    assert await laboratory.ending() == "peer-closed"
    assert [(round(at - start, 6), frame[0]) for at, frame in laboratory.got] == [
        (3.0, 0),
        (3.0, 1),
        (3.0, 2),
        (5.0, 3),
    ]


@pytest.mark.parametrize("delay", [None, lambda: 1.0])
async def test_a_link_is_not_read_while_there_is_no_room(
    delay: Callable[[], float] | None, autojump_clock: trio.testing.MockClock
) -> None:
    rooms = trio.Semaphore(3)
    limits = LinkLimits(held_frames_max=2)
    laboratory = Laboratory(delay, limits, rooms.acquire)
    frames = [bytes([i]) for i in range(20)]
    for frame in frames:
        laboratory.peer.feed(encode_frame(frame))
    laboratory.peer.feed(b"")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(laboratory.link.carry)
        await trio.sleep(60)
        assert laboratory.frames == frames[:3]
        assert laboratory.peer.unread >= 14
        for _ in range(18):
            rooms.release()
    assert laboratory.frames == frames


async def test_nothing_is_delivered_after_the_end(autojump_clock: trio.testing.MockClock) -> None:
    laboratory = Laboratory(lambda: 1.0)
    laboratory.peer.feed(encode_frame(b"held"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(laboratory.link.carry)
        await trio.sleep(0.5)
        laboratory.link.end("done")
        laboratory.link.end("again")
        await trio.sleep(5)
    assert (laboratory.got, laboratory.link.code) == ([], "done")


async def test_a_dead_writer_does_not_cut_what_is_held(
    autojump_clock: trio.testing.MockClock,
) -> None:
    laboratory = Laboratory(lambda: 10.0)
    laboratory.peer.feed(encode_frame(b"sent before the end"))
    laboratory.peer.stalled = True
    laboratory.link.send(b"heartbeat")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(laboratory.link.carry)
        await trio.sleep(6)
        laboratory.link.send(b"too late")
        assert laboratory.link.counts.frames_dropped == 1
    assert laboratory.frames == [b"sent before the end"]
    assert laboratory.link.code == "write-timeout"


@pytest.mark.parametrize(
    "limits", [LinkLimits(held_frames_max=8), LinkLimits(held_bytes_max=8 * 10)]
)
async def test_a_full_hold_stops_reading_and_loses_nothing(
    limits: LinkLimits, autojump_clock: trio.testing.MockClock
) -> None:
    laboratory = Laboratory(lambda: 1.0, limits)
    for i in range(30):
        laboratory.peer.feed(encode_frame(bytes([i]) * 10))
    laboratory.peer.feed(b"")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(laboratory.link.carry)
        await trio.sleep(0.5)
        assert laboratory.peer.unread == 30 + 1 - 9  # eight are held, one waits for room
    assert [frame[0] for frame in laboratory.frames] == list(range(30))


async def test_one_frame_larger_than_the_hold_passes() -> None:
    held = HoldQueue(count_max=4, bytes_max=10)
    await held.wait_for_room(1000)
    held.put(bytes(1000), trio.current_time())
    with trio.move_on_after(0.01) as waited:
        await held.wait_for_room(1)
    assert waited.cancelled_caught


async def test_a_real_clock_releases_never_early() -> None:
    held, late = HoldQueue(1000, 1_000_000), []
    due = [trio.current_time() + i * 0.00137 for i in range(100)]
    for at in due:
        held.put(b"x", at)
    held.put(None, due[-1])
    ats = iter(due)
    await held.release_to(lambda _: late.append(trio.current_time() - next(ats)))
    assert len(late) == 100
    assert min(late) >= 0
