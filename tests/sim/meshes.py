"""Small meshes and one real sky, for tests."""

from __future__ import annotations

from functools import cache

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.scheduler.holder import WorkPolicy
from meshd.topology import ContactPlan, build_plan, plan_from_contacts, policy_for
from protocols.cid import cid_of
from protocols.job import JobSpec, ShardSpec
from protocols.types import MILLISECOND, MINUTE, SECOND, JobId
from sim.queue import Queue
from sim.world import Physics, World

START = 1_000 * SECOND
LIGHT = 5 * MILLISECOND
CITIES = ("London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg")
WORKER, IDLE = WorkPolicy(slots=1), WorkPolicy(slots=0)


def cabled(
    *links: str,
    seed: int = 1,
    physics: Physics | None = None,
    delay_ns: int = LIGHT,
    queue: Queue | None = None,
) -> World:
    """A started world of nodes joined by cables: `ab` is one that a wants, from a to b."""
    world = World(seed, start=START, physics=physics, queue=queue)
    for name in dict.fromkeys("".join(links)):
        world.add(name, work=WORKER)
    world.start()
    for a, b in links:
        world.connect(a, b, delay_ns)
    return world


def planned(*contacts: tuple[int, int, int, int], seed: int = 1) -> World:
    """A started world of satellites n0, n1... and contacts (a, b, from s, to s) after START."""
    count = 1 + max(max(a, b) for a, b, _, _ in contacts)
    rows = [(a, b, START + begin * SECOND, START + end * SECOND) for a, b, begin, end in contacts]
    plan = plan_from_contacts(["satellite"] * count, rows, LIGHT, (START, START + 1_000 * SECOND))
    world = World(seed, plan)
    world.add_sites(WORKER, IDLE)
    world.start()
    return world


@cache
def iridium_plan() -> ContactPlan:
    sky = sky_from_preset("iridium", [find_city(name) for name in CITIES])
    return build_plan(sky, policy_for(sky), WALKER_EPOCH, WALKER_EPOCH + 20 * MINUTE)


def iridium(seed: int = 1, physics: Physics | None = None, queue: Queue | None = None) -> World:
    """66 satellites and six cities, started. Their nodes know who lives where their links lead."""
    world = World(seed, iridium_plan(), physics=physics, queue=queue)
    world.add_sites(WORKER, IDLE)
    world.start()
    return world


def submit(world: World, at: str, sink: str, shards: int, estimate_s: float) -> JobId:
    """A job of so many shards with an input each."""
    inputs = [f"input {number}".encode() * 100 for number in range(shards)]
    spec = JobSpec(
        name="test",
        kind="onnx",
        shards=tuple(ShardSpec(cid_of(data)) for data in inputs),
        sink=world.host(sink).id,
        estimate_s=estimate_s,
    )
    return world.submit(at, spec, inputs)
