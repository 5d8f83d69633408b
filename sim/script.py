"""Scripts: experiments in Python, over a mesh of any driver, or over a `World`."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from meshd.ephemeris import parse_duration
from protocols.types import SECOND, Instant
from sim.heap import HeapMesh
from sim.outcome import JobFate, PacketFate
from sim.play import Player
from sim.scenario.actions import (
    Action,
    Heal,
    Kill,
    Outage,
    Partition,
    Ping,
    Restart,
    Restore,
    Send,
    Skew,
    Start,
    Submit,
)
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import Document, from_mapping
from sim.scenario.steps import resolve

Length: TypeAlias = float | str
"""Seconds as a number, or text such as `90s`."""

_OPENING = re.compile(
    r"Question:\s*(?P<question>.+?)\s*Method:\s*(?P<method>.+?)\s*"
    r"Expectation:\s*(?P<expectation>.+?)\s*\Z",
    re.DOTALL,
)


class ScriptMesh:
    """What `experiment(mesh)` is given: a mesh by name, in seconds. Nodes may be patterns."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._mesh = player.mesh
        self.seed = player.mesh.seed
        self.names = player.setting.names
        self.stations = player.setting.stations
        self.plan = player.setting.plan

    @property
    def now(self) -> Instant:
        """Mission time."""
        return self._mesh.now

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return (self._mesh.now - self._mesh.start) / SECOND

    async def run_until(self, at: Length) -> None:
        """Let time go on to an instant after the start; the timeline goes on with it."""
        await self._player.run_until(self._mesh.start + _ns(at))

    async def run_for(self, length: Length) -> None:
        await self._player.run_until(self._mesh.now + _ns(length))

    async def do(self, action: Action) -> str:
        """Any action of a timeline, now; the name of the packet or job that began, else ""."""
        return await self._player.act(resolve(action, self.names))

    async def start(self, *nodes: str) -> None:
        await self.do(Start(nodes=nodes))

    async def kill(self, *nodes: str) -> None:
        await self.do(Kill(nodes=nodes))

    async def restart(self, *nodes: str) -> None:
        await self.do(Restart(nodes=nodes))

    async def partition(self, *nodes: str) -> None:
        await self.do(Partition(nodes=nodes))

    async def heal(self) -> None:
        await self.do(Heal())

    async def outage(self, *nodes: str) -> None:
        await self.do(Outage(nodes=nodes))

    async def restore(self, *nodes: str) -> None:
        await self.do(Restore(nodes=nodes))

    async def skew(self, *nodes: str, by: str) -> None:
        await self.do(Skew(nodes=nodes, by=by))

    async def send(self, source: str, destination: str, size_bytes: int = 256) -> str:
        """The name of the packet, for `packet`."""
        return await self.do(Send(source=source, destination=destination, size_bytes=size_bytes))

    async def ping(self, source: str, destination: str) -> str:
        return await self.do(Ping(source=source, destination=destination))

    async def submit(self, source: str, sink: str, **spec: Any) -> str:
        """The name of the job, for `job`. `spec`: shards, estimate_s... as in `[[jobs]]`."""
        return await self.do(Submit(source=source, sink=sink, **spec))

    async def packet(self, name: str) -> PacketFate:
        """What has become of a packet so far."""
        fates = (await self._mesh.outcome()).packets
        return next(fate for fate in fates if fate.packet == name)

    async def job(self, name: str) -> JobFate:
        """What has become of a job so far."""
        return next(fate for fate in (await self._mesh.outcome()).jobs if fate.job == name)

    def measure(self, name: str, value: float) -> None:
        """A figure of the experiment's own: reported, and open to `expect`."""
        self._player.measured[name] = float(value)

    def claim(self, holds: bool, what: str) -> None:
        """Something that should be true; a run with a broken claim has failed."""
        if not holds:
            self._player.broken.append(what)


async def perform(script: Callable[..., Any], player: Player) -> None:
    """Run an experiment. A plain function gets the `World`, and so needs the heap driver; what it
    returns, if anything, are its measures."""
    if inspect.iscoroutinefunction(script):
        coroutine: Awaitable[None] = script(ScriptMesh(player))
        await coroutine
    elif isinstance(player.mesh, HeapMesh):
        player.measured.update(script(player.mesh.world) or {})
    else:
        raise ScenarioError("a plain `def experiment(world)` needs the heap driver")


def load(path: Path) -> Callable[..., Any]:
    """The `experiment` of a Python file. Raises ScenarioError."""
    experiment: Callable[..., Any] | None = getattr(_module(path), "experiment", None)
    if experiment is None:
        raise ScenarioError(f"{path} defines no `experiment`", "script")
    return experiment


def document_of(path: Path) -> Document:
    """A Python experiment as a scenario: its `SCENARIO` mapping, its docstring for the question.

    The docstring opens with `Question:`, `Method:` and `Expectation:`.
    """
    module = _module(path)
    opening = _OPENING.search(inspect.cleandoc(module.__doc__ or ""))
    if opening is None:
        raise ScenarioError(f"{path} must open with Question:, Method: and Expectation:")
    mapping: dict[str, Any] = getattr(module, "SCENARIO", {})
    scenario = from_mapping(
        {"name": path.stem, **opening.groupdict(), **mapping, "script": path.name}
    )
    return Document(path, "", scenario)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ScenarioError(f"cannot read {path}", "script")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ScenarioError(f"{path}:{error.lineno}: {error.msg}", "script") from None
    return module


def _ns(length: Length) -> int:
    return parse_duration(length) if isinstance(length, str) else round(length * SECOND)
