"""`meshsim list` and `meshsim metrics`: the words that experiments are made of."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sim.experiment import open_document
from sim.metrics import METRICS
from sim.scenario.reading import bundled


def list_() -> None:
    """The experiments that come with meshsim, and what they ask."""
    rows = {
        name: " ".join(open_document(str(path)).scenario.question.split())
        for name, path in bundled().items()
    }
    _print(rows)


def metrics() -> None:
    """The metrics that `expect` may name; `_min` and `_max` make bounds of them."""
    _print({name: what for name, (what, _) in METRICS.items()})


def _print(rows: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows.items():
        table.add_row(f"[bold]{name}[/bold]", text)
    Console().print(table)
