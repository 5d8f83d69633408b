"""Whole nodes under a real sky: gossip, routing and forwarding, in events and in hours of life.

`python -m tests.bench.whole CODE SECONDS` measures one world in this process and prints JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from rich.console import Console
from rich.table import Table

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.scheduler.holder import WorkPolicy
from meshd.topology import build_plan, policy_for
from protocols.types import MILLISECOND, MINUTE, SECOND
from sim.chance import stream
from sim.world import Physics, World
from tests.bench.measure import in_a_process, memory_peak_mb

CITIES = (
    "London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg", "Mumbai", "Singapore",
    "Los Angeles", "Madrid", "Cairo", "Lagos", "Nairobi", "Mexico City", "Buenos Aires", "Seoul",
)  # fmt: skip
PACKETS_EVERY_NS = 100 * MILLISECOND
SETTLE_NS = 15 * SECOND
"""Links are dialled and tables levelled by then; the figure is of life after."""

THOUSAND = {"D:550:53:1008/42/17": 60}
TEN_THOUSAND = {"D:550:53:10000/100/17": 10}
"""Constellation, and seconds to run."""


def world_of(code: str, seconds: int) -> World:
    """A started world: a node for every satellite and city, a packet every tenth of a second."""
    sky = sky_from_preset(code, [find_city(name) for name in CITIES])
    end = WALKER_EPOCH + SETTLE_NS + seconds * SECOND + 5 * MINUTE
    plan = build_plan(sky, policy_for(sky), WALKER_EPOCH, end)
    world = World(1, plan, physics=Physics(roster="all", predict=False, check=False))
    world.add_sites(WorkPolicy(slots=1), WorkPolicy(slots=0))
    world.start()
    rng = stream(1, "bench", "pairs")
    for number in range(seconds * SECOND // PACKETS_EVERY_NS):
        pair = rng.sample(CITIES, 2)
        at = world.now + SETTLE_NS + number * PACKETS_EVERY_NS
        world.at(at, lambda a=pair[0], b=pair[1]: (world.send(a, b, bytes(256)), None)[1])
    return world


def measure(code: str, seconds: int) -> dict[str, float | str]:
    """One world, in processor time: built, settled, then run for so many simulated seconds."""
    began = time.process_time()
    world = world_of(code, seconds)
    world.run_for(SETTLE_NS)
    gc.collect()
    gc.freeze()
    settled, before = time.process_time(), world.events
    world.run_for(seconds * SECOND)
    took, events = time.process_time() - settled, world.events - before
    return {
        "nodes": len(world.hosts),
        "settled_s": settled - began,
        "rate": events / took,
        "node_hours_a_minute": len(world.hosts) * seconds / took / 60,
        "memory_mb": memory_peak_mb(),
        "delivered": len(world.tally.delivered()),
        "sent": len(world.tally.sent),
        "hash": world.trace.hash,
    }


def show(console: Console, sizes: dict[str, int]) -> None:
    """Measure a world of each code for so many seconds, in a process of its own."""
    table = Table(box=None)
    for title in ("whole nodes", "events/s", "node-hours/min", "peak", "built in", "packets"):
        table.add_column(title, justify="right", no_wrap=True)
    for code, seconds in sizes.items():
        found = in_a_process("whole", code, seconds)
        table.add_row(
            f"{found['nodes']:,}",
            f"{found['rate']:,.0f}",
            f"{found['node_hours_a_minute']:,.0f}",
            f"{found['memory_mb']:,.0f} MB",
            f"{found['settled_s']:.0f} s",
            f"{found['delivered']} of {found['sent']}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
