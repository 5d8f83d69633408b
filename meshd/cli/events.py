"""`meshd events`: what happens to a daemon, as it happens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshd.cli.talk import Home, Json, emit
from meshd.client.connection import Client


def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Events of this kind; may be repeated.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Links, plans, packets, letters and jobs: the last thousand events of a daemon.

    Example: meshd events -f --only link-up --only link-down
    """
    for row in Client(home).lines(f"/v1/events?follow={'yes' if follow else 'no'}"):
        if only and row["event"] not in only:
            continue
        if json:
            emit(row)
        else:
            typer.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    told = " ".join(
        f"{key}={value}"
        for key, value in row.items()
        if key not in ("at", "event") and value is not None
    )
    return f"{row['at']}  {row['event']:<15} {told}".rstrip()
