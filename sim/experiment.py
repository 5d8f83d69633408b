"""Experiment: one scenario under one driver and one seed, from its file to its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from sim import heap
from sim.mesh import Mesh
from sim.metrics import check_expectations
from sim.outcome import Outcome
from sim.play import Player, Tell
from sim.scenario.drivers import check_driver
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import Document, find, read
from sim.scenario.setting import Setting, setting_of
from sim.script import document_of, load, perform
from sim.trace import Keep

DriverName: TypeAlias = Literal["heap", "full", "real"]


def open_document(word: str) -> Document:
    """A scenario by path (.toml or .py) or bundled name. Raises ScenarioError, with the line."""
    path = find(word)
    return document_of(path) if path.suffix == ".py" else read(path)


def prepare(document: Document) -> Setting:
    """Where it takes place, the same for every driver and seed. Raises ScenarioError."""
    try:
        check_expectations(document.scenario)
        return setting_of(document.scenario, document.folder)
    except ScenarioError as error:
        raise document.located(error) from None


@dataclass(frozen=True, slots=True)
class Pace:
    """How the real driver runs: over how many processes, and how fast mission time goes."""

    processes: int = 2
    speed: float = 1.0


def run_experiment(
    document: Document,
    driver: DriverName,
    seed: int,
    tell: Tell = lambda now: None,
    setting: Setting | None = None,
    pace: Pace | None = None,
    keep: Keep | None = None,
) -> Outcome:
    """Run it; `keep` takes the trace, where the driver has one.

    Raises ScenarioError for what cannot be run, `Violation` for a broken invariant.
    """
    scenario = document.scenario
    setting = setting or prepare(document)
    try:
        check_driver(scenario, driver)
        script = load(document.folder / Path(scenario.script)) if scenario.script else None

        async def body(mesh: Mesh) -> Outcome:
            player = Player(scenario, setting, mesh, tell)
            if script is not None:
                await perform(script, player)
            return await player.finish()

        return _carrier(driver, pace or Pace(), keep)(scenario, setting, seed, body)
    except ScenarioError as error:
        raise document.located(error) from None


def _carrier(driver: DriverName, pace: Pace, keep: Keep | None) -> Callable[..., Outcome]:
    """Who runs a body over a mesh. Those with libp2p are imported when asked for."""
    if driver == "heap":
        return partial(heap.carry, keep=keep)
    if driver == "full":
        from sim import full

        return partial(full.carry, keep=keep)
    if driver == "real":
        from sim import real

        return partial(real.carry, processes=pace.processes, speed=pace.speed)
    raise ScenarioError(f"no driver is called {driver!r}; known are full, heap, real")
