"""`meshsim run`: put a question to a mesh under one of three drivers, and say what came out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from protocols.errors import MeshError
from protocols.types import SECOND, Instant
from sim.checkers import Violation
from sim.cli import beside
from sim.cli.talk import EXIT_INTERRUPTED, EXIT_UNMET, EXIT_USAGE, fail
from sim.experiment import DriverName, Pace, open_document, run_experiment
from sim.outcome import Outcome
from sim.parity import Agreement
from sim.result import Result, as_rows, result_of
from sim.scenario.reading import Document
from sim.scenario.schema import Scenario

QUIET_S = 2.0
"""Runs that are over by then show no progress."""


def run(
    scenario: Annotated[
        str, typer.Argument(help="A TOML or Python file, or the name of a bundled scenario.")
    ],
    driver: Annotated[
        beside.AnyDriver,
        typer.Option(
            help="heap: pure nodes, modelled links; full: whole daemons in simulated time; "
            "real: daemons on loopback; all: one after the other, side by side."
        ),
    ] = "heap",
    seed: Annotated[int, typer.Option(help="One seed, one trace, byte for byte.")] = 1,
    processes: Annotated[int, typer.Option(help="Of the real driver, for its daemons.")] = 2,
    speed: Annotated[float, typer.Option(help="Of the real driver's mission time.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Run a scenario. Exit 0: as expected; 1: not so; 2: it cannot be run; 130: interrupted.

    Example: meshsim run quickstart --driver full --seed 7
    """
    try:
        document = open_document(scenario)
        with _progress(document.scenario) as say:
            run_one = partial(_run, document, seed, Pace(processes, speed), say)
            if driver == "all":
                met = _tell_all(beside.run_all(run_one), json)
            else:
                met = _tell_one(document.scenario, run_one(driver), json)
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    except Violation as violation:
        fail(f"an invariant is broken (seed {seed}): {violation}", EXIT_UNMET)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    if not met:
        raise typer.Exit(EXIT_UNMET)


def _run(document: Document, seed: int, pace: Pace, say: _Say, driver: DriverName) -> beside.Run:
    began = time.perf_counter()
    outcome = run_experiment(document, driver, seed, say, pace)
    return result_of(document.scenario, outcome, time.perf_counter() - began), outcome


def _tell_one(scenario: Scenario, ran: beside.Run, json: bool) -> bool:
    """Say what came out. Gives whether it was as expected."""
    result, outcome = ran
    if json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        _show(scenario, result, outcome)
    return result.met


def _tell_all(ran: tuple[list[beside.Run], list[Agreement]], json: bool) -> bool:
    """Say how the drivers compare. Gives whether all did as expected, and alike."""
    runs, agreements = ran
    if json:
        typer.echo(msgspec.json.encode(beside.as_json(runs, agreements)).decode())
    else:
        beside.show(runs, agreements, Console())
    return all(result.met for result, _ in runs) and all(found.holds for found in agreements)


class _Say:
    """Progress on stderr, once a run has taken QUIET_S: one line rewritten, or one every 5 s."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        self._scenario = scenario
        self._console = console
        self._began = time.perf_counter()
        self._next_s = QUIET_S
        self._shown = False

    def __call__(self, now: Instant) -> None:
        spent_s = time.perf_counter() - self._began
        if spent_s < self._next_s:
            return
        tty = self._console.is_terminal
        self._next_s = spent_s + (0.2 if tty else 5.0)
        done = (now - self._scenario.start) / SECOND
        line = f"{done:.0f} of {self._scenario.duration_ns / SECOND:.0f} s simulated"
        sys.stderr.write(f"\r\x1b[K{line}" if tty else f"{line}\n")
        sys.stderr.flush()
        self._shown = tty

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def _progress(scenario: Scenario) -> Iterator[_Say]:
    say = _Say(scenario, Console(stderr=True))
    try:
        yield say
    finally:
        say.clear()


def _show(scenario: Scenario, result: Result, outcome: Outcome) -> None:
    console = Console()
    console.print(f"[bold]{scenario.name}[/bold]: {' '.join(scenario.question.split())}")
    console.print(f"[dim]Expected:[/dim] {' '.join(scenario.expectation.split())}")
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, how_much in as_rows(result, outcome):
        table.add_row(f"[dim]{what}[/dim]", how_much)
    console.print(table)
    for item in result.expectations:
        mark = "[green]met[/green]" if item.met else "[red]not met[/red]"
        console.print(f"{mark}  {item.name} = {item.measured:g} (expected {item.expected:g})")
    for claim in result.broken:
        console.print(f"[red]broken[/red]  {claim}")
