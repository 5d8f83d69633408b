"""`meshsim run`: put a question to a simulated sky, and say what came out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from protocols.errors import MeshError
from protocols.types import SECOND
from sim.checkers import Violation
from sim.cli.talk import EXIT_INTERRUPTED, EXIT_UNMET, EXIT_USAGE, fail
from sim.report import Report, as_json, as_rows, report
from sim.scenario import find, read
from sim.staging import Stage, stage

QUIET_S = 2.0
"""Runs that are over by then show no progress."""

STEP_NS = SECOND // 2


def run(
    scenario: Annotated[str, typer.Argument(help="A TOML file, or the name of a bundled one.")],
    seed: Annotated[int, typer.Option(help="One seed, one trace, byte for byte.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Run a scenario. Exit 0: as expected; 1: not so; 2: it cannot be run; 130: interrupted."""
    began = time.perf_counter()
    try:
        path = find(scenario)
        staged = stage(read(path), seed, path.parent)
        with _progress(staged) as say:
            while staged.world.now < staged.end:
                staged.world.run_until(min(staged.world.now + STEP_NS, staged.end))
                say(time.perf_counter() - began)
        result = report(staged, time.perf_counter() - began)
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    except Violation as violation:
        fail(f"an invariant is broken (seed {seed}): {violation}", EXIT_UNMET)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    if json:
        typer.echo(as_json(result))
    else:
        _show(staged, result)
    if not result.met:
        raise typer.Exit(EXIT_UNMET)


class _Say:
    """Progress on stderr, once a run has taken QUIET_S: one line rewritten, or one every 5 s."""

    def __init__(self, staged: Stage, console: Console) -> None:
        self._staged = staged
        self._console = console
        self._next_s = QUIET_S
        self._shown = False

    def __call__(self, spent_s: float) -> None:
        if spent_s < self._next_s:
            return
        tty, world = self._console.is_terminal, self._staged.world
        self._next_s = spent_s + (0.2 if tty else 5.0)
        done = (world.now - self._staged.scenario.start) / SECOND
        total = self._staged.scenario.duration_ns / SECOND
        line = f"{done:.0f} of {total:.0f} s simulated, {world.events:,} events"
        sys.stderr.write(f"\r\x1b[K{line}" if tty else f"{line}\n")
        sys.stderr.flush()
        self._shown = tty

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def _progress(staged: Stage) -> Iterator[_Say]:
    say = _Say(staged, Console(stderr=True))
    try:
        yield say
    finally:
        say.clear()


def _show(staged: Stage, result: Report) -> None:
    console, scenario = Console(), staged.scenario
    console.print(f"[bold]{scenario.name}[/bold]: {' '.join(scenario.question.split())}")
    console.print(f"[dim]Expected:[/dim] {' '.join(scenario.expectation.split())}")
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, how_much in as_rows(result):
        table.add_row(f"[dim]{what}[/dim]", how_much)
    console.print(table)
    for item in result.expectations:
        mark = "[green]met[/green]" if item.met else "[red]not met[/red]"
        console.print(f"{mark}  {item.name} = {item.measured:g} (expected {item.expected:g})")
