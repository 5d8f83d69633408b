"""`meshd table`: the daemon's next hop to every node."""

from __future__ import annotations

import typer

from meshd.cli.talk import Home, Json, emit, ms
from meshd.cli.talk import table as columns
from meshd.client.connection import Client


def table(home: Home = None, json: Json = False) -> None:
    """The next hop to every node, until when it holds what goes there, and when that arrives.

    Links known to be down and nodes that are away are left out. Example: meshd table
    """
    answer = Client(home).get("/v1/table")
    if json:
        emit(answer)
        return
    columns(
        ("TO", "NEXT", "HOLD", "ONE WAY", "HOPS"),
        [
            (
                row["to"],
                row["next"],
                ms(row["hold_ms"]) if row["hold_ms"] else "-",
                ms(row["one_way_ms"]),
                row["hops"],
            )
            for row in answer["entries"]
        ],
        "no other node can be reached; join one with: meshd connect ADDRESS",
    )
    if answer["unreachable"]:
        typer.echo(f"no way to: {', '.join(answer['unreachable'])}")
