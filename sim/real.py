"""RealMesh: the real driver. The same daemons in processes of their own, on loopback TCP.

A controller starts yards (sim/yard.py) and gives them orders over their standard input and output;
the daemons know each other by roster and gossip alone. All follow one mission clock, in real time
or faster; frames are held for their light time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import rmtree
from subprocess import PIPE
from typing import IO, Any, TypeVar

import msgspec
import trio
from msgspec.structs import replace

from meshd.daemon.demo import first_error
from protocols.errors import InputError, MeshError
from protocols.types import MILLISECOND, SECOND, Duration, Instant, PacketId
from sim.channel import Answer, Ask, Channel, FromYard, Heard, Refusal, Setup
from sim.crew import Hear
from sim.daemons import DaemonMesh
from sim.mesh import Mesh
from sim.orders import A, Order, SetOff, answer_type
from sim.outcome import LATE, Outcome
from sim.realclock import HeldClock
from sim.scenario.errors import ScenarioError
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting

T = TypeVar("T")

BEHIND_MAX_NS = 20 * SECOND
"""A run that is later is ended: its leases and time-outs, of 6 s, have long judged the computer."""

PROCESSES_MAX = 64
SPEED_MAX = 10.0
"""Leases and time-outs are mission time; software is not faster for it."""

SET_OFF_NS = 100 * MILLISECOND
"""What an order to set off takes to reach every yard."""

END_S = 10.0
"""A yard that has not ended by then is killed."""

LAST_WORDS = 2_000


class RemoteYard:
    """A `Host` in another process. `run` hears it, until `closing`."""

    def __init__(self, name: str, process: trio.Process, log: IO[bytes], hear: Hear) -> None:
        self.name, self.process = name, process
        assert process.stdin is not None and process.stdout is not None
        self.channel: Channel[FromYard] = Channel(process.stdout, process.stdin, FromYard)
        self.closing = False
        self._log, self._hear = log, hear
        self._asked = 0
        self._waiting: dict[int, tuple[trio.Event, list[Answer | Refusal]]] = {}

    async def do(self, order: Order[A]) -> A:
        """Raises MeshError with what the yard refused it for."""
        self._asked += 1
        number = self._asked
        came, box = self._waiting[number] = (trio.Event(), [])
        with suppress(trio.BrokenResourceError):  # it is dead: `run` says so
            await self.channel.send(Ask(number, order))  # type: ignore[arg-type]
        await came.wait()
        answer = box[0]
        if isinstance(answer, Refusal):
            raise MeshError(answer.code, answer.message)
        found: A = msgspec.msgpack.decode(answer.body, type=answer_type(type(order)))
        return found

    async def run(self) -> None:
        """Take what it says to whom it concerns. Raises MeshError "yard-died"."""
        while (message := await self.channel.receive()) is not None:
            if isinstance(message, Heard):
                self._hear(message.happening, message.at)
            else:
                came, box = self._waiting.pop(message.number)
                box.append(message)
                came.set()
        if not self.closing:
            code = await self.process.wait()
            ended = f"{self.name} ended with code {code}. {self._last_words()}"
            raise MeshError("yard-died", ended)

    def _last_words(self) -> str:
        self._log.seek(0, 2)
        self._log.seek(max(0, self._log.tell() - LAST_WORDS))
        said = self._log.read().decode(errors="replace").strip()
        return f"Its last words:\n{said}" if said else "It said nothing."

    async def end(self) -> None:
        """Have it end, and its daemons and their homes with it."""
        self.closing = True
        assert self.process.stdin is not None
        with trio.move_on_after(END_S):
            await self.process.stdin.aclose()
            await self.process.wait()
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self._log.close()


class RealMesh(DaemonMesh):
    """A `Mesh` of daemons in yards."""

    driver = "real"

    def __init__(
        self,
        scenario: Scenario,
        setting: Setting,
        seed: int,
        nursery: trio.Nursery,
        speed: float,
    ) -> None:
        super().__init__(scenario, setting, seed, nursery)
        self.clock = HeldClock(scenario.start, speed)
        self._late_ns: Duration = 0
        """The most by which something due was done late: this computer did not keep up."""

    async def _set_off(self) -> None:
        real = self.clock.real() + SET_OFF_NS
        await self._ask([(host, SetOff(real)) for host in self.hosts])
        await self.clock.set_off(real)

    @property
    def now(self) -> Instant:
        return self.clock.now()

    async def run_until(self, at: Instant) -> None:
        """Raises MeshError "fell-behind": what would come of such a run says nothing of a mesh."""
        await trio.sleep(self.clock.real_seconds_until(at))
        self._late_ns = max(self._late_ns, self.now - at)
        if self._late_ns > BEHIND_MAX_NS:
            raise MeshError("fell-behind", self._behind(at))

    def _behind(self, at: Instant) -> str:
        speed, yards, cores = self.clock.speed, len(self.hosts), os.cpu_count() or 1
        more = f" --processes {cores}," if yards < cores else ""
        return (
            f"{(at - self.start) / SECOND:.0f} s after the start this computer was"
            f" {self._late_ns / SECOND:.1f} s late: {len(self._alive)} daemons in {yards} processes"
            f" at speed {speed:g} are more than its {cores} processors carry beside all else (load"
            f" {os.getloadavg()[0]:.1f}). Try --speed {speed / 4:g},{more} or end what else runs;"
            f" --driver full needs no real time"
        )

    async def outcome(self) -> Outcome:
        outcome = await super().outcome()
        counters = {**outcome.counters, LATE: self._late_ns / MILLISECOND}
        return replace(outcome, counters=counters)

    async def _held(self) -> set[PacketId]:
        """Looked for thrice: a packet may pass to a yard that was asked from one that was not."""
        held: set[PacketId] = set()
        for _ in range(3):
            held |= await super()._held()
        return held


@asynccontextmanager
async def open_yards(
    count: int, setup: Callable[[Path], Setup], hear: Hear
) -> AsyncIterator[tuple[RemoteYard, ...]]:
    """Yards, each with a folder for its homes; in the end no process and no folder is left."""
    folder = Path(tempfile.mkdtemp(prefix="meshd-real-"))
    yards: list[RemoteYard] = []
    try:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                yard = await _start(f"yard {number + 1} of {count}", hear)
                yards.append(yard)
                nursery.start_soon(yard.run)
                await yard.channel.send(setup(folder / f"yard-{number}"))
            yield tuple(yards)
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for yard in yards:
                    nursery.start_soon(yard.end)
            await trio.to_thread.run_sync(lambda: rmtree(folder, ignore_errors=True))


async def _start(name: str, hear: Hear) -> RemoteYard:
    """A session of its own: Ctrl-C is for the controller, who then ends its yards."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the yard's, until its end
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "sim.yard"],
        stdin=PIPE,
        stdout=PIPE,
        stderr=log,
        start_new_session=True,
    )
    return RemoteYard(name, process, log, hear)


