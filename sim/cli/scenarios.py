"""`meshsim list`: the experiments that come with meshsim, and what they ask."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sim.scenario import bundled, read


def list_() -> None:
    """The experiments that come with meshsim, and what they ask."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, path in bundled().items():
        table.add_row(f"[bold]{name}[/bold]", " ".join(read(path).question.split()))
    Console().print(table)
