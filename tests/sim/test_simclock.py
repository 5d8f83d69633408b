"""Simulated time for trio: it stands while anything works, and never runs ahead or in circles."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from functools import partial

import pytest
import trio
import trio._core._run as trio_run
import trio._threads as trio_threads
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, SECOND
from sim.simclock import SECONDS_MAX, SimClock, SimMission, _start_thread

EPOCH = 1_767_225_480 * SECOND + 123_456_789


async def test_an_hour_takes_no_time(sim_clock: SimClock) -> None:
    await trio.sleep(3600)
    assert sim_clock.now_ns == HOUR
    assert trio.current_time() == 3600.0


async def test_time_stands_while_a_thread_is_out(sim_clock: SimClock) -> None:
    """Also under a limiter of its own, as the store's is."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await trio.sleep(0.001)
            beats += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat)
        for limiter in (None, trio.CapacityLimiter(1)):
            before, beats = sim_clock.now_ns, 0
            await trio.to_thread.run_sync(time.sleep, 0.05, limiter=limiter)
            assert (beats, sim_clock.now_ns) == (0, before)
        await trio.sleep(0.0105)
        assert beats == 10
        nursery.cancel_scope.cancel()


async def test_threads_come_back_in_the_order_in_which_they_went(sim_clock: SimClock) -> None:
    """Whichever is faster. The conformance test of the thread starter that is put in trio."""
    begun: list[float] = []
    ended: list[float] = []

    def work(real_s: float) -> None:
        begun.append(real_s)
        time.sleep(real_s)
        ended.append(real_s)

    async with trio.open_nursery() as nursery:
        for real_s in (0.03, 0.0, 0.01, 0.02):
            nursery.start_soon(trio.to_thread.run_sync, work, real_s)
    assert len(ended) == 4 and ended == begun
    assert vars(trio_threads)["start_thread_soon"] is _start_thread


def test_a_thread_may_ask_the_loop() -> None:
    """It is waited for in vain, then let run beside the loop, with time still held."""
    clock = SimClock(patience_s=0.05)

    def ask() -> int:
        trio.from_thread.run(trio.lowlevel.checkpoint)
        time.sleep(0.02)
        return clock.now_ns

    async def main() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            at = await trio.to_thread.run_sync(ask)
            nursery.cancel_scope.cancel()
            return at

    assert trio.run(main, clock=clock) == 0


async def test_time_stands_while_a_process_works(sim_clock: SimClock) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(0.05); print('done')"]
    with trio.move_on_after(0.001) as scope:
        with sim_clock.held():
            done = await trio.run_process(command, capture_stdout=True)
        assert (done.stdout, sim_clock.now_ns) == (b"done\n", 0)
        await trio.sleep(1)
    assert scope.cancelled_caught
    assert sim_clock.now_ns == MILLISECOND


def test_when_a_process_answers_moves_no_simulated_task() -> None:
    """Early, late, or in the midst: the order of all else belongs to the seed and the instant."""

    def order(real_s: float) -> list[int]:
        clock, steps = SimClock(7), list[int]()
        ours, theirs = socket.socketpair()

        async def answered() -> None:
            with clock.held(), trio.socket.from_stdlib_socket(ours) as real:
                await real.recv(1)

        def step(number: int) -> None:
            steps.append(number)
            time.sleep(0.0001)

        async def work(number: int) -> None:
            for _ in range(20):
                step(number)
                await trio.lowlevel.checkpoint()
            await trio.sleep(0.001)
            steps.append(number)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answered)
                for number in range(10):
                    nursery.start_soon(work, number)

        with theirs:
            answer = threading.Timer(real_s, theirs.send, (b"x",))
            answer.start()
            trio.run(main, clock=clock)
            answer.join()
        return steps

    first = order(0.0)
    assert len(first) == 210
    assert [order(real_s) for real_s in (0.003, 0.01, 0.05)] == [first] * 3


async def test_what_is_on_a_socket_comes_before_later_time(sim_clock: SimClock) -> None:
    ours, theirs = socket.socketpair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    heard: list[int] = []

    async def listen() -> None:
        async for _ in stream:
            heard.append(sim_clock.now_ns)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        for _ in range(20):
            await trio.sleep(0.001)
            theirs.send(b"x")
        await trio.sleep(1)
        theirs.close()
    assert heard == [n * MILLISECOND for n in range(1, 21)]
    await stream.aclose()


async def test_calls_come_before_the_sleepers_of_their_instant(sim_clock: SimClock) -> None:
    order: list[str] = []
    for name in "abc":
        sim_clock.at(5, order.append, name)
    sim_clock.at(4, lambda: sim_clock.at(5, order.append, "d"))
    await trio.sleep(sim_clock.seconds_until(5))
    assert order == ["a", "b", "c", "d"]
    assert sim_clock.now_ns == 5


