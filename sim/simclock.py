"""SimClock: simulated time for trio: it stands while anything works, then goes to what is next.

Nothing sleeps: when no task can run, and no socket, thread or worker process has news or is about
to, time becomes that of the next deadline or call. So an hour takes as long as its events do, and
an event takes no time at all.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeAlias

import trio
from trio import _core as trio_core
from trio import _threads as trio_threads

# trio-typing comes with py-libp2p and hides trio's own types, this one among them.
from trio.testing import active_thread_count  # type: ignore[attr-defined]

from meshd.adapters.clock import MissionClock
from protocols.errors import InputError
from protocols.types import SECOND, Duration, Instant
from sim.chance import number

SECONDS_MAX = float(1 << 19)
"""Six days. Beyond, seconds as a float are too coarse to tell nanoseconds apart (2^-34 s)."""

_SLACK_NS = 0.25
"""A deadline of a whole number of nanoseconds is off by its float's rounding, less than this."""

PATIENCE_S = 10.0
"""How long, in real seconds, the loop waits for a thread it has started."""

_WORD = (1 << 64) - 1

Call: TypeAlias = Callable[..., None]


class SimClock(trio.abc.Clock, trio.abc.Instrument):
    """Simulated time, from 0 ns. `trio.run(main, clock=SimClock(seed))`.

    Time is held while a thread of `trio.to_thread` is out, under whatever limiter, and inside
    `held()`: for worker processes. Threads come back in the order in which they were sent, tasks
    that become ready at one instant run in an order that belongs to (seed, instant, task): a real
    process that answers early or late, and joins this batch or that, moves none of them. With
    nothing ahead it waits, as trio does, for sockets and signals.
    """

    def __init__(self, seed: int = 0, patience_s: float = PATIENCE_S) -> None:
        self.seed = seed
        self.patience_s = patience_s
        self.now_ns: Duration = 0
        """Since the start; exact."""
        self.jumps = 0
        self._seconds = 0.0
        self._calls: list[tuple[Duration, int, Call, tuple[Any, ...]]] = []
        self._sequence = 0
        self._holds = 0
        self._polled = False
        self._ties = 0
        self._lineage: dict[Any, tuple[int, int]] = {}
        """Of every task a number that is its own, and how many children it has had."""
        self._settling: deque[trio.Event] = deque()

    # --- what a simulation does -----------------------------------------------------------------

    def at(self, at_ns: Duration, call: Call, *arguments: Any) -> None:
        """Call when time is `at_ns`, before the tasks that sleep until then wake.

        Calls of one instant are made in the order of asking. A call may not raise.
        """
        assert at_ns >= self.now_ns, f"{at_ns} ns is past"
        self._sequence += 1
        heapq.heappush(self._calls, (at_ns, self._sequence, call, arguments))

    async def settle(self) -> None:
        """Return when nothing more can happen at this instant."""
        settled = trio.Event()
        self._settling.append(settled)
        await settled.wait()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Time stands while this lasts: real work is under way that will end with news on a pipe.

        Then trio's deadlines stand too: nothing in here may count on one to fall due.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def seconds_until(self, at_ns: Duration) -> float:
        """What to sleep to wake exactly then: rounded once, not on top of what time was rounded."""
        target = at_ns / SECOND
        wait = max(0.0, target - self._seconds)
        return wait if self._seconds + wait >= target else math.nextafter(wait, math.inf)

    # --- trio.abc.Clock -------------------------------------------------------------------------

    def start_clock(self) -> None:
        make_scheduling_deterministic()
        trio.lowlevel.add_instrument(self)
        self._draw_ties()

    def current_time(self) -> float:
        return self._seconds

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """No task can run: look at the sockets once more, then go on to what is next."""
        if deadline <= self._seconds:
            return 0.0
        if self._holds or active_thread_count() or _waits_for_idle():
            return math.inf
        due = math.inf if deadline == math.inf else math.ceil(deadline * SECOND - _SLACK_NS)
        first = self._calls[0][0] if self._calls else math.inf
        if due == first == math.inf and not self._settling:
            return math.inf
        if not self._polled:
            self._polled = True
            return 0.0
        if self._settling:
            self._settling.popleft().set()
            return 0.0
        if first <= due:
            self._go(self._calls[0][0], -math.inf)
            self._make_calls()
        else:
            self._go(int(due), deadline)
        return 0.0

    def _go(self, at_ns: Duration, deadline: float) -> None:
        self.now_ns = max(self.now_ns, at_ns)
        # Exactly the deadline, or it would never be found past: rounding could fall short of it.
        self._seconds = max(self._seconds, self.now_ns / SECOND, deadline)
        if self._seconds >= SECONDS_MAX:
            message = f"simulated time ends after {SECONDS_MAX:.0f} s: nanoseconds blur beyond"
            raise InputError("simulated-time-over", message)
        self.jumps += 1
        self._draw_ties()

    def _make_calls(self) -> None:
        while self._calls and self._calls[0][0] == self.now_ns:
            _, _, call, arguments = heapq.heappop(self._calls)
            call(*arguments)

    # --- trio.abc.Instrument --------------------------------------------------------------------

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Something ran: it may have written to a socket that we listen to ourselves."""
        self._polled = False

    # --- ties -----------------------------------------------------------------------------------

    def task_spawned(self, task: Any) -> None:
        """A task is known as the how-manieth child of its parent: others' births do not matter."""
        parent = task.parent_nursery.parent_task if task.parent_nursery else None
        name, children = self._lineage.get(parent, (0, 0))
        self._lineage[parent] = name, children + 1
        self._lineage[task] = _mixed(name + children + 1), 0

    def task_exited(self, task: Any) -> None:
        del self._lineage[task]

    def order(self, batch: list[Any]) -> None:
        """Put the tasks that run at once in an order: by chance, of each its own.

        Not by shuffling: that asks as often as there are tasks, and so one more that a real thread
        or process has woken would move all the others, and those of the next batch.
        """
        batch.sort(key=lambda task: _mixed(self._ties ^ self._lineage[task][0]))

    def _draw_ties(self) -> None:
        self._ties = number(self.seed, "ties", self.now_ns)


