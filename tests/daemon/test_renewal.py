"""New elements in a running daemon: planned ahead, swapped at their tick, kept over a restart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from meshd.adapters.updates import UPDATES, read_updates
from meshd.config import Config
from meshd.daemon import Shared
from meshd.daemon.fleet import open_fleet
from meshd.daemon.plans import MENDED_MAX, Plans, World
from meshd.ephemeris import Elements, format_time, parse_time
from meshd.ephemeris.succession import TICK_NS, Succession, Update
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.errors import InputError, MeshError
from protocols.types import MINUTE, SECOND, Instant
from sim.simclock import SimClock, SimMission
from tests.daemon.conftest import Yard, until
from tests.topology.skies import NOON, sky_of, untidy_elements

SETS = untidy_elements()[:120]


def newer(count: int, after: Instant = SECOND) -> tuple[Elements, ...]:
    """The first satellites a little further on."""
    return tuple(
        replace(e, epoch=e.epoch + after, mean_anomaly_deg=(e.mean_anomaly_deg + 0.1) % 360)
        for e in SETS[:count]
    )


def take(world: World, update: Update, now: Instant) -> None:
    succession = Succession(world.sky, world.coming.updates)
    world.coming.take(succession.accept(update, now)[0].updates)


def rows(plan: ContactPlan) -> list[list[int]]:
    return [column.tolist() for column in (plan.begin, plan.a, plan.b, plan.finish)]


@pytest.mark.parametrize("count", [2, MENDED_MAX + 1])
async def test_a_plan_is_swapped_whole_at_the_tick(sim_clock: SimClock, count: int) -> None:
    """Mended or built anew, what comes is what a daemon that was started with it would have."""
    clock = SimMission(sim_clock, NOON + MINUTE)
    sky = sky_of(SETS)
    world, plans = World(sky, policy_for(sky)), Plans()
    change = NOON + TICK_NS
    heard: list[tuple[Instant, ContactPlan]] = []

    async def follow() -> None:
        async for plan in plans.ahead(world, clock):
            heard.append((clock.now(), plan))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(100)
        take(world, Update(change, newer(count)), clock.now())
        await trio.sleep(40 * 60)
        nursery.cancel_scope.cancel()
    instants = [at for at, _ in heard]
    assert instants[:2] == [NOON + MINUTE, change]
    first, second, third = (plan for _, plan in heard[:3])
    after = sky_of([*newer(count), *SETS[count:]])
    assert [p.sky_digest for p in (first, second, third)] == [sky.digest, *[after.digest] * 2]
    assert (second.start, second.end) == (first.start, first.end)
    assert rows(second) == rows(build_plan(after, world.policy, second.start, second.end))
    assert instants[2] == second.end - 20 * MINUTE
    assert rows(third) == rows(build_plan(after, world.policy, third.start, third.end))


async def test_of_two_updates_each_has_its_tick(sim_clock: SimClock) -> None:
    """The later one is accepted first, and the first one waits for a plan that reaches to it."""
    clock = SimMission(sim_clock, NOON)
    sky = sky_of(SETS)
    world, plans = World(sky, policy_for(sky)), Plans()
    heard: list[tuple[int, str]] = []

    async def follow() -> None:
        async for plan in plans.ahead(world, clock):
            heard.append(((clock.now() - NOON) // MINUTE, plan.sky_digest))

    take(world, Update(NOON + 5 * TICK_NS, newer(3, 2 * SECOND)), NOON)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(60)
        take(world, Update(NOON + 3 * TICK_NS, newer(2)), clock.now())
        await trio.sleep(55 * 60)
        nursery.cancel_scope.cancel()
    one = Succession(sky, world.coming.updates).sky_at(NOON + 3 * TICK_NS).digest
    two = Succession(sky, world.coming.updates).sky_at(NOON + 5 * TICK_NS).digest
    assert len({sky.digest, one, two}) == 3
    assert heard == [(0, sky.digest), (20, sky.digest), (30, one), (40, one), (50, two)]


def omm(sets: tuple[Elements, ...]) -> str:
    return json.dumps(
        [
            {
                "OBJECT_NAME": e.name, "NORAD_CAT_ID": e.norad_id,
                "EPOCH": format_time(e.epoch).rstrip("Z") + "000",
                "MEAN_MOTION": e.mean_motion_rev_day, "ECCENTRICITY": e.eccentricity,
                "INCLINATION": e.inclination_deg, "RA_OF_ASC_NODE": e.raan_deg,
                "ARG_OF_PERICENTER": e.argp_deg, "MEAN_ANOMALY": e.mean_anomaly_deg, "BSTAR": 0.0,
            }
            for e in sets
        ]
    )  # fmt: skip


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Yard]:
    """Mission time goes 20 times as fast, and begins two minutes before noon."""
    shared = Shared.for_config(Config(epoch=format_time(NOON - 2 * MINUTE), speed=20.0))
    async with trio.open_nursery() as nursery, open_fleet(shared, tmp_path) as fleet:
        await nursery.start(shared.pool.run)
        yield Yard(fleet)
        nursery.cancel_scope.cancel()


async def test_a_daemon_is_given_elements_and_keeps_them(hasty: Yard) -> None:
    file = hasty.folder / "sky.json"
    file.write_text(omm(tuple(SETS)))
    a = await hasty.up("a", Config(name="a", catalog=(str(file),)))
    before = a.console.status()["plan"]
    told = await a.console.renew(format_time(NOON), {"new.json": omm(newer(3))})
    assert (told["taken"], told["refused"], told["at"]) == (3, [], "2025-09-23T12:00:00.000Z")
    waits = a.console.elements()
    assert [(row["at"], row["satellites"]) for row in waits["waiting"]] == [(told["at"], 3)]
    assert waits["sky"] == before["sky"] != told["sky"]
    await until(lambda: a.console.status()["plan"]["sky"] == told["sky"])
    assert hasty.shared.clock.now() >= NOON
    after = a.console.status()["plan"]
    assert after["digest"] != before["digest"] and after["start"] == before["start"]
    assert a.console.elements() | {"at": ""} == {"at": "", "sky": told["sky"], "waiting": []}
    with pytest.raises(InputError, match="none of these"):
        next_tick = format_time(NOON + 2 * TICK_NS)
        await a.console.renew(next_tick, {"new.json": omm(newer(3))})
    await hasty.kill("a")
    again = await hasty.up("a", Config(name="a", catalog=(str(file),)))
    assert again.console.status()["plan"]["sky"] == told["sky"]


async def test_what_was_written_is_whole_or_refused(hasty: Yard) -> None:
    file = hasty.folder / "sky.json"
    file.write_text(omm(tuple(SETS)))
    a = await hasty.up("a", Config(name="a", catalog=(str(file),)))
    await a.console.renew(format_time(parse_time("2025-09-23T12:10:00Z")), {"n": omm(newer(2))})
    kept = read_updates(a.home)
    assert [(u.at, len(u.elements)) for u in kept] == [(NOON + TICK_NS, 2)]
    await hasty.kill("a")
    (a.home / UPDATES).write_text("[{")
    with pytest.raises(MeshError, match="remove it"):
        read_updates(a.home)