def carry(
    scenario: Scenario,
    setting: Setting,
    seed: int,
    body: Callable[[Mesh], Coroutine[Any, Any, T]],
    processes: int = 2,
    speed: float = 1.0,
) -> T:
    """Run a body over a mesh of this driver: a trio run and some processes of its own.

    Raises InputError for what cannot be carried, MeshError "yard-died".
    """
    if not 1 <= processes <= PROCESSES_MAX:
        raise InputError("bad-processes", f"1 to {PROCESSES_MAX} processes, not {processes}")
    if not 0 < speed <= SPEED_MAX:
        raise InputError("bad-speed", f"real daemons go at most {SPEED_MAX:g} times as fast")
    if scenario.link.loss:
        why = "loopback TCP loses nothing (under full, what is lost comes late)"
        raise ScenarioError(f"the real driver needs link.loss = 0: {why}", "link.loss")

    async def main() -> T:
        def setup(homes: Path) -> Setup:
            return Setup(scenario, str(setting.folder), str(homes), seed, speed)

        async with trio.open_nursery() as nursery:
            mesh = RealMesh(scenario, setting, seed, nursery, speed)
            count = min(processes, len(setting.names))
            async with open_yards(count, setup, mesh.tally.hear) as yards:
                mesh.hosts = yards
                await mesh.launch()
                result = await body(mesh)
            nursery.cancel_scope.cancel()
        return result

    try:
        return trio.run(main)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
