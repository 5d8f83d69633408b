"""Staging: from a scenario and a seed to a world with everything in it scheduled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from meshd.ephemeris import (
    Sky,
    find_city,
    parse_catalog,
    parse_duration,
    sky_from_catalog,
    sky_from_preset,
)
from meshd.scheduler.holder import WorkPolicy
from meshd.scheduler.states import Phase
from meshd.topology import LinkPolicy, build_plan, policy_for
from protocols.cid import cid_of
from protocols.errors import InputError, MeshError
from protocols.job import JobSpec, Limits, ShardSpec
from protocols.types import MINUTE, SECOND, Instant
from sim.chance import number, stream
from sim.scenario import HOLDER, Happening, Packets, Scenario, Work
from sim.world import Physics, World

PLAN_MARGIN_NS = 10 * MINUTE
"""The plan goes on beyond the end of the run, so that routes near it see what comes."""

UNFINISHED = (Phase.OFFERED, Phase.HELD)


@dataclass(slots=True)
class Stage:
    """A world, and what the timeline did in it."""

    scenario: Scenario
    world: World
    happened: list[tuple[Instant, str, str]] = field(default_factory=list)
    """(instant, "kill" or "restart", name of the node or "" when there was none)."""

    @property
    def end(self) -> Instant:
        return self.scenario.start + self.scenario.duration_ns


def stage(scenario: Scenario, seed: int, folder: Path) -> Stage:
    """The world of a scenario, started. `folder` is where its files are.

    Raises InputError "bad-scenario".
    """
    try:
        sky = _sky(scenario, folder)
        plan = build_plan(sky, _policy(scenario, sky), scenario.start, _plan_end(scenario))
    except MeshError as error:
        raise InputError("bad-scenario", error.message) from None
    nodes = scenario.nodes
    physics = Physics(loss=nodes.loss, commit_ns=parse_duration(nodes.commit))
    world = World(seed, plan, physics=physics)
    for name, kind in zip(plan.names, plan.kinds, strict=True):
        slots = nodes.slots if kind == "satellite" else nodes.ground_slots
        world.add(name, name, WorkPolicy(slots), nodes.speed)
    world.start()
    staged = Stage(scenario, world)
    if scenario.packets is not None:
        _packets(scenario.packets, staged)
    for index, work in enumerate(scenario.jobs):
        _job(work, index, staged)
    for item in scenario.timeline:
        _happening(item, staged)
    return staged


def _plan_end(scenario: Scenario) -> Instant:
    return scenario.start + scenario.duration_ns + PLAN_MARGIN_NS


def _sky(scenario: Scenario, folder: Path) -> Sky:
    stations = [find_city(name) for name in scenario.stations]
    if scenario.constellation:
        return sky_from_preset(scenario.constellation, stations)
    path = folder / scenario.catalog
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("bad-scenario", f"cannot read the catalog {path}: {error}") from None
    return sky_from_catalog(parse_catalog(text), stations)


def _policy(scenario: Scenario, sky: Sky) -> LinkPolicy:
    policy, rules = policy_for(sky), scenario.links
    if rules.min_elevation_deg is not None:
        policy = replace(policy, min_elevation_deg=rules.min_elevation_deg)
    if rules.cross_plane_latitude_max_deg is not None:
        limit = rules.cross_plane_latitude_max_deg
        policy = replace(policy, cross_plane_latitude_max_deg=limit)
    if rules.grazing_altitude_km is not None:
        policy = replace(policy, grazing_altitude_km=rules.grazing_altitude_km)
    if rules.isl_range_max_km is not None:
        policy = replace(policy, isl_range_max_km=rules.isl_range_max_km)
    return policy


def _site(world: World, name: str, where: str) -> str:
    """The name of a node as the plan spells it."""
    assert world.plan is not None
    try:
        return world.plan.names[world.plan.index_of(name)]
    except MeshError as error:
        raise InputError("bad-scenario", f"{error.message} at {where}") from None


def _packets(packets: Packets, staged: Stage) -> None:
    world, scenario = staged.world, staged.scenario
    assert world.plan is not None
    cities = [n for n, k in zip(world.plan.names, world.plan.kinds, strict=True) if k == "ground"]
    pairs = [
        (_site(world, a, "$.packets.pairs"), _site(world, b, "$.packets.pairs"))
        for a, b in packets.pairs
    ]
    rng = stream(world.seed, "workload", "packets")
    first = scenario.start + parse_duration(packets.at)
    lifetime = parse_duration(packets.lifetime)
    payload = bytes(packets.size_bytes)
    for index in range(packets.count):
        a, b = pairs[index % len(pairs)] if pairs else tuple(rng.sample(cities, 2))
        at = first + round(index * SECOND / packets.rate_hz)

        def send(a: str = a, b: str = b) -> None:
            world.send(a, b, payload, lifetime_ns=lifetime)

        world.at(at, send)


def _job(work: Work, index: int, staged: Stage) -> None:
    world = staged.world
    where = f"$.jobs[{index}]"
    source, sink = _site(world, work.source, where), _site(world, work.sink, where)
    model = _bytes(world.seed, work.model_bytes, index, "model")
    inputs = [_bytes(world.seed, work.input_bytes, index, n) for n in range(work.shards)]
    spec = JobSpec(
        name=work.name,
        kind="onnx",
        shards=tuple(ShardSpec(cid_of(data)) for data in inputs),
        sink=world.host(sink).id,
        model=cid_of(model),
        deadline_s=work.deadline_s,
        estimate_s=work.estimate_s,
        limits=Limits(wall_s=max(60.0, 10 * work.estimate_s)),
    )
    at = staged.scenario.start + parse_duration(work.at)
    world.at(at, lambda: (world.submit(source, spec, [*inputs, model]), None)[1])


def _bytes(seed: int, size: int, *key: int | str) -> bytes:
    """A file's bytes: the same eight over and over, and no other file's."""
    head = number(seed, "file", *key).to_bytes(8, "big")
    return (head * (size // 8 + 1))[:size]


def _happening(item: Happening, staged: Stage) -> None:
    world = staged.world
    word = item.kill or item.restart
    name = word if word == HOLDER else _site(world, word, "$.timeline")

    def happen() -> None:
        if item.kill:
            victim = busiest(world) if name == HOLDER else name
            if victim:
                world.kill(victim)
            staged.happened.append((world.now, "kill", victim))
            return
        killed = [node for _, what, node in staged.happened if what == "kill" and node]
        back = (killed[-1] if killed else "") if name == HOLDER else name
        if back and world.host(back).node is None:
            world.restart(back)
        staged.happened.append((world.now, "restart", back))

    world.at(staged.scenario.start + parse_duration(item.at), happen)


def busiest(world: World) -> str:
    """The node that holds the most unfinished shards, ties by name; "" when none holds any."""
    held: Counter[str] = Counter()
    for job in world.tally.jobs:
        view = world.job(job)
        for shard in view.shards if view else ():
            if shard.row.phase in UNFINISHED and shard.row.holder is not None:
                held[world.name_of(shard.row.holder)] += 1
    return min(held, key=lambda name: (-held[name], name), default="")
