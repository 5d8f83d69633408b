"""`meshsim sweep`: one scenario under many seeds and settings, on this machine or on many."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from protocols.errors import InputError, MeshError
from sim.cli.options import AsJson, Driver, ScenarioWord
from sim.cli.talk import EXIT_INTERRUPTED, EXIT_UNMET, EXIT_USAGE, fail
from sim.experiment import DriverName, open_document, prepare
from sim.results.dask import DaskWorkers
from sim.results.folder import REPORT
from sim.results.sweep import (
    Plan,
    Progress,
    Summary,
    Sweep,
    Tell,
    carry,
    default_place,
    parse_axes,
    parse_seeds,
)
from sim.results.trial import Trial, trials_of
from sim.results.workers import LocalWorkers


def sweep(
    scenario: ScenarioWord,
    seeds: Annotated[str, typer.Option(help="0..31, or 1,2,5.")] = "0..7",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Values to try: link.loss=0,0.01,0.05. Repeatable: all pairs."),
    ] = None,
    driver: Driver = "heap",
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Processes. Default: one a core.")
    ] = None,
    dask: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A Dask scheduler: tcp://10.0.0.7:8786.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Its folder. Default: in runs/.")] = None,
    json: AsJson = False,
) -> None:
    """Run every setting under every seed. What is finished is not run again: after Ctrl-C the
    same command goes on. Exit 0: all as expected; 1: not so; 2: it cannot be run; 130: interrupted.

    Example: meshsim sweep quickstart --seeds 0..31 --set link.loss=0,0.01,0.05 --jobs 2
    """
    place = out
    try:
        if dask and jobs is not None:
            raise InputError("bad-options", "give --jobs or --dask: a cluster has its own workers")
        asked = _asked(scenario, driver, seeds, changes or [])
        place = out or default_place(asked.plan.scenario, driver)
        workers = DaskWorkers(dask) if dask else LocalWorkers(jobs or os.cpu_count() or 1)
        with _progress() as tell:
            summary = carry(asked._replace(place=place), workers, tell)
        _report(place)
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    except KeyboardInterrupt:
        kept = (
            f"; what is finished is kept in {place}, and the same command goes on" if place else ""
        )
        fail(f"interrupted{kept}", EXIT_INTERRUPTED)
    if json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        _show(summary)
    for failure in summary.failed:
        set_ = "".join(f" {path}={value}" for path, value in failure.changes)
        said = f"seed {failure.seed}{set_} came to nothing: {failure.code}: {failure.message}"
        typer.echo(said, err=True)
    typer.echo(f"report: {place / REPORT}", err=True)
    if summary.failed or summary.met < summary.runs:
        raise typer.Exit(EXIT_UNMET)


def _asked(word: str, driver: DriverName, seeds: str, texts: list[str]) -> Sweep:
    """All that is to be run, and that it can be, as far as that is known before."""
    document = open_document(word)
    axes, wanted = parse_axes(texts), parse_seeds(seeds)
    trials = trials_of(document, axes, driver, wanted)
    prepare(document)
    words = ["meshsim", "sweep", word, "--driver", driver, "--seeds", seeds]
    for text in texts:
        words += ["--set", text]
    scenario = document.scenario
    plan = Plan(scenario.name, driver, axes, wanted, shlex.join(words), scenario)
    return Sweep(Path(), plan, document, trials)


def _report(place: Path) -> None:
    """Draw the page, when any run is finished. Imports matplotlib."""
    from sim.results.sweep_report import read_swept, write_sweep_report

    try:
        swept = read_swept(place)
    except InputError:
        return  # every run failed: that is told, and there is nothing to draw
    write_sweep_report(place / REPORT, swept)


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on stderr when that is a terminal, else a line a run."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    began = time.perf_counter()
    with Bar(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("sweep", total=None)

        def tell(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=_named(progress.last) or "sweep",
            )
            if console.is_terminal:
                return
            if progress.last is not None:
                trouble = f", {progress.trouble}" if progress.trouble else ""
                spent_s = time.perf_counter() - began
                line = f"{progress.done} of {progress.total}: {_named(progress.last)}{trouble}"
                typer.echo(f"{line}, after {spent_s:.0f} s", err=True)
            elif progress.done:
                typer.echo(f"{progress.done} of {progress.total} were run before", err=True)

        yield tell


def _named(trial: Trial | None) -> str:
    if trial is None:
        return ""
    return " ".join([f"seed {trial.seed}", *(f"{path}={value}" for path, value in trial.changes)])


def _show(summary: Summary) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("set")
    for column in ("runs", "as expected", "delivered", "lost", "latency, ms", "beyond, us"):
        table.add_column(column, justify="right")
    for setting in summary.settings:
        said = ", ".join(f"{path}={value}" for path, value in setting.changes) or "as written"
        names = ("packets_delivered", "packets_lost", "latency_ms_p50", "excess_us_p50")
        medians = [setting.metrics[name].median for name in names]
        cells = [
            "-" if median is None else f"{median:,.3f}".rstrip("0").rstrip(".")
            for median in medians
        ]
        table.add_row(said, str(setting.runs), str(setting.met), *cells)
    Console().print(table)