class SimMission(MissionClock):
    """Mission time that is `epoch` now and runs with a simulated clock; exact to the nanosecond."""

    def __init__(self, clock: SimClock, epoch: Instant) -> None:
        super().__init__(epoch, time_ns=lambda: epoch, monotonic_ns=lambda: clock.now_ns)
        self.clock = clock
        self._epoch_ns = clock.now_ns

    def real_seconds_until(self, instant: Instant) -> float:
        """Seconds of trio's time until a mission instant (0 when past)."""
        return self.clock.seconds_until(instant - self.epoch + self._epoch_ns)

    def at(self, instant: Instant, call: Call, *arguments: Any) -> None:
        """`SimClock.at`, by mission time."""
        self.clock.at(instant - self.epoch + self._epoch_ns, call, *arguments)


def make_scheduling_deterministic() -> None:
    """Have trio ask for the order of every batch, which under a SimClock belongs to that.

    Left alone it reverses batches by chance; pytest-trio sets the same switch. And have the loop
    wait for the threads it starts, under a SimClock.
    """
    vars(trio_core._run)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    if not isinstance(trio_core._run._r, _Ties):
        vars(trio_core._run)["_r"] = _Ties(trio_core._run._r.getrandbits(64))
    vars(trio_threads)["start_thread_soon"] = _start_thread


class _Ties(Random):
    """trio's generator, save that a batch under a SimClock is ordered by that."""

    def shuffle(self, batch: Any) -> None:
        clock = trio_core._run.GLOBAL_RUN_CONTEXT.runner.clock
        if isinstance(clock, SimClock):
            clock.order(batch)
        else:
            super().shuffle(batch)


def _mixed(value: int) -> int:
    """64 bits of which each hangs on all of the value's: the end of splitmix64."""
    value = value * 0x9E3779B97F4A7C15 & _WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _WORD
    return value ^ value >> 31


def _start_thread(
    work: Callable[[], Any], deliver: Callable[[Any], None], name: str | None = None
) -> None:
    """Start a thread and wait for it: which of two is faster must decide nothing.

    Only so long: a thread that itself waits for the loop is let go on beside it, time held.
    """
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, SimClock):
        trio.lowlevel.start_thread_soon(work, deliver, name)
        return
    done = threading.Event()

    def deliver_and_tell(result: Any) -> None:
        deliver(result)
        done.set()

    trio.lowlevel.start_thread_soon(work, deliver_and_tell, name)
    done.wait(clock.patience_s)


def _waits_for_idle() -> bool:
    """Whether a test waits for all tasks to be blocked: that comes before time goes on."""
    return bool(trio_core._run.GLOBAL_RUN_CONTEXT.runner.waiting_for_idle)