async def test_two_tasks_sleep_to_one_instant(sim_clock: SimClock) -> None:
    woke: list[int] = []

    async def sleep(until_s: float) -> None:
        await trio.sleep_until(until_s)
        woke.append(sim_clock.now_ns)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(sleep, 0.3)
        nursery.start_soon(sleep, 0.1 + 0.2)  # one float later: the same nanosecond
    assert woke == [300 * MILLISECOND] * 3


async def test_an_instant_has_settled_when_nothing_more_happens_at_it(
    sim_clock: SimClock,
) -> None:
    done: list[str] = []

    async def work() -> None:
        await trio.sleep(1)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        await trio.to_thread.run_sync(time.sleep, 0.01)
        done.append("work")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await trio.sleep(1)
        await sim_clock.settle()
        assert (done, sim_clock.now_ns) == (["work"], SECOND)
    await sim_clock.settle()  # with nothing ahead, too


async def test_a_test_may_wait_for_all_to_be_blocked(sim_clock: SimClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1000)
        await wait_all_tasks_blocked()
        assert sim_clock.now_ns == 0
        nursery.cancel_scope.cancel()


def test_without_anything_ahead_it_waits_for_the_world() -> None:
    """A deadline of infinity is no instant to go to: a pipe may still have news."""
    read_end, write_end = os.pipe()

    async def main() -> bytes:
        async with trio.lowlevel.FdStream(read_end) as stream:
            return await stream.receive_some(1)

    import threading

    threading.Timer(0.05, os.write, (write_end, b"x")).start()
    assert trio.run(main, clock=SimClock()) == b"x"
    os.close(write_end)


INSTANTS = st.integers(1, int(SECONDS_MAX) * SECOND - 1)


@settings(max_examples=60)
@given(instants=st.lists(INSTANTS, min_size=1, max_size=8), odd=st.floats(1e-12, 1e3))
def test_a_sleep_to_an_instant_ends_exactly_at_it(instants: list[int], odd: float) -> None:
    """Whatever the floats between: no wake-up early, none late, and none for ever."""
    clock = SimClock()
    mission = SimMission(clock, EPOCH)
    steps = 0

    async def follow(instant: int) -> None:
        nonlocal steps
        while mission.now() < instant:  # as meshd/driver.py rests
            steps += 1
            await trio.sleep(mission.real_seconds_until(instant))
        assert mission.now() == instant

    async def disturb() -> None:
        for _ in range(20):
            await trio.sleep(odd / 3)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disturb)
            for instant in instants:
                nursery.start_soon(follow, EPOCH + instant)

    trio.run(main, clock=clock)
    assert steps == len(instants)


async def test_a_chain_of_twenty_thousand_sleeps_does_not_drift(sim_clock: SimClock) -> None:
    """Each sleep rounds up a hair: the hairs must not add up."""
    mission = SimMission(sim_clock, EPOCH)
    for number in range(1, 20_001):
        instant = EPOCH + number * 333_333_337
        await trio.sleep(mission.real_seconds_until(instant))
        assert mission.now() == instant


async def test_time_has_an_end_that_is_told(sim_clock: SimClock) -> None:
    sim_clock.now_ns = int(SECONDS_MAX) * SECOND
    with pytest.raises(InputError) as refused:
        sim_clock._go(sim_clock.now_ns + 1, 0.0)
    assert refused.value.code == "simulated-time-over"


# --- ties ---------------------------------------------------------------------------------------


async def _race(order: list[int], warm_up: int) -> None:
    """Many tasks ready at once, at one instant, after a prelude that draws on the scheduler."""

    async def enter(number: int, at_s: float) -> None:
        await trio.sleep_until(at_s)
        order.append(number)

    async def prelude() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(warm_up):
                nursery.start_soon(enter, -1, 0.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(prelude)
        for number in range(20):
            nursery.start_soon(enter, number, 1.0)


def _raced(seed: int, warm_up: int = 0) -> list[int]:
    order: list[int] = []
    trio.run(_race, order, warm_up, clock=SimClock(seed))
    return [number for number in order if number >= 0]


def test_ties_are_broken_by_seed_and_instant_alone() -> None:
    """The conformance test of trio's private switch: a new trio may not heed it."""
    assert _raced(1) == _raced(1) != sorted(_raced(1))
    assert _raced(1) != _raced(2)
    assert _raced(1) == _raced(1, warm_up=7)


def test_trio_still_has_the_switches_that_are_set() -> None:
    assert trio_run._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)
    assert callable(partial(trio_run._r.seed, 1))
    assert trio.__version__ == "0.35.0", "read unrolled_run() of the new trio, then pin it here"
