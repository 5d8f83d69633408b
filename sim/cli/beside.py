"""`meshsim run --driver all`: one scenario under heap, full and real, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from protocols.types import MILLISECOND, Duration
from sim.experiment import DriverName
from sim.parity import Agreement, rank
from sim.result import Result

DRIVERS: tuple[DriverName, ...] = get_args(DriverName)

SHOWN = (
    *("packets_sent", "packets_delivered", "packets_lost", "packets_held"),
    *("letters_posted", "letters_delivered", "letter_ms_p50"),
    *("latency_ms_p50", "latency_ms_p99", "excess_us_p50", "excess_us_p99"),
    *("jobs_completed", "shards_delivered", "shards_replaced", "job_s_worst"),
)


def as_json(results: Sequence[Result], agreements: Sequence[Agreement]) -> dict[str, Any]:
    """One object: the result of every driver, and what became of the comparisons."""
    return {
        "drivers": {result.driver: result for result in results},
        "agreements": [
            {
                "one": found.one,
                "other": found.other,
                "decisions": found.decisions,
                "differences": found.differences,
                "hop_apart_ms": found.hop_apart_ns / MILLISECOND,
                "tolerance_ms": found.tolerance_ns / MILLISECOND,
                "holds": found.holds,
            }
            for found in agreements
        ],
    }


def show(results: Sequence[Result], agreements: Sequence[Agreement], console: Console) -> None:
    """For people: figures in columns, then decisions, then times."""
    first = results[0]
    table = Table("", *(result.driver for result in results), box=None, pad_edge=False)
    for name in SHOWN:
        table.add_row(name, *(f"{result.metrics[name]:g}" for result in results))
    table.add_row("wall, s", *(f"{result.wall_seconds:.1f}" for result in results))
    differ = [f"{f.decisions}, {len(f.differences)} different" for f in agreements]
    table.add_row("decisions compared", "-", *differ)
    table.add_row("packets later, ms", "-", *(_spread(f.packets_ns) for f in agreements))
    table.add_row("later for each hop, ms", "-", *(_spread(f.hops_ns) for f in agreements))
    table.add_row("jobs later, ms", "-", *(_spread(f.jobs_ns) for f in agreements))
    allowed = [f"{f.tolerance_ns / MILLISECOND:g}" for f in agreements]
    table.add_row("allowed for each hop, ms", "0", *allowed)
    console.print(f"[bold]{first.scenario}[/bold], seed {first.seed}, three drivers")
    console.print(table)
    for found in agreements:
        for difference in found.differences:
            console.print(f"[red]different[/red]  {difference}")
        console.print(f"{_verdict(found)}  {found.one} and {found.other}")


def _verdict(found: Agreement) -> str:
    if found.differences:
        return "[red]disagree[/red]"
    return "[green]agree[/green]" if found.holds else "[red]agree, but not in time[/red]"


def _spread(values: list[Duration]) -> str:
    """p50, p99 and the largest, by size; with their signs lost nobody would know what is early."""
    ordered = sorted(values, key=abs)
    return " / ".join(f"{rank(ordered, p) / MILLISECOND:.3f}" for p in (50, 99, 100)) or "-"
