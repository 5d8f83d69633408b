"""`meshd blob`: files as the mesh keeps them, each under the hash of its bytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from meshd.cli.fetching import fetched
from meshd.cli.talk import Home, Json, emit, say, size, table
from meshd.client.connection import Client
from protocols import cid as cids
from protocols.errors import InputError, MeshError

app = typer.Typer(
    help="Files in the daemon's store, named by their hash: put, get, keep, list.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file; - for stdin.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Put a file into the daemon's store; its name, to be used in jobs and by `get`.

    It stays for 10 minutes, while a job needs it, and then until room is wanted.

    Example: meshd blob put image.npy
    """
    with _opened(file) as source:
        kept = Client(home).put_file(source)
    if json:
        emit(kept)
    else:
        typer.echo(kept["cid"])
        say(f"{size(kept['bytes'])} kept; back again: meshd blob get {kept['cid']} -o FILE")


@app.command()
def get(
    cid: Annotated[str, typer.Argument(metavar="CID", help="A blob's name: bafkrei...")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="NODE", help="Fetch it from this node first.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write [stdout].")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Fetch a blob from the daemon's store, and check that it is what its name says.

    With --from the daemon fetches it there first, over however many hops; without -o it is then
    left in the store. What has come when this, or a daemon, is stopped is not fetched again.

    Example: meshd blob get bafkrei... --from gateway -o image.npy
    """
    cids.check(cid, InputError)
    screen = json or sys.stdout.isatty()
    if output is None and source is None and screen:
        raise InputError("usage", "a blob may be any bytes: name a file for them with -o FILE")
    client = Client(home)
    with fetched(client, cid, source, json) as facts:
        if output is not None:
            path = output.expanduser()
            facts |= {"bytes": _write(path, _checked(cid, client.blob_chunks(cid)))}
            facts |= {"file": str(path)}
        elif not screen:
            for chunk in _checked(cid, client.blob_chunks(cid)):
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            return
    if json:
        emit(facts)
    else:
        say(f"{size(facts['bytes'])} in {facts.get('file', 'the store of the daemon')}")


@app.command()
def keep(
    cid: Annotated[str, typer.Argument(metavar="CID", help="A blob's name: bafkrei...")],
    drop: Annotated[bool, typer.Option("--drop", help="It need not stay any more.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Keep a blob in the daemon's store, also across restarts, until it is dropped.

    Example: meshd blob keep bafkrei...
    """
    cids.check(cid, InputError)
    answer = Client(home).post(f"/v1/blobs/{cid}/keep", kept=not drop)
    if json:
        emit(answer)
    elif drop:
        say("it may go when room is wanted, unless a job needs it")
    else:
        say("it stays" if answer["here"] else "it is not here; once it is, it stays")


@app.command("ls")
def ls(home: Home = None, json: Json = False) -> None:
    """The blobs in the daemon's store, by name.

    Example: meshd blob ls
    """
    rows = Client(home).get("/v1/blobs")
    if json:
        emit(rows)
        return
    table(
        ("CID", "SIZE", "KEPT"),
        [
            (row["cid"], size(row["bytes"]), "yes" if row["kept"] else "until room is wanted")
            for row in rows
        ],
        "no blobs; put one with: meshd blob put FILE",
    )


def _opened(path: Path) -> BinaryIO:
    """Raises InputError "unreadable-file"."""
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        return path.expanduser().open("rb")
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {path}: {error.strerror}") from None


def _checked(cid: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks; behind the last, MeshError "hash-mismatch" if they are not the blob."""
    hasher = cids.Hasher()
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if hasher.cid() != cid:
        message = f"what came is not {cid}: the daemon broke off, or its store is damaged"
        raise MeshError("hash-mismatch", message)


def _write(path: Path, chunks: Iterator[bytes]) -> int:
    """Write a file whole or not at all; its length. Raises MeshError "unwritable-file"."""
    path = path.resolve()
    special = path.exists() and not path.is_file()  # a device is written to, never replaced
    part = path if special else path.with_name(f".{path.name}.{os.getpid()}.part")
    length = 0
    try:
        with part.open("wb" if special else "xb") as file:
            for chunk in chunks:
                length += file.write(chunk)
        if not special:
            part.replace(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise MeshError("unwritable-file", message) from None
    finally:
        if not special:
            part.unlink(missing_ok=True)
    return length
