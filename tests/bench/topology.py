"""The mesh of a real catalogue, beside what the project asks of it.

The catalogue is the OneWeb one that comes with the simulator, or any file of elements:
`python -m tests.bench.topology FILE`, which runs alone, in fresh memory.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from meshd.adapters.skyfiles import load_sky
from meshd.ephemeris import CITIES, Sky, find_city
from meshd.router import snapshot_route
from meshd.topology import ContactPlan, build_plan, policy_for
from meshd.topology.build import mend_plan
from meshd.topology.figures import figures_of
from meshd.topology.fitted import BLOCK_NS, choose
from meshd.topology.packed import pack
from protocols.types import HOUR, MILLISECOND, MINUTE, Instant
from tests.bench.measure import ROOT, in_a_process, memory_peak_mb

BUNDLED = ROOT / "sim" / "experiments" / "oneweb-2025-09-23.tle"
REAL = ROOT.parent / "shared" / "catalog" / "starlink-2025-09-23.tle"
STATIONS = 100
ROUTES = (("London", "New York", 43.0), ("London", "Singapore", 81.0), ("Sydney", "Tokyo", None))
MENDED = 15


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of the table: a figure by name, its unit, and the most or least it may be."""

    what: str
    unit: str
    goal: float | None = None
    least: bool = False


ASKED = {
    "lasers_s": Asked("2-hour plan, lasers", "s", 6.0),
    "ground_s": Asked(f"2-hour plan, lasers and {STATIONS} stations", "s", 12.0),
    "plan_mb": Asked("its lasers packed", "MB", 0.5),
    "memory_mb": Asked("memory, most", "MB", 1_000.0),
    "next_s": Asked("the plan of the next 10 minutes, from the last", "s"),
    "mend_ms": Asked("one satellite's elements change", "ms", 50.0),
    "largest_component": Asked("largest component, at the least", "", 0.999, least=True),
    "degree": Asked("links of a satellite, 4 terminals", "", 3.95, least=True),
    "degree_3": Asked("links of a satellite, 3 terminals", "", 2.95, least=True),
    "acquisitions": Asked("acquisitions a satellite an hour, a join included", "", 0.4),
    "noise": Asked("links changed by 1e-9 of noise", "", 0.0),
    **{
        f"{a}-{b}": Asked(f"{a}-{b}, median round trip of an hour", "ms", most)
        for a, b, most in ROUTES
    },
    "unreachable": Asked("of those, instants without a way", "", 0.0),
}


def show(console: Console) -> None:
    """The figures of the real catalogue where it is, else of the one that is bundled."""
    file = REAL if REAL.exists() else BUNDLED
    found = in_a_process("topology", file)
    table = Table(
        box=None, title=f"{file.name}, {found['satellites']:,} satellites", title_justify="left"
    )
    for title in ("what", "figure", "asked"):
        table.add_column(title, justify="left" if title == "what" else "right", no_wrap=True)
    for name, asked in ASKED.items():
        bound = "" if asked.goal is None else f"{'>=' if asked.least else '<='} {asked.goal:g}"
        table.add_row(asked.what, f"{found[name]:.4g} {asked.unit}", bound)
    console.print(table)


def measure(file: Path) -> dict[str, Any]:
    """All figures of one catalogue; a join of two blocks lies in the window."""
    sky = load_sky([str(file)]).sky
    epochs = sky.satellites.epochs()
    assert epochs is not None
    start = int(np.median(epochs)) // BLOCK_NS * BLOCK_NS - 30 * MINUTE
    policy = policy_for(sky)
    build_plan(sky, policy, start, start + MINUTE)  # kernels are loaded, not compiled: see setup
    placed = sky.with_stations([find_city(row[0]) for row in CITIES[:STATIONS]])
    ground_s, _ = _timed(placed, start, start + 2 * HOUR)
    memory_mb = memory_peak_mb()
    lasers_s, plan = _timed(sky, start, start + 2 * HOUR)
    figures = figures_of(plan, sky.n_satellites)
    three = replace(policy, terminals=3)
    fewer = build_plan(sky, three, start, start + 2 * HOUR)
    began = time.perf_counter()
    build_plan(sky, policy, start + 10 * MINUTE, start + 2 * HOUR + 10 * MINUTE, plan)
    return {
        "satellites": sky.n_satellites,
        "next_s": time.perf_counter() - began,
        "lasers_s": lasers_s,
        "ground_s": ground_s,
        "plan_mb": len(pack(plan)) / 1e6,
        "memory_mb": memory_mb,
        "mend_ms": _mend_ms(sky, plan),
        "largest_component": figures.largest_component,
        "degree": figures.degree,
        "degree_3": figures_of(fewer, sky.n_satellites).degree,
        "acquisitions": figures.acquisitions_per_satellite_hour,
        "noise": _noise(sky, start),
        **_routes(sky, start),
    }


def _timed(sky: Sky, start: Instant, end: Instant) -> tuple[float, ContactPlan]:
    began = time.perf_counter()
    plan = build_plan(sky, policy_for(sky), start, end)
    return time.perf_counter() - began, plan


def _mend_ms(sky: Sky, plan: ContactPlan) -> float:
    """The median over satellites that each move 7 km along their orbit."""
    spent = []
    for satellite in range(0, sky.n_satellites, sky.n_satellites // MENDED):
        e = sky.elements[satellite]
        moved = replace(e, line1="", line2="", mean_anomaly_deg=(e.mean_anomaly_deg + 0.06) % 360)
        began = time.perf_counter()
        mend_plan(plan, satellite, moved)
        spent.append(time.perf_counter() - began)
    return float(np.median(spent)) * 1e3


def _noise(sky: Sky, start: Instant) -> int:
    block = start // BLOCK_NS
    nudged = sky
    before = choose(sky, policy_for(sky), block).pairs
    for satellite in range(0, sky.n_satellites, sky.n_satellites // MENDED):
        e = sky.elements[satellite]
        moved = replace(e, line1="", line2="", raan_deg=e.raan_deg * (1 + 1e-9))
        nudged = nudged.with_elements(satellite, moved)
    return int(np.setxor1d(before, choose(nudged, policy_for(sky), block).pairs).size)


def _routes(sky: Sky, start: Instant) -> dict[str, float]:
    names = sorted({name for a, b, _ in ROUTES for name in (a, b)})
    placed = sky.with_stations([find_city(name) for name in names])
    plan = build_plan(placed, policy_for(placed), start, start + HOUR)
    found: dict[str, float] = {"unreachable": 0}
    for a, b, _ in ROUTES:
        ends = plan.index_of(a), plan.index_of(b)
        ways = [snapshot_route(plan, *ends, at) for at in range(start, start + HOUR, 3 * MINUTE)]
        trips = [way.rtt_ns / MILLISECOND for way in ways if way is not None]
        found[f"{a}-{b}"] = float(np.median(trips)) if trips else float("nan")
        found["unreachable"] += len(ways) - len(trips)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
