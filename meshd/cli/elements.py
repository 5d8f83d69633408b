"""`meshd elements`: new elements for a running daemon, to count from an agreed instant."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from meshd.cli.talk import Home, Json, emit, facts, say, table
from meshd.client.connection import Client
from protocols.bounds import RECORDS_MAX
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
    publish: Annotated[
        bool, typer.Option("--publish", help="Tell the whole mesh, signed by this node.")
    ] = False,
    operator: Annotated[
        Path | None, typer.Option("--operator", help="Publish signed by the operator of FOLDER.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Give a daemon newer elements of its satellites, or the mesh, to count from an instant ahead.

    Plans are worked out before and change as a whole then; a restart keeps what was accepted.
    Without --publish give all nodes of a mesh the same files for the same instant: nodes with
    other elements plan other links, and refuse each other's. With it gossip spreads them, each
    satellite's under a signature; only its operator, a node with the role "elements" or the
    satellite itself may.

    Example: meshd elements today.tle --publish --at 2026-06-28T12:10:00Z
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
        if operator is not None:
            answer = _publish_as(operator, client, at, told)
        else:
            answer = client.post("/v1/elements", at=at, documents=told, publish=publish)
    if json:
        emit(answer)
    elif files:
        _show_taken(answer)
    else:
        _show_waiting(answer)


def _publish_as(folder: Path, client: Client, at: str, documents: dict[str, str]) -> dict[str, Any]:
    """Sign the element sets as an operator, and have the daemon spread them."""
    from meshd.adapters.authority import Authority
    from meshd.ephemeris.formats import Document
    from meshd.ephemeris.published import ORBIT_TTL_NS, orbit_of
    from meshd.ephemeris.sources import sky_from_documents
    from meshd.ephemeris.timescale import format_time, parse_time

    now = parse_time(client.get("/v1/status")["mission_time"])
    when = parse_time(at, now)
    loaded = sky_from_documents([Document(name, text) for name, text in documents.items()])
    authority = Authority.open(folder.expanduser().absolute())
    orbits = tuple(orbit_of(elements, when) for elements in loaded.sky.elements)
    records = authority.say(orbits, now, ORBIT_TTL_NS)
    for first in range(0, len(records), RECORDS_MAX):
        some = [
            base64.b64encode(msgspec.msgpack.encode(record)).decode()
            for record in records[first : first + RECORDS_MAX]
        ]
        client.post("/v1/records", records=some)
    refused = [asdict(item) for item in loaded.refused]
    return {
        "at": format_time(when),
        "taken": len(records),
        "refused": refused,
        "refused_count": len(refused),
    }


def _show_taken(answer: dict[str, Any]) -> None:
    for item in answer["refused"][:REFUSED_TOLD]:
        place = f"line {item['line']}: " if item["line"] else ""
        say(f"meshd: warning: {place}{item['name']}: {item['reason']}")
    facts(
        [
            ("taken", f"{answer['taken']} element sets, {answer['refused_count']} refused"),
            ("count from", answer["at"]),
            *([("sky then", answer["sky"])] if "sky" in answer else []),
        ]
    )


def _show_waiting(answer: dict[str, Any]) -> None:
    say(f"sky of {answer['at']}: {answer['sky']}")
    rows = [(row["at"], row["satellites"], row["sky"]) for row in answer["waiting"]]
    table(("COUNT FROM", "SATELLITES", "SKY THEN"), rows, "no new elements wait for their time")
