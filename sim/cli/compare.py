"""`meshsim compare`: runs, drivers or settings side by side, and whether they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from protocols.errors import InputError, MeshError
from sim.cli.options import AsJson
from sim.cli.talk import EXIT_USAGE, fail
from sim.results.compare import Cell, Comparison, Row, compare, groups_of
from sim.results.interval import Interval
from sim.results.units import figure

VERDICTS = {"higher": "yellow", "lower": "yellow", "differs": "yellow", "same": "green"}


def compare_(
    folders: Annotated[
        list[Path], typer.Argument(help="Two or more runs or groups of runs, or one sweep.")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Counters and notes too.")] = False,
    json: AsJson = False,
) -> None:
    """Set runs side by side: medians, and the 95 % interval of each difference to the first.

    A folder is a run, or holds runs of several seeds; of a sweep each setting is a column. Exit
    0, whatever they say; 2: nothing to compare.

    Example: meshsim compare runs/quickstart-heap-1 runs/quickstart-full-1
    """
    try:
        groups = groups_of(folders)
        if len(groups) < 2:
            said = "one group alone: name two folders, or a sweep of several settings"
            raise InputError("nothing-to-compare", said)
        comparison = compare(groups, everything)
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    if json:
        typer.echo(msgspec.json.encode(comparison).decode())
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric")
    for label in comparison.groups:
        table.add_column(label, justify="right", overflow="fold")
    if len(set(comparison.scenarios)) > 1:
        table.add_row("[dim]scenario[/dim]", *comparison.scenarios)
    table.add_row("[dim]driver[/dim]", *comparison.drivers)
    table.add_row("[dim]as expected[/dim]", *(f"{met} of {runs}" for met, runs in comparison.met))
    for row in comparison.rows:
        table.add_row(
            _named(row),
            *(_cell(cell, n) for cell, (_, n) in zip(row.cells, comparison.met, strict=True)),
        )
    console.print(table)
    if any(runs > 1 for _, runs in comparison.met):
        console.print(
            "[dim]Medians; in brackets the 95 % interval of the difference to the first column "
            "(bootstrap, pairs of one seed where both have it). (of 3): only so many runs had the "
            "figure.[/dim]"
        )


def _named(row: Row) -> str:
    return f"{row.metric} [dim]{row.unit}[/dim]" if row.unit else row.metric


def _cell(cell: Cell, runs: int) -> str:
    if cell.value.median is None:
        return "[dim]none[/dim]"
    text = figure(cell.value.median)
    if cell.value.n < runs:
        text += f" [dim](of {cell.value.n})[/dim]"
    if cell.verdict == "" or cell.difference is None:
        return text
    colour = VERDICTS.get(cell.verdict, "dim")
    return f"{text}  [{colour}]{cell.verdict}[/{colour}]{_between(cell.difference)}"


def _between(apart: Interval) -> str:
    if apart.low is None or apart.high is None or apart.low == apart.high == 0:
        return ""
    return f" [dim]\\[{_signed(apart.low)} to {_signed(apart.high)}][/dim]"


def _signed(value: float) -> str:
    return f"+{figure(value)}" if value > 0 else figure(value)
