"""`meshd elements`: new elements for a running daemon, to count from an agreed instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshd.cli.talk import Home, Json, emit, facts, say, table
from meshd.client.connection import Client
from protocols.errors import InputError

REFUSED_TOLD = 5


def elements(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="TLE or OMM; without any, what waits is shown."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="TIME on a whole ten minutes, the same for all nodes."),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Give a daemon newer elements of its satellites, to count from an instant ahead.

    Its plan is worked out before and changes as a whole then; a restart keeps what was accepted.
    Give all nodes of a mesh the same files for the same instant: nodes with other elements plan
    other links, and refuse each other's.

    Example: meshd elements today.tle --at 2026-06-28T12:10:00Z
    """
    client = Client(home)
    if not files:
        if at:
            raise InputError("usage", "name the files: meshd elements FILE --at TIME")
        answer = client.get("/v1/elements")
    elif not at:
        raise InputError("usage", "say from when they count, on all nodes: --at TIME")
    else:
        from meshd.adapters.skyfiles import read_text  # numpy: 150 ms

        told = {name: read_text(Path(name).expanduser()) for name in files}
        answer = client.post("/v1/elements", at=at, documents=told)
    if json:
        emit(answer)
    elif files:
        _show_taken(answer)
    else:
        _show_waiting(answer)


def _show_taken(answer: dict[str, Any]) -> None:
    for item in answer["refused"][:REFUSED_TOLD]:
        place = f"line {item['line']}: " if item["line"] else ""
        say(f"meshd: warning: {place}{item['name']}: {item['reason']}")
    facts(
        [
            ("taken", f"{answer['taken']} element sets, {answer['refused_count']} refused"),
            ("count from", answer["at"]),
            ("sky then", answer["sky"]),
        ]
    )


def _show_waiting(answer: dict[str, Any]) -> None:
    say(f"sky of {answer['at']}: {answer['sky']}")
    rows = [(row["at"], row["satellites"], row["sky"]) for row in answer["waiting"]]
    table(("COUNT FROM", "SATELLITES", "SKY THEN"), rows, "no new elements wait for their time")
