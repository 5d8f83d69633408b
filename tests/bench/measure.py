"""How the bench measures, and how it shows what it has measured."""

from __future__ import annotations

import gc
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

BUDGET_S = 1.2
"""For one figure."""

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds."""

    what: str
    ours_s: float
    baseline: str = ""
    baseline_s: float | None = None


def median_s(run: Callable[[], object], runs_max: int = 200, warm: bool = True) -> float:
    """The median time of a call, over as many calls as the budget allows."""
    if warm:
        run()
    gc.collect()
    spent: list[float] = []
    began = time.perf_counter()
    while len(spent) < runs_max and (not spent or time.perf_counter() - began < BUDGET_S):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def per_call(run: Callable[[], object], calls: int = 500) -> float:
    """For what is too quick to time alone."""

    def many() -> None:
        for _ in range(calls):
            run()

    return median_s(many) / calls


def show(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def show_rows(console: Console, rows: list[Row]) -> None:
    """A table of times; the ratio is baseline over ours, above 1 we are quicker."""
    table = Table(box=None)
    for title, side in (("what", "left"), ("ours", "right"), ("baseline", "left")):
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for row in rows:
        ratio = "" if row.baseline_s is None else f"{row.baseline_s / row.ours_s:.2f}"
        table.add_row(row.what, show(row.ours_s), row.baseline, show(row.baseline_s), ratio)
    console.print(table)


def in_a_process(module: str, *arguments: object) -> dict[str, Any]:
    """What a module of the bench prints as JSON when it runs alone, in fresh memory."""
    words = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)} failed: {done.stderr[-2_000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hardware() -> str:
    """The machine in a line: its processor, cores, memory, and this Python."""
    try:
        said = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        said = None
    model = said[1] if said else platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / (1 << 30)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GB, {python} on {platform.system()}"


def memory_peak_mb() -> float:
    """The most memory this process has held, in MB."""
    import resource  # not everywhere

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
