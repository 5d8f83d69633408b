"""`meshd bootstrap`: nodes to join the mesh by, while no link is up."""

from __future__ import annotations

from typing import Annotated

import typer

from meshd.cli.talk import Home, Json, emit, say, table
from meshd.client.connection import Client

app = typer.Typer(
    help="Addresses to join the mesh by, kept over restarts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="Where a node is, with /p2p/ID.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Name a node that is dialled whenever this one has no link at all.

    One is enough: all others are learnt from it. Links of the plan replace that link.

    Example: meshd bootstrap add /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...
    """
    answer = Client(home).post("/v1/bootstrap", address=address)
    if json:
        emit(answer)
    else:
        say(f"kept: {answer['address']}")


@app.command()
def rm(
    node: Annotated[str, typer.Argument(help="Its id, name or address.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Name a node no longer.

    Example: meshd bootstrap rm alice
    """
    answer = Client(home).post("/v1/bootstrap", address=node, wanted=False)
    if json:
        emit(answer)
    else:
        say(f"forgotten: {answer['node']}")


@app.command()
def ls(home: Home = None, json: Json = False) -> None:
    """The nodes that were named.

    Example: meshd bootstrap ls
    """
    rows = Client(home).get("/v1/bootstrap")
    if json:
        emit(rows)
        return
    table(
        ("NAME", "LINK", "ADDRESS"),
        [(row["name"], "up" if row["linked"] else "-", row["address"]) for row in rows],
        "none is named; name one with: meshd bootstrap add ADDRESS",
    )
