"""Talk: what commands print, how they fail, and the options they share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from protocols.errors import InputError, MeshError, NotFound

OK, FAILED, USAGE, NO_DAEMON, NOT_FOUND, NO_ROUTE, JOB_FAILED, TIMED_OUT = range(8)
INTERRUPTED = 130

_EXIT_OF_CODE = {
    "no-daemon": NO_DAEMON,
    "no-route": NO_ROUTE,
    "no-candidates": NO_ROUTE,
    "no-contact-yet": NO_ROUTE,
    "expires-before-arrival": NO_ROUTE,
    "job-failed": JOB_FAILED,
    "time-out": TIMED_OUT,
    "dial-timeout": TIMED_OUT,
}

Home: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The daemon's folder [env MESHD_HOME; default ~/.local/share/meshd]."
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Data as JSON on stdout.")]


def exit_code(error: MeshError) -> int:
    """0 ok, 1 failed, 2 usage, 3 no daemon, 4 not found, 5 no route, 6 job failed, 7 time-out."""
    if error.code in _EXIT_OF_CODE:
        return _EXIT_OF_CODE[error.code]
    if isinstance(error, NotFound):
        return NOT_FOUND
    return USAGE if isinstance(error, InputError) else FAILED


def report(error: MeshError, json: bool) -> int:
    """Say what is wrong on stderr, with `json` on stdout too; the exit code.

    One line; of a file that a person wrote a line for each fault.
    """
    lines = error.message.splitlines() if isinstance(error, InputError) else [error.message]
    text = "\n".join(" ".join(line.split()) for line in lines)
    say(f"meshd: {text} [{error.code}]")
    if json:
        emit({"error": {"code": error.code, "message": error.message}})
    return exit_code(error)


def say(line: str) -> None:
    """Talk, on stderr."""
    typer.echo(line, err=True)


def emit(answer: Any) -> None:
    """Data, on stdout, as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def table(head: Sequence[str], rows: Sequence[Sequence[object]], none: str) -> None:
    """Rows in columns on stdout; on stderr `none`, when there are no rows."""
    if not rows:
        say(none)
        return
    cells = [list(head), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Named values, one a line, on stdout."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        typer.echo(f"{name.ljust(width)}  {_text(value)}")


def ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} ms"


def size(count: int | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def length(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
