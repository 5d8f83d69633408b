"""How meshsim's commands end: exit codes, and one line for what went wrong."""

from __future__ import annotations

from typing import NoReturn

import typer

EXIT_UNMET, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def fail(message: str, code: int) -> NoReturn:
    typer.echo(f"meshsim: {message}", err=True)
    raise typer.Exit(code)
