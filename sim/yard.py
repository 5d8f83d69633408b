"""Yard: one process of a real run. Daemons on real sockets and disks, and orders from a pipe.

`python -m sim.yard` is started by sim/real.py; it lives until its standard input ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio.lowlevel

from meshd.adapters.executor import WorkerPool
from meshd.daemon.daemon import Daemon, Light
from meshd.daemon.demo import first_error
from meshd.daemon.fleet import open_fleet
from meshd.driver import Happening
from meshd.ports import ExecutorPort
from meshd.seam import (
    Event,
    LetterKept,
    LetterSettled,
    Note,
    PayloadArrived,
    PayloadLost,
    ReportJob,
)
from protocols.errors import MeshError
from protocols.types import SECOND, Instant, LinkId, NodeId
from sim.channel import Answer, Ask, Channel, FromYard, Heard, Refusal, Setup, ToYard
from sim.crew import Crew
from sim.ground import Ground, Ways
from sim.links import SILENCE_NS
from sim.orders import Bar, Order
from sim.realclock import HeldClock
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting, setting_of
from sim.work import ModelledWork

TELLING_MAX = 65_536
"""Messages that wait for the controller to read them."""


class RealGround(Ground):
    """What daemons of a yard stand on: real sockets, held for the light time of a medium's paths.

    Shards are modelled: they take their estimate on the mission's clock, so jobs are placed, and
    end, as under the other drivers. Worker processes, two seconds of import each, are what
    `meshd demo` and the tests of the daemon show.
    """

    def __init__(
        self, seed: int, clock: HeldClock, nursery: trio.Nursery, setting: Setting, ways: Ways
    ) -> None:
        super().__init__(seed, clock, WorkerPool(), setting.plan, ways)
        self.furnish(setting.names, setting.cables)
        self._held_clock, self._nursery = clock, nursery
        self._names = {self.node_of(name): name for name in setting.names}
        self._daemons: dict[str, Daemon] = {}

    # --- Mission --------------------------------------------------------------------------------

    def now(self) -> Instant:
        return self.clock.now()

    def at(self, instant: Instant, call: Callable[..., None], *arguments: Any) -> None:
        """Call when mission time is there."""
        self._nursery.start_soon(self._call_at, instant, call, arguments)

    async def _call_at(
        self, instant: Instant, call: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        await trio.sleep(self.clock.real_seconds_until(instant))
        call(*arguments)

    # --- Ground ---------------------------------------------------------------------------------

    async def set_off(self, real: Instant) -> None:
        await self._held_clock.set_off(real)

    def bar(self, order: Bar) -> None:
        """Links across a cut fall silent, at either end by itself."""
        super().bar(order)
        for name, daemon in self._daemons.items():
            for info in daemon.links.peers():
                if not self._joined(name, info.node):
                    self.at(self.now() + SILENCE_NS, self._silent, daemon, info.link, info.node)

    def _silent(self, daemon: Daemon, link: LinkId, peer: NodeId) -> None:
        if not self._joined(daemon.name, peer):
            daemon.links.break_off(link, "silent")

    def _joined(self, name: str, peer: NodeId) -> bool:
        there = self._names.get(peer)
        return there is not None and self.medium.joined(self.end_of(name), self.end_of(there))

    # --- Shared ---------------------------------------------------------------------------------

    def light(self, daemon: Daemon) -> Light:
        self._daemons[daemon.name] = daemon
        return "held"

    def light_seconds(self, daemon: Daemon, peer: NodeId) -> float:
        there, now = self._names.get(peer), self.now()
        here = self.end_of(daemon.name)
        path = self.medium.path(here, self.end_of(there), now) if there else None
        return path.light(now) / SECOND / self.clock.speed if path else float("inf")

    def executor(self, daemon: Daemon, post: Callable[[Event], None]) -> ExecutorPort:
        return ModelledWork(self, daemon.blobs, post, self.ways.speed)


class Yard:
    """A crew that is told what to do by another process."""

    def __init__(self, channel: Channel[ToYard]) -> None:
        self._channel = channel
        self._send, self._telling = trio.open_memory_channel[FromYard](TELLING_MAX)

    async def run(self) -> None:
        """Until the other process has nothing more to say."""
        setup = await self._channel.receive()
        if not isinstance(setup, Setup):
            return
        setting = setting_of(setup.scenario, Path(setup.folder))
        try:
            await self._live(setup, setting)
        finally:
            with suppress(OSError):
                Path(setup.homes).parent.rmdir()  # the last of several yards finds it empty

    async def _live(self, setup: Setup, setting: Setting) -> None:
        scenario = setup.scenario
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_all)
            clock = HeldClock(scenario.start, setup.speed)
            ground = RealGround(setup.seed, clock, nursery, setting, _ways(scenario))
            async with open_fleet(ground, Path(setup.homes)) as fleet:
                crew = Crew(scenario, setting, ground, fleet, self._hear)
                while (ask := await self._channel.receive()) is not None:
                    if isinstance(ask, Ask):
                        fleet.nursery.start_soon(self._answer, crew, ask)
            nursery.cancel_scope.cancel()

    async def _answer(self, crew: Crew, ask: Ask) -> None:
        try:
            order: Order[Any] = ask.order
            answer = await crew.do(order)
        except MeshError as error:
            self._tell(Refusal(ask.number, error.code, error.message))
        else:
            self._tell(Answer(ask.number, msgspec.Raw(msgspec.msgpack.encode(answer))))

    def _hear(self, happening: Happening, at: Instant) -> None:
        match happening:
            case PayloadArrived():  # what it carries is nobody's business
                self._tell(Heard(at, arrived=replace(happening, payload=b"")))
            case PayloadLost():
                self._tell(Heard(at, lost=happening))
            case Note():
                self._tell(Heard(at, note=happening))
            case ReportJob():
                self._tell(Heard(at, report=happening))
            case LetterKept():
                self._tell(Heard(at, kept=happening))
            case LetterSettled():
                self._tell(Heard(at, settled=happening))

    def _tell(self, message: FromYard) -> None:
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            raise MeshError("yard-unheard", f"{TELLING_MAX} messages wait to be read") from None

    async def _tell_all(self) -> None:
        async for message in self._telling:
            await self._channel.send(message)


def _ways(scenario: Scenario) -> Ways:
    return Ways(scenario.link.loss, scenario.node.speed)


async def _main(inbound: int, outbound: int) -> None:
    async with trio.lowlevel.FdStream(inbound) as read, trio.lowlevel.FdStream(outbound) as write:
        await Yard(Channel(read, write, ToYard)).run()


def main() -> None:
    """Exit 0 when the input has ended, 1 with a line on stderr when something failed."""
    inbound, outbound = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # whoever prints does not talk into the protocol
    try:
        trio.run(_main, inbound, outbound)
    except BaseExceptionGroup as group:
        error = first_error(group)
        if isinstance(error, trio.BrokenResourceError):
            sys.exit(1)  # the controller is gone
        if not isinstance(error, MeshError):
            raise
        sys.exit(f"{error.code}: {error.message}")


if __name__ == "__main__":
    main()
