"""Whole nodes under a real sky: gossip, routing and forwarding, in events and in hours of life.

`python -m tests.bench.whole CODE SECONDS` measures one world in this process and prints JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.scheduler.holder import WorkPolicy
from meshd.topology import build_plan, policy_for
from protocols.types import MILLISECOND, MINUTE, SECOND
from sim.chance import stream
from sim.world import Physics, World
from tests.bench.measure import memory_peak_mb

CITIES = (
    "London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg", "Mumbai", "Singapore",
    "Los Angeles", "Madrid", "Cairo", "Lagos", "Nairobi", "Mexico City", "Buenos Aires", "Seoul",
)  # fmt: skip
PACKETS_EVERY_NS = 100 * MILLISECOND
SETTLE_NS = 15 * SECOND
"""Links are dialled and tables levelled by then; the figure is of life after."""


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


def measure(code: str, seconds: int) -> dict[str, float]:
    began = time.process_time()
    world = world_of(code, seconds)
    built = time.process_time()
    world.run_for(SETTLE_NS)
    gc.collect()
    gc.freeze()
    settled, before = time.process_time(), world.events
    world.run_for(seconds * SECOND)
    took = time.process_time() - settled
    return {
        "nodes": len(world.hosts),
        "build_s": built - began,
        "settle_s": settled - built,
        "run_s": took,
        "events": world.events - before,
        "rate": (world.events - before) / took,
        "node_hours_a_minute": len(world.hosts) * seconds / took / 60,
        "memory_mb": memory_peak_mb(),
        "delivered": len(world.tally.delivered()),
        "sent": len(world.tally.sent),
        "hash": world.trace.hash,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2])), indent=1))
