"""The parity table: `python -m tests.parity [FIRST [LAST]]`; seeds 0 to 49 by default."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from protocols.types import MICROSECOND, MILLISECOND
from sim.parity import compare
from tests.parity.compare import both
from tests.parity.scenes import scene


def main(first: int = 0, last: int = 49) -> None:
    """Run every scene under both drivers; exit 1 when any decision differs."""
    table = Table("seed", "nodes", "mesh", "decisions", "different", "packets", "jobs", "CPU")
    decisions = different = 0
    for seed in range(first, last + 1):
        scenario, began = scene(seed), time.process_time()
        found = compare(*both(scenario, seed))
        decisions += found.decisions
        different += len(found.differences)
        table.add_row(
            str(seed),
            str(len(scenario.members)),
            ("cabled" if scenario.cables else "planned") + (", a death" if seed % 3 == 0 else ""),
            str(found.decisions),
            "\n".join([str(len(found.differences)), *found.differences]),
            f"{found.packets_apart_ns / MICROSECOND:.1f} us",
            f"{found.jobs_apart_ns / MILLISECOND:.3f} ms",
            f"{time.process_time() - began:.1f} s",
        )
    console = Console()
    console.print(table)
    console.print(
        f"{decisions} decisions, {different} different. Under packets and jobs: the longest time "
        "between an arrival, or the end of a job, under the heap and under the full driver."
    )
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
