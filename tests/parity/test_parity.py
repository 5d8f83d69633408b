"""One scenario under two drivers, the heap and trio: the same nodes decide the same."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import trio

from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.scheduler.holder import WorkPolicy
from meshd.seam import BlobStored, JobSubmitted, PayloadArrived, PayloadOffered
from meshd.topology import build_plan, policy_for
from meshd.topology.plan import ContactPlan
from protocols.job import JobSpec, ShardSpec
from protocols.types import MINUTE, SECOND, Duration, Instant, JobId, NodeId, PacketId
from sim.world import World
from tests.parity.trio_mesh import JumpClock, TrioMesh

CITIES = ("London", "Sydney", "New York")
PAIRS = (("London", "Sydney"), ("Sydney", "New York"), ("New York", "London"))
SEED = 7
SENT_AT = 6 * SECOND
SUBMITTED_AT = 8 * SECOND
LASTS = 25 * SECOND
SHARDS = 8


@dataclass
class Outcome:
    """What a run decided: the hops and arrival of each packet, the holder of each shard."""

    hops: dict[int, tuple[NodeId, ...]]
    arrived: dict[int, Instant]
    holders: tuple[NodeId | None, ...]
    status: str


def job_of(model: str, sink: NodeId) -> bytes:
    shards = tuple(ShardSpec() for _ in range(SHARDS))
    spec = JobSpec(
        name="parity", kind="onnx", shards=shards, sink=sink, model=model, estimate_s=0.5
    )  # type: ignore[arg-type]
    return msgspec.msgpack.encode(spec)


def a_plan() -> ContactPlan:
    sky = sky_from_preset("iridium", [find_city(name) for name in CITIES])
    start = parse_time("2026-01-01T00:58:00Z")
    return build_plan(sky, policy_for(sky), start, start + 10 * MINUTE)


def on_the_heap(plan: ContactPlan) -> Outcome:
    world = World(SEED, plan)
    world.add_sites(WorkPolicy(1), WorkPolicy(0))
    world.start()
    world.run_until(plan.start + SENT_AT)
    packets = [world.send(a, b) for a, b in PAIRS]
    world.run_until(plan.start + SUBMITTED_AT)
    model = world.host("London").blobs.put(b"a model")
    spec = msgspec.msgpack.decode(job_of(model, world.host("Sydney").id), type=JobSpec)
    job = world.submit("London", spec, [b"a model"])
    world.run_until(plan.start + LASTS)
    view = world.job(job)
    assert view is not None
    sent = [world.tally.sent[packet] for packet in packets]
    return Outcome(
        {number: one.hops for number, one in enumerate(sent)},
        {number: one.arrived_at or 0 for number, one in enumerate(sent)},
        tuple(shard.row.holder for shard in view.shards),
        view.row.status.value,
    )


async def _trio_run(plan: ContactPlan) -> Outcome:
    mesh = TrioMesh(SEED, plan, 1)
    london = mesh.places["London"]
    arrived: dict[int, PayloadArrived] = {}

    def listen(number: int) -> None:
        source, target = PAIRS[number]
        place = mesh.places[source]
        packet = PacketId(f"parity-{number}")
        to = mesh.places[target].id
        place.driver.post(PayloadOffered(packet, to, "app", b"", MINUTE))

    async def watch(name: str) -> None:
        driver = mesh.places[name].driver
        with driver.watch(lambda happening: isinstance(happening, PayloadArrived)) as watcher:
            while True:
                happening = await watcher.next()
                assert isinstance(happening, PayloadArrived)
                arrived[int(happening.packet.rpartition("-")[2])] = happening

    async with trio.open_nursery() as nursery:
        await mesh.start(nursery)
        for name in CITIES:
            nursery.start_soon(watch, name)
        await _until(mesh, SENT_AT)
        for number in range(len(PAIRS)):
            listen(number)
        await _until(mesh, SUBMITTED_AT)
        model = london.blobs.put(b"a model")
        london.driver.post(BlobStored(model, 7))
        data = job_of(model, mesh.places["Sydney"].id)
        london.driver.post(JobSubmitted(JobId("job-1"), data))
        await _until(mesh, LASTS)
        nursery.cancel_scope.cancel()
    view = london.node.scheduler.book.find(JobId("job-1"))
    assert view is not None
    return Outcome(
        {number: one.hops for number, one in sorted(arrived.items())},
        {number: one.arrived[-1] for number, one in sorted(arrived.items())},
        tuple(shard.row.holder for shard in view.shards),
        view.row.status.value,
    )


async def _until(mesh: TrioMesh, since_start: Duration) -> None:
    await trio.sleep(mesh.time.real_seconds_until(mesh.plan.start + since_start))


def test_heap_and_trio_drivers_decide_alike() -> None:
    plan = a_plan()
    heap = on_the_heap(plan)
    real = trio.run(_trio_run, plan, clock=JumpClock())
    assert heap.status == real.status == "completed"
    assert len(heap.hops) == len(PAIRS)
    assert all(len(hops) > 2 for hops in heap.hops.values())
    assert heap.hops == real.hops
    assert heap.holders == real.holders
    assert None not in heap.holders
    for number, at in heap.arrived.items():
        # trio's float seconds are good to tens of nanoseconds; decisions are exact.
        assert abs(at - real.arrived[number]) < 1_000
