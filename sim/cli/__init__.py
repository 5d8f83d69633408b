"""meshsim: put a question to a simulated sky. One module a command; beside them only sim/results
reads a clock, to say how long a run took.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from sim.cli import compare, plot, replay, run, scenarios, swarm, sweep, trace
from sim.cli.talk import EXIT_INTERRUPTED

app = typer.Typer(
    help="Experiments on a simulated mesh of satellites.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    *(run.run, sweep.sweep, compare.compare_, plot.plot, swarm.swarm, swarm.shrink),
    *(trace.trace, replay.replay, scenarios.list_, scenarios.metrics),
):
    app.command(command.__name__.rstrip("_"))(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"meshsim {version('meshd')}")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
