"""`meshsim replay`: does a recorded daemon do the same again?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from meshd.adapters.identity import Verifier
from meshd.ephemeris.timescale import format_time
from protocols.errors import MeshError
from protocols.types import SECOND
from sim.cli.talk import EXIT_UNMET, EXIT_USAGE, fail
from sim.replay import Verdict
from sim.replay import replay as replayed

Files = Annotated[list[Path], typer.Argument(help="Recordings of `meshd up --record`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a file on stdout.")]


def replay(files: Files, json: Json = False) -> None:
    """Live recorded lives again. Exit 0: the same effects; 1: a difference; 2: unreadable.

    Example: meshsim replay flight.rec
    """
    verifier = Verifier()
    differ = False
    for path in files:
        began = time.process_time()
        try:
            verdict = replayed(_read(path), verifier.verify)
        except MeshError as error:
            fail(f"{path}: {error.message} [{error.code}]", EXIT_USAGE)
        rate = verdict.events / max(time.process_time() - began, 1e-9)
        typer.echo(_as_json(path, verdict, rate) if json else _as_text(path, verdict, rate))
        differ = differ or not verdict.same
    if differ:
        raise typer.Exit(EXIT_UNMET)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MeshError("unreadable-file", f"cannot be read: {error.strerror}") from None


def _as_json(path: Path, verdict: Verdict, rate: float) -> str:
    facts: dict[str, Any] = {"file": str(path), "same": verdict.same, "events_per_s": round(rate)}
    rest = {name: getattr(verdict, name) for name in verdict.__struct_fields__ if name != "header"}
    header = verdict.header
    who = {"node": header.node.node, "name": header.node.name, "meshd": header.meshd}
    return msgspec.json.encode({**facts, **who, **rest}).decode()


def _as_text(path: Path, verdict: Verdict, rate: float) -> str:
    span = (verdict.last - verdict.first) / SECOND
    counted = (
        f"{verdict.events:,} events, {verdict.effects:,} effects, "
        f"{verdict.signatures:,} signatures over {span:,.1f} s"
    )
    found = verdict.difference
    if found is None:
        ends = {"cut": "it was cut short there", "failed": "there the node fails, as it did"}
        end = f"; {ends[verdict.ended]}" if verdict.ended in ends else ""
        return f"{path}: same effects ({counted}{end}; {rate:,.0f} events/s)"
    where = f"event {found.number:,}" + (f", effect {found.effect}" if found.effect else "")
    header = verdict.header
    return "\n".join(
        (
            f"{path}: differs at {where}, after {counted}",
            f"  at        {format_time(found.at)}",
            f"  event     {found.event}",
            f"  recorded  {found.recorded}",
            f"  replayed  {found.replayed}",
            f"  recorded by meshd {header.meshd} on Python {header.python}",
        )
    )
