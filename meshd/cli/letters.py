"""`meshd send`, `recv` and `letters`: messages between programs and people on the mesh."""

from __future__ import annotations

import sys
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

import typer

from meshd.cli.talk import Home, Json, emit, size, table
from meshd.client.connection import Client
from meshd.client.mesh import Letter, Mesh
from protocols.errors import InputError, MeshError
from protocols.letter import INBOX

Port = Annotated[str, typer.Option("--port", "-p", help="The program, or person, it is for.")]


def send(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A name, a site or an id.")],
    text: Annotated[
        str | None, typer.Argument(help="The letter; without it stdin is read.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Send a file.")] = None,
    port: Port = INBOX,
    stream: Annotated[
        str, typer.Option("--stream", help="Letters of one stream are read in order.")
    ] = "",
    lifetime: Annotated[
        str, typer.Option("--lifetime", help="It is sent until it is there, at most so long.")
    ] = "1h",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is there.")] = True,
    home: Home = None,
    json: Json = False,
) -> None:
    """Send a letter: it is kept on disk and sent until the other daemon has it on its own.

    Example: meshd send bob 'the pass is at 12:04'
    """
    from meshd.ephemeris.timescale import parse_duration

    seconds = parse_duration(lifetime) / 1e9
    letter = Mesh(home).send(node, _body(text, file), port, stream, seconds, wait)
    if json:
        emit({"letter": letter, "state": "delivered" if wait else "sending"})
    elif wait:
        typer.echo(f"delivered to {node} ({letter})")
    else:
        typer.echo(f"on disk here, and on its way to {node} ({letter})")


def _body(text: str | None, file: Path | None) -> bytes:
    if text is not None and file is not None:
        raise InputError("usage", "give a text or a --file, not both")
    if text is not None:
        return text.encode()
    if file is None:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {file}: {error.strerror}") from None


def recv(
    port: Port = INBOX,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="End after so many letters.")
    ] = None,
    wait: Annotated[
        str, typer.Option("--wait", help="End when none has come for so long [default: never].")
    ] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Bodies alone, as they are.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Read letters as they come, until Ctrl-C. One that was printed is not kept any more.

    Example: meshd recv --count 1
    """
    from meshd.ephemeris.timescale import parse_duration

    wait_s = parse_duration(wait) / 1e9 if wait else None
    read = 0
    for letter in Mesh(home).receive(port, wait_s):
        _print(letter, raw, json)
        read += 1
        if read == count:
            Mesh(home).take(letter)
            return
    if count is not None and read < count:
        raise MeshError("time-out", f"{read} of {count} letters came to port {port!r} in time")


def _print(letter: Letter, raw: bool, json: bool) -> None:
    if raw:
        sys.stdout.buffer.write(letter.body)
        sys.stdout.buffer.flush()
    elif json:
        emit(_row(letter))
    else:
        typer.echo(f"{letter.arrived_at}  {letter.name}: {letter.body.decode(errors='replace')}")


def _row(letter: Letter) -> dict[str, Any]:
    fields = {name: getattr(letter, name) for name in Letter.__slots__ if name != "body"}
    return {**fields, "body": b64encode(letter.body).decode()}


def letters(home: Home = None, json: Json = False) -> None:
    """Letters posted here that are not delivered yet.

    Example: meshd letters
    """
    rows = Client(home).get("/v1/letters")
    if json:
        emit(rows)
        return
    table(
        ("LETTER", "TO", "PORT", "SIZE", "TRIES", "EXPIRES"),
        [
            (row["letter"], row["name"], row["port"], size(row["bytes"]), row["tries"],
             row["expires_at"])
            for row in rows
        ],
        "no letters wait to be delivered",
    )  # fmt: skip
