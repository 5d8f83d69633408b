"""`meshd connect`, `disconnect`, `ping` and `trace`: doing things to the mesh."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from meshd.cli.talk import Home, Json, emit, exit_code, ms, say, table
from meshd.client.connection import Client
from protocols.errors import MeshError

NodeName = Annotated[str, typer.Argument(metavar="NODE", help="A name, a site or an id.")]


def connect(
    address: Annotated[str, typer.Argument(metavar="MADDR", help="What `meshd id` prints there.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Link to another node, and keep the link up.

    Example: meshd connect /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...
    """
    answer = Client(home).post("/v1/connect", address=address)
    if answer["warning"]:
        say(f"warning: {answer['warning']}")
    if json:
        emit(answer)
    else:
        typer.echo(f"linked to {answer['name']} ({answer['node']}), {ms(answer['delay_ms'])} away")


def disconnect(node: NodeName, home: Home = None, json: Json = False) -> None:
    """End a link that `connect` made.

    Example: meshd disconnect bob
    """
    answer = Client(home).post("/v1/disconnect", node=node)
    if json:
        emit(answer)
    elif answer["planned_until"] and answer["linked"]:
        typer.echo(
            f"no longer linked to {answer['name']} by wish; by plan until {answer['planned_until']}"
        )
    elif answer["was_linked"]:
        typer.echo(f"no longer linked to {answer['name']}")
    else:
        typer.echo(f"was not linked to {answer['name']}")


def ping(
    node: NodeName,
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=100, help="How often.")] = 3,
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.0, max=60.0, help="Seconds between.")
    ] = 1.0,
    home: Home = None,
    json: Json = False,
) -> None:
    """Round trips to a node, measured beside their predictions.

    Example: meshd ping bob --count 5
    """
    client = Client(home)
    rows: list[dict[str, Any]] = []
    answer: dict[str, Any] = {}
    for number in range(count):
        if number:
            time.sleep(interval)
        answer = client.post("/v1/ping", node=node)
        row = {**answer["pings"][0], "seq": number + 1}
        if answer["note"] and not rows:
            say(f"note: {answer['note']}")
        rows.append(row)
        if not json:
            typer.echo(_ping_line(answer["name"], row))
    received = [row for row in rows if row["ok"]]
    if json:
        emit({**answer, "sent": len(rows), "received": len(received), "pings": rows})
    if not received:
        raise MeshError(rows[-1]["code"], rows[-1]["message"])
    if len(received) < len(rows):
        say(f"{len(rows) - len(received)} of {len(rows)} lost")
        lost = next(row for row in rows if not row["ok"])
        raise typer.Exit(exit_code(MeshError(lost["code"], lost["message"])))


def _ping_line(name: str, row: dict[str, Any]) -> str:
    if not row["ok"]:
        return f"{row['seq']}  {name}: {row['message']} [{row['code']}]"
    predicted = f"predicted {ms(row['predicted_rtt_ms'])}"
    measured = f"measured {ms(row['measured_rtt_ms'])}"
    path = " > ".join(row["path"]) if row["path"] else "path unknown"
    hops = f"{row['hops']} hop{'' if row['hops'] == 1 else 's'}"
    return f"{row['seq']}  {name}: {measured}, {predicted}, {hops}: {path}"


def trace(node: NodeName, home: Home = None, json: Json = False) -> None:
    """One round trip, hop by hop: the way its answer came back.

    Example: meshd trace bob
    """
    answer = Client(home).post("/v1/trace", node=node)
    if answer["note"]:
        say(f"note: {answer['note']}")
    if json:
        emit(answer)
        return
    there = answer["predicted_path_there"]
    say(f"there, as predicted: {' > '.join(there) if there else 'unknown'}")
    say("back, as travelled, ms since the answer left:")
    table(
        ("HOP", "NODE", "PREDICTED", "MEASURED", "ID"),
        [
            (number, hop["name"], ms(hop["predicted_ms"]), ms(hop["measured_ms"]), hop["node"])
            for number, hop in enumerate(answer["hops"])
        ],
        "the answer told no hops",
    )
    measured, predicted = ms(answer["measured_rtt_ms"]), ms(answer["predicted_rtt_ms"])
    typer.echo(f"round trip: {measured} measured, {predicted} predicted")
