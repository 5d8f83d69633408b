"""The way straight to a target is the one in the whole tree: in every nanosecond, in every tie."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.kernels.arrival import Trip
from meshd.kernels.graph import FAR
from meshd.router import Overlay, earliest_arrival
from meshd.router import reach as limits
from meshd.router.reach import view_at
from meshd.router.toward import arrival_at, straight_to
from meshd.topology import ContactPlan, FixedLight, build_plan, plan_from_contacts, policy_for
from protocols.types import MILLISECOND, MINUTE, SECOND

CITIES = ("London", "Sydney", "Tokyo", "Nairobi", "Quito", "Honolulu")
SKIES = ("iridium", "D:550:53:240/12/5", "D:550:53:120/10/3+S:1200:88:96/8/2")
WINDOW = 8 * MINUTE


@cache
def plan_of(name: str) -> ContactPlan:
    sky = sky_from_preset(name, [find_city(city) for city in CITIES])
    return build_plan(sky, policy_for(sky), WALKER_EPOCH, WALKER_EPOCH + WINDOW)


@st.composite
def questions(draw: st.DrawFn) -> tuple[ContactPlan, int, int, int, Overlay]:
    """A sky, two of its sites, an instant, and what is down and who is missing."""
    plan = plan_of(draw(st.sampled_from(SKIES)))
    site = st.integers(0, plan.n_sites - 1) | st.integers(plan.n_sites - 6, plan.n_sites - 1)
    at = plan.start + draw(st.integers(0, WINDOW - SECOND))
    rng = Random(draw(st.integers(0, 1_000)))
    rows = rng.sample(
        range(plan.n_contacts), draw(st.sampled_from([0, 0, 5, plan.n_contacts // 3]))
    )
    dead = frozenset((int(plan.a[row]), int(plan.b[row])) for row in rows)
    absent = frozenset(draw(st.lists(site, max_size=4)))
    return plan, draw(site), draw(site), at, Overlay(absent, dead)


@settings(max_examples=400)
@given(questions())
def test_straight_to_the_target_as_by_the_whole_tree(
    question: tuple[ContactPlan, int, int, int, Overlay],
) -> None:
    plan, source, target, at, overlay = question
    whole = earliest_arrival(plan, source, at, overlay)
    found = arrival_at(plan, source, at, overlay, target)
    assert found.arrival(target) == whole.arrival(target)
    assert found.hops(target) == whole.hops(target)
    assert found.path(target) == whole.path(target)
    assert found.first_hop(target) == whole.first_hop(target)


def test_ties_are_decided_as_by_the_whole_tree() -> None:
    """With light times in whole milliseconds a grid of satellites is full of ties."""
    sky = plan_of("D:550:53:240/12/5")
    columns = (sky.a, sky.b, sky.begin, sky.finish)
    contacts = list(zip(*(column.tolist() for column in columns), strict=True))
    light = {(a, b): coarse(sky, a, b) for a, b, _, _ in contacts}
    plan = plan_from_contacts(sky.kinds, contacts, FixedLight(0, light))
    ties = 0
    for seed in range(150):
        source, target = Random(seed).sample(range(plan.n_sites), 2)
        whole = earliest_arrival(plan, source, plan.start + seed * SECOND, Overlay())
        found = arrival_at(plan, source, plan.start + seed * SECOND, Overlay(), target)
        assert found.path(target) == whole.path(target)
        ties += len({whole.arrival(v) for v in whole.reached()}) < len(whole.reached())
    assert ties == 150


def coarse(plan: ContactPlan, a: int, b: int) -> int:
    """The light time of a pair at the start, in steps of 1 ms."""
    return (plan.light_time_ns(a, b, plan.start) // MILLISECOND + 1) * MILLISECOND


@pytest.mark.parametrize("name", SKIES)
def test_light_never_takes_less_than_the_least_within_a_tick(name: str) -> None:
    plan = plan_of(name)
    for start in range(plan.start, plan.end - 30 * SECOND, 50 * SECOND):
        view = view_at(plan, start + SECOND)
        assert view is not None
        for site in range(0, plan.n_sites, 7):
            for arc in range(int(view.graph.first[site]), int(view.graph.first[site + 1])):
                peer, least = int(view.graph.peer[arc]), int(view.least.length_ns[arc])
                instants = range(view.start, view.end, SECOND)
                light = [plan.light_time_ns(site, peer, at) for at in instants]
                assert least < min(light)
                assert least > 0.9 * min(light) - MILLISECOND // 2  # or it would be of no use


@pytest.mark.parametrize("name", SKIES)
def test_a_view_has_the_contacts_that_stand_at_some_time_of_its_tick(name: str) -> None:
    plan = plan_of(name)
    view = view_at(plan, plan.start + 3 * MINUTE)
    assert view is not None
    for site in range(plan.n_sites):
        arcs = slice(int(view.graph.first[site]), int(view.graph.first[site + 1]))
        columns = (view.graph.peer, view.graph.begin, view.graph.finish, view.graph.rate_bps)
        rows = zip(*(column[arcs].tolist() for column in columns), strict=True)
        standing = [
            c for c in plan.contacts_of(site) if c.begin < view.end and view.start < c.finish
        ]
        assert list(rows) == [tuple(contact) for contact in standing]


def test_a_search_settles_little_beside_its_path() -> None:
    plan = plan_of("D:550:53:240/12/5")
    view = view_at(plan, plan.start)
    assert view is not None
    seen = []
    for seed in range(40):
        source, target = Random(seed).sample(range(240), 2)
        tree = straight_to(view, Overlay(), Trip(source, plan.start + SECOND, 0, target))
        assert tree is not None
        seen.append(len(tree.reached()) / (len(tree.path(target)) + 1))
    assert np.median(seen) < 6


def test_views_and_their_targets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TARGETS_MAX", 3)
    sky = sky_from_preset("iridium", [])
    plan = build_plan(sky, policy_for(sky), WALKER_EPOCH, WALKER_EPOCH + 2 * MINUTE)
    for tick in range(6):
        view = view_at(plan, plan.start + tick * limits.TICK_NS)
        assert view is not None
        for target in range(10):
            assert view.left(target)[target] == 0
        assert len(view._targets) == 3
    assert len(plan.derived["reach"]) == limits.VIEWS_MAX


def test_what_is_out_of_reach_is_far() -> None:
    plan = plan_of("iridium")
    view = view_at(plan, plan.start)
    assert view is not None
    quito = plan.index_of("Quito")
    degrees = np.diff(view.graph.first)
    lonely = [site for site in range(plan.n_sites) if degrees[site] == 0]
    assert all(view.left(quito)[site] == FAR for site in lonely if site != quito)
