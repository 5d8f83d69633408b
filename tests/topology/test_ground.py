"""Ground links: to all in view, or to as many satellites as a station has antennas."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.topology import ContactPlan, build_plan, policy_for
from meshd.topology.ground import HOLD_NS, SLOT_NS
from protocols.types import HOUR, MINUTE

T0 = parse_time("2026-06-28T12:07:00Z")


@pytest.fixture(scope="module")
def sky() -> Sky:
    return sky_from_preset("kuiper-1", [find_city("London"), find_city("Quito")])


def plan_of(sky: Sky, ground: str, antennas: int = 1) -> ContactPlan:
    policy = replace(policy_for(sky), ground=ground, antennas=antennas)
    return build_plan(sky, policy, T0, T0 + HOUR)


def elevations(sky: Sky, station: int, at: int) -> np.ndarray:
    """Sine of the elevation of every satellite, from the propagator."""
    positions, _ = sky.states(at)
    away = positions[: sky.n_satellites] - positions[sky.n_satellites + station]
    up = sky.zeniths(np.array([at]))[0, station]
    return np.asarray((away @ up) / np.linalg.norm(away, axis=1))


@pytest.mark.parametrize("antennas", [1, 3])
def test_the_highest_at_the_slot_is_held_through_the_slot(sky: Sky, antennas: int) -> None:
    plan = plan_of(sky, "highest", antennas)
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(T0 + MINUTE, T0 + HOUR)
        slot = at - at % SLOT_NS
        for station in range(2):
            height = elevations(sky, station, slot)
            best = set(np.argsort(-height)[:antennas].tolist())
            risen = {s for s in best if height[s] >= np.sin(np.radians(30.0))}
            held = {a for a, b in plan.open_at(at) if b == sky.n_satellites + station}
            # One that sets within the slot is not replaced before the next.
            still = elevations(sky, station, at) >= np.sin(np.radians(30.0))
            assert held == {s for s in risen if still[s]}


def test_the_longest_is_held_until_it_sets(sky: Sky) -> None:
    every, plan = plan_of(sky, "all"), plan_of(sky, "longest")
    assert plan.n_contacts < plan_of(sky, "highest").n_contacts
    sets = 0
    for station in (sky.n_satellites, sky.n_satellites + 1):
        for contact in plan.contacts_of(station):
            view = every.open_contact(station, contact.peer, contact.begin)
            assert view is not None and view.begin <= contact.begin
            afresh = contact.finish % HOLD_NS == 0
            assert contact.finish == view.finish or afresh
            sets += contact.finish == view.finish < plan.end
        assert len({c.peer for c in plan.contacts_of(station)}) > 5
    assert sets > 10


def test_no_station_holds_more_links_than_antennas(sky: Sky) -> None:
    for ground in ("highest", "longest"):
        plan = plan_of(sky, ground, 2)
        for at in np.unique(plan.begin).tolist():
            held = [b for _, b in plan.open_at(at) if b >= sky.n_satellites]
            assert all(held.count(station) <= 2 for station in set(held))


def test_windows_agree_on_what_is_held(sky: Sky) -> None:
    for ground in ("highest", "longest"):
        policy = replace(policy_for(sky), ground=ground, antennas=2)
        whole = build_plan(sky, policy, T0, T0 + HOUR)
        part = build_plan(sky, policy, T0 + 17 * MINUTE + 3, T0 + 40 * MINUTE)
        for at in range(part.start, part.end, 7 * SLOT_NS // 3):
            assert part.open_at(at) == whole.open_at(at)
