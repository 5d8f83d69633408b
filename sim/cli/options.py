"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

from sim.experiment import DriverName

ScenarioWord: TypeAlias = Annotated[
    str, typer.Argument(help="A TOML or Python file, or the name of a bundled scenario.")
]
Driver: TypeAlias = Annotated[
    DriverName,
    typer.Option(
        help="heap: pure nodes, modelled links; full: whole daemons in simulated time; "
        "real: daemons on loopback."
    ),
]
AnyDriver: TypeAlias = Annotated[
    Literal["heap", "full", "real", "all"],
    typer.Option(
        help="heap: pure nodes, modelled links; full: whole daemons in simulated time; "
        "real: daemons on loopback; all: one after the other, side by side."
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
