"""The wire under whole daemons: light time, rate, cuts and losses, and never a gap in a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from libp2p.io.exceptions import ConnectionClosedError
from multiaddr import Multiaddr

from meshd.topology import plan_from_contacts
from protocols.types import MILLISECOND, SECOND, Instant
from sim.links import SILENCE_NS
from sim.medium import Medium
from sim.pipe import RESEND_NS, WINDOW_BYTES, Pipe, Socket
from sim.simclock import SimClock, SimMission
from sim.wire import Wire

START = 1_000 * SECOND
LIGHT = 5 * MILLISECOND


class Bench:
    """A medium, a wire on it, and what was read at one end with the instants."""

    def __init__(self, clock: SimClock, medium: Medium) -> None:
        self.mission = SimMission(clock, START)
        self.medium = medium
        self.wire = Wire(medium, self.mission)
        self.heard: list[tuple[Instant, bytes]] = []

    def join(self) -> Pipe:
        pipe = self.wire.join(0, 1)
        assert pipe is not None
        return pipe

    @property
    def since_start(self) -> Instant:
        return self.mission.now() - START

    async def listen(self, socket: Socket) -> None:
        """Until the end of the stream."""
        while data := await socket.read(1 << 20):
            self.heard.append((self.since_start, data))

    @property
    def text(self) -> bytes:
        return b"".join(data for _, data in self.heard)


@pytest.fixture
def bench(sim_clock: SimClock) -> Bench:
    medium = Medium(1, None, 0.0)
    medium.lay(0, 1, LIGHT)
    return Bench(sim_clock, medium)


@pytest.fixture
async def nursery_() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()


async def test_bytes_take_light_time_and_the_rate(
    bench: Bench, nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    here, there = bench.join().sockets
    nursery_.start_soon(bench.listen, there)
    await here.write(b"a" * 50_000)
    await here.write(b"b")
    assert bench.since_start == 0  # written, not arrived
    await trio.sleep(1)
    on_air = (50_000 + 4) * 8 * SECOND // 10_000_000_000  # a cable carries 10 Gb/s
    assert [at for at, _ in bench.heard] == [LIGHT + on_air, LIGHT + on_air + 4]
    assert bench.text == b"a" * 50_000 + b"b"


async def test_a_cut_stalls_a_stream_and_a_mend_lets_it_go_on_whole(
    bench: Bench, nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    here, there = bench.join().sockets
    nursery_.start_soon(bench.listen, there)
    await here.write(b"one")
    await trio.sleep(1)
    bench.medium.barriers.part(frozenset({1}))
    bench.wire.notice_silence()
    await here.write(b"two")
    await here.write(b"three")
    await trio.sleep(2)
    assert bench.text == b"one"
    bench.medium.barriers.part(frozenset())
    await trio.sleep(1)
    assert bench.text == b"onetwothree"
    await trio.sleep(10)  # the silence that was noticed has passed
    await here.write(b"four")
    await trio.sleep(1)
    assert bench.text == b"onetwothreefour"


async def test_a_lasting_cut_breaks_both_ends_once_its_silence_is_noticed(
    bench: Bench, sim_clock: SimClock
) -> None:
    pipe = bench.join()
    bench.medium.barriers.cut_off(frozenset({0}))
    bench.wire.notice_silence()
    await pipe.sockets[0].write(b"lost")
    for socket in pipe.sockets:
        with pytest.raises(ConnectionClosedError):
            await socket.read(1)
        assert bench.since_start == SILENCE_NS
        with pytest.raises(ConnectionClosedError):
            await socket.write(b"x")


async def test_a_connection_breaks_after_the_end_of_its_contact(sim_clock: SimClock) -> None:
    finish = START + 10 * SECOND
    plan = plan_from_contacts(["satellite"] * 2, [(0, 1, START, finish)], LIGHT)
    medium = Medium(1, plan, 0.0)
    medium.place(0, 0)
    medium.place(1, 1)
    bench = Bench(sim_clock, medium)
    here, there = bench.join().sockets
    await trio.sleep(bench.mission.real_seconds_until(finish - 1))
    await here.write(b"in time")
    await trio.sleep(bench.mission.real_seconds_until(finish))
    await here.write(b"too late")
    await trio.sleep(1)
    assert await there.read() == b"in time"
    with pytest.raises(ConnectionClosedError):
        await there.read()
    assert bench.mission.now() == finish + SILENCE_NS
    assert bench.wire.join(0, 1) is None


async def test_what_is_lost_comes_late_and_in_order(
    nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    medium = Medium(7, None, 0.3)
    medium.lay(0, 1, LIGHT)
    bench = Bench(sim_clock, medium)
    here, there = bench.join().sockets
    nursery_.start_soon(bench.listen, there)
    text = b"".join(b"%03d" % number for number in range(200))
    for start in range(0, len(text), 3):
        await here.write(text[start : start + 3])
    await here.close()
    await trio.sleep(120)
    assert bench.text == text
    assert bench.heard[-1][0] > RESEND_NS


async def test_a_writer_waits_for_its_reader(
    bench: Bench, nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    here, there = bench.join().sockets
    written = 0

    async def write() -> None:
        nonlocal written
        for _ in range(64):
            await here.write(bytes(65_536))
            written += 65_536

    nursery_.start_soon(write)
    await trio.sleep(10)
    assert written == WINDOW_BYTES
    before = bench.since_start
    assert len(await there.read()) == WINDOW_BYTES
    await trio.sleep(LIGHT / SECOND - 1e-6)
    assert written == WINDOW_BYTES  # room is known of no sooner than light could say so
    await trio.sleep(2e-6)
    assert bench.since_start > before + LIGHT
    assert written > WINDOW_BYTES


async def test_a_close_comes_behind_what_was_written(
    bench: Bench, nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    here, there = bench.join().sockets
    await here.write(b"goodbye")
    await here.close()
    await trio.sleep(0.004)
    assert there.open and not there._ended
    await bench.listen(there)
    assert bench.text == b"goodbye"
    with pytest.raises(ConnectionClosedError):
        await there.write(b"who is there?")
    await there.close()
    assert not bench.join() or len(bench.wire._pipes) == 1  # the dead one is forgotten


async def test_a_severed_host_is_gone_for_its_peers_a_light_time_on(
    bench: Bench, sim_clock: SimClock
) -> None:
    _, there = bench.join().sockets
    bench.wire.sever(0)
    assert await there.read() == b""
    assert bench.since_start == LIGHT


async def test_nobody_answers_where_nobody_listens(bench: Bench, sim_clock: SimClock) -> None:
    """As over space: not refused, but silent; who dials decides how long to wait."""
    dialler = bench.wire.transport(0)
    for other in (1, 2):  # joined, and not even joined
        with trio.move_on_after(100) as scope:
            await dialler.dial(Multiaddr(bench.wire.address_of(other)))
        assert scope.cancelled_caught


async def test_a_dial_takes_there_and_back(
    bench: Bench, nursery_: trio.Nursery, sim_clock: SimClock
) -> None:
    accepted: list[Instant] = []

    async def handle(socket: Socket) -> None:
        accepted.append(bench.since_start)
        assert await socket.read(2) == b"hi"
        await trio.sleep_forever()

    listener = bench.wire.transport(1).create_listener(handle)
    listener.background_nursery = nursery_  # type: ignore[attr-defined]
    await listener.listen(Multiaddr("/ip4/127.0.0.1/tcp/0"))
    raw = await bench.wire.transport(0).dial(listener.get_addrs()[0])
    assert bench.since_start == 2 * LIGHT
    await raw.write(b"hi")
    await trio.sleep(1)
    assert accepted == [3 * LIGHT]
    assert raw.get_remote_address() == ("127.1.0.1", 4001)
    await listener.close()
    assert not bench.wire.listening
