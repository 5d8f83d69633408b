"""`meshsim trace`: everything that happened in a run, as lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshd.ephemeris import parse_duration
from protocols.errors import MeshError
from sim.cli.talk import EXIT_USAGE, fail
from sim.results.folder import read_outcome
from sim.results.tracefile import TRACE, as_line, entries
from sim.scenario.names import select


def trace(
    folder: Annotated[Path, typer.Argument(help="What `meshsim run` left.")],
    node: Annotated[str, typer.Option(help="Of these alone, by name or pattern.")] = "*",
    begin: Annotated[str, typer.Option("--from", help="Seconds after the start.")] = "0s",
    end: Annotated[str, typer.Option("--to", help="Up to, not including.")] = "",
) -> None:
    """Print every event (<) and effect (>) of a run under the heap or full driver.

    Example: meshsim trace runs/quickstart-heap-1 --node London --from 10s --to 10.2s
    """
    try:
        outcome = read_outcome(folder)
        wanted = set(select(outcome.nodes, node, "--node"))
        first = outcome.start + parse_duration(begin)
        last = outcome.start + parse_duration(end) if end else outcome.finish + 1
        for entry in entries(folder / TRACE):
            if entry.at >= last:
                break
            if entry.at >= first and outcome.nodes[entry.node] in wanted:
                typer.echo(as_line(entry, outcome.start, outcome.nodes))
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
