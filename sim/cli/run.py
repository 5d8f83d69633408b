"""`meshsim run`: put a question to a mesh under one of three drivers, and say what came out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from protocols.errors import MeshError
from protocols.types import SECOND, Instant
from sim.checkers import Violation
from sim.cli.beside import DRIVERS, as_json, show
from sim.cli.options import AnyDriver, AsJson, ScenarioWord
from sim.cli.talk import EXIT_INTERRUPTED, EXIT_UNMET, EXIT_USAGE, fail
from sim.experiment import DriverName, Pace, open_document, prepare, run_experiment
from sim.outcome import Outcome
from sim.parity import compare
from sim.result import Result, as_rows, doubt, result_of
from sim.results.chart import chart_of
from sim.results.folder import REPORT, Run, check_free, default_folder, write
from sim.results.tracefile import TraceFile
from sim.scenario.changes import Change, changed, parse_change
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import Document
from sim.scenario.schema import Scenario

QUIET_S = 2.0
"""Runs that are over by then show no progress."""


def run(
    scenario: ScenarioWord,
    driver: AnyDriver = "heap",
    seed: Annotated[int, typer.Option(help="One seed, one trace, byte for byte.")] = 1,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A word of the scenario otherwise: link.loss=0.01. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="What the run leaves: report, tables, figures. Default: in runs/."),
    ] = None,
    no_out: Annotated[bool, typer.Option("--no-out", help="Leave nothing behind.")] = False,
    processes: Annotated[int, typer.Option(help="How many host the daemons of `real`.")] = 2,
    speed: Annotated[float, typer.Option(help="Of mission time under `real`; at most 10.")] = 1.0,
    json: AsJson = False,
) -> None:
    """Run a scenario. Exit 0: as expected; 1: not so; 2: it cannot be run; 130: interrupted.

    Example: meshsim run quickstart --driver full --seed 7
    """
    try:
        document, said = _asked(scenario, changes or [])
        pace = Pace(processes, speed)
        folders = _folders(document, said, driver, seed, out) if not no_out else {}
        runs = [
            _carry_out(document, said, _How(each, seed, pace), folders.get(each))
            for each in (DRIVERS if driver == "all" else (driver,))
        ]
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    except Violation as violation:
        fail(f"an invariant is broken (seed {seed}): {violation}", EXIT_UNMET)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    met = _say_one(document.scenario, *runs[0], json) if driver != "all" else _say_all(runs, json)
    for folder in folders.values():
        typer.echo(f"report: {folder / REPORT}", err=True)
    for why in filter(None, (doubt(result) for result, _ in runs)):
        fail(f"fell-behind: {why}", EXIT_USAGE)
    if not met:
        raise typer.Exit(EXIT_UNMET)


@dataclass(frozen=True, slots=True)
class _How:
    driver: DriverName
    seed: int
    pace: Pace


def _folders(
    document: Document,
    changes: tuple[Change, ...],
    driver: str,
    seed: int,
    out: Path | None,
) -> dict[DriverName, Path]:
    """What is left where, by driver; that a folder is taken is found before any runs."""
    name, folders = document.scenario.name, {}
    for each in DRIVERS:
        if driver in (each, "all"):
            beside = out / each if out is not None and driver == "all" else out
            folders[each] = beside or default_folder(name, changes, each, seed)
            check_free(folders[each], name, each, seed)
    return folders


def _say_one(scenario: Scenario, result: Result, outcome: Outcome, json: bool) -> bool:
    """Say what came out. Gives whether it was as expected."""
    if json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        _show(scenario, result, outcome)
    return result.met


def _say_all(runs: list[tuple[Result, Outcome]], json: bool) -> bool:
    """Say how the drivers compare. Gives whether all did as expected, and alike."""
    agreements = [compare(runs[0][1], outcome) for _, outcome in runs[1:]]
    results = [result for result, _ in runs]
    if json:
        typer.echo(msgspec.json.encode(as_json(results, agreements)).decode())
    else:
        show(results, agreements, Console())
    return all(result.met for result in results) and all(found.holds for found in agreements)


def _carry_out(
    document: Document,
    changes: tuple[Change, ...],
    how: _How,
    folder: Path | None,
) -> tuple[Result, Outcome]:
    """Run it and leave what it leaves."""
    setting = prepare(document)
    began = time.perf_counter()
    with _progress(document.scenario) as say:
        trace = TraceFile() if folder is not None and how.driver != "real" else None
        keep = None if trace is None else trace.add
        outcome = run_experiment(document, how.driver, how.seed, say, setting, how.pace, keep)
    result = result_of(document.scenario, outcome, time.perf_counter() - began)
    if folder is not None:
        chart = chart_of(setting, document.scenario.start)
        write(folder, Run(document, changes, result, outcome, chart, trace))
    return result, outcome


def _asked(word: str, texts: list[str]) -> tuple[Document, tuple[Change, ...]]:
    """The scenario, and what of it was set otherwise. Raises ScenarioError."""
    document, changes = open_document(word), []
    for path, values in map(parse_change, texts):
        if len(values) > 1:
            raise ScenarioError(f"one run has one {path}; `meshsim sweep` takes several")
        changes.append((path, values[0]))
    said = tuple(changes)
    return replace(document, scenario=changed(document.scenario, said)), said


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
