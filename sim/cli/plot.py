"""`meshsim plot`: the report of a run, or of a sweep, made anew; or one figure as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocols.errors import MeshError
from sim.cli.talk import EXIT_USAGE, fail
from sim.results.folder import REPORT, read
from sim.results.sweep import PLAN


def plot(
    folder: Annotated[Path, typer.Argument(help="What `meshsim run` or `meshsim sweep` left.")],
    figure: Annotated[
        str, typer.Option(help="One figure alone: latency, map...; of a sweep, a metric.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to: .html for the report; .svg, .png or .pdf for a figure."),
    ] = None,
) -> None:
    """Draw a run again from its folder. Exit 0: drawn; 2: nothing to draw it from.

    Example: meshsim plot runs/quickstart-heap-1 --figure latency --out latency.png
    """
    try:
        typer.echo(_draw(folder, figure, out))
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}", EXIT_USAGE)


def _draw(folder: Path, name: str, out: Path | None) -> Path:
    """Where it was drawn to. Imports matplotlib, which takes a second."""
    from sim.results.drawing import save
    from sim.results.plots import plot_named, plots_of
    from sim.results.report import write_report

    if (folder / PLAN).is_file():
        return _draw_sweep(folder, name, out)
    kept = read(folder)
    if not name:
        path = out or folder / REPORT
        write_report(path, kept)
        return path
    return save(plot_named(plots_of(kept.outcome, kept.chart), name), out)


def _draw_sweep(folder: Path, name: str, out: Path | None) -> Path:
    from sim.results.drawing import save
    from sim.results.plots import plot_named
    from sim.results.sweep_report import read_swept, sweep_plots, write_sweep_report

    swept = read_swept(folder)
    if name:
        return save(plot_named(sweep_plots(swept), name), out)
    path = out or folder / REPORT
    write_sweep_report(path, swept)
    return path
