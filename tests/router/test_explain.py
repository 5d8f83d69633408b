"""Explanations: the next best is the next best, and every reason is true."""

from __future__ import annotations

import re
from itertools import islice, pairwise

import networkx
import pytest

from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.router.explain import explain
from meshd.router.snapshot import snapshot_route
from meshd.topology import ContactPlan, LinkPolicy, build_plan, plan_from_contacts, policy_for
from meshd.topology.reasons import Sight, why_ended, why_unlinked
from protocols.types import MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")
CITIES = [find_city(name) for name in ("London", "Sydney")]


def sight_at(sky: Sky, policy: LinkPolicy):  # type: ignore[no-untyped-def]
    return lambda at: Sight.of(sky, policy, at)


@pytest.fixture(scope="module")
def iridium() -> tuple[Sky, LinkPolicy, ContactPlan]:
    sky = sky_from_preset("iridium", CITIES)
    policy = policy_for(sky)
    return sky, policy, build_plan(sky, policy, T0, T0 + 20 * MINUTE)


def test_the_next_best_is_networkxs_second_path(
    iridium: tuple[Sky, LinkPolicy, ContactPlan],
) -> None:
    sky, policy, plan = iridium
    ends = plan.index_of("London"), plan.index_of("Sydney")
    for at in range(T0, T0 + 15 * MINUTE, 150 * SECOND):
        graph = networkx.Graph()
        for a, b in plan.open_at(at):
            if all(plan.kinds[s] == "satellite" or s in ends for s in (a, b)):
                graph.add_edge(a, b, light=plan.light_time_ns(a, b, at))
        first, second = islice(networkx.shortest_simple_paths(graph, *ends, "light"), 2)
        told = explain(plan, ends, at, sight_at(sky, policy))
        assert told.route is not None and told.next_best is not None
        assert told.route.path == tuple(first)
        assert told.next_best.one_way_ns == networkx.path_weight(graph, second, "light")


def test_contacts_are_those_of_the_links_and_the_first_to_end_has_its_reason(
    iridium: tuple[Sky, LinkPolicy, ContactPlan],
) -> None:
    sky, policy, plan = iridium
    ends = plan.index_of("London"), plan.index_of("Sydney")
    told = explain(plan, ends, T0, sight_at(sky, policy))
    assert told.route is not None and told.ends is not None
    finishes = []
    for (a, b), contact in zip(pairwise(told.route.path), told.contacts, strict=True):
        assert contact == plan.open_contact(a, b, T0)
        finishes.append(contact.finish)
    place, why = told.ends
    assert finishes[place] == min(finishes)
    assert why is not None and "too low: 8.20 degrees" in why
    assert all(ride.wait_ns == 0 for ride in told.rides)


def test_every_shortcut_would_save_what_is_said_and_is_not_open(
    iridium: tuple[Sky, LinkPolicy, ContactPlan],
) -> None:
    sky, policy, plan = iridium
    ends = plan.index_of("London"), plan.index_of("Sydney")
    told = explain(plan, ends, T0, sight_at(sky, policy))
    assert told.route is not None and len(told.shortcuts) > 2
    for cut in told.shortcuts:
        assert plan.open_contact(cut.a, cut.b, T0) is None
        contacts = [(a, b, T0, T0 + SECOND) for a, b in plan.open_at(T0)]
        more = plan_from_contacts(plan.kinds, [*contacts, (cut.a, cut.b, T0, T0 + SECOND)],
                                  plan.light_time_ns)  # fmt: skip
        with_it = snapshot_route(more, *ends, T0)
        assert with_it is not None
        # Another way through the new link may save a little more still.
        assert told.route.one_way_ns - with_it.one_way_ns >= cut.saves_ns - 2 * len(plan.kinds)


def test_geometry_has_a_reason_just_where_there_is_no_contact(
    iridium: tuple[Sky, LinkPolicy, ContactPlan],
) -> None:
    sky, policy, plan = iridium
    for at in (T0, T0 + 7 * MINUTE):
        sight = Sight.of(sky, policy, at)
        for station in (66, 67):
            for satellite in range(66):
                linked = plan.open_contact(satellite, station, at) is not None
                assert linked == (sight.why_apart(satellite, station) is None)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (LinkPolicy(isl_range_max_km=3_000), r"out of range: 4\d\d\d km, at most 3000"),
        (LinkPolicy(grazing_altitude_km=600), r"the beam would pass \d+ km over the ground"),
        (LinkPolicy(slew_max_deg_s=0.001), r"the beam turns 0\.\d+ degrees a second"),
        (LinkPolicy(sun_exclusion_deg=179), r"the Sun stands \d+\.\d degrees beside the beam"),
    ],
)
def test_lasers_that_geometry_forbids(policy: LinkPolicy, why: str) -> None:
    sight = Sight.of(sky_from_preset("iridium", CITIES), policy, T0)
    told = sight.why_apart(0, 1)
    assert told is not None and re.match(why, told), told


def test_reasons_of_the_policy() -> None:
    sky = sky_from_preset("starlink-1", CITIES)
    grid = policy_for(sky)
    plan = build_plan(sky, grid, T0, T0 + MINUTE)
    sight = Sight.of(sky, grid, T0)
    assert "no neighbours in the grid" in str(why_unlinked(plan, sight, 0, 2, T0))
    assert "Earth is between" in str(why_unlinked(plan, sight, 0, 11, T0))
    assert why_unlinked(plan, sight, 0, 1, T0) is None
    near = LinkPolicy(isl="nearest", terminals=2)
    few = build_plan(sky, near, T0, T0 + MINUTE)
    told = [why_unlinked(few, Sight.of(sky, near, T0), 0, b, T0) for b in range(1, 60)]
    assert any("no free terminal: all 2 of starlink-1-1-1 are in use" in str(why) for why in told)


def test_a_contact_that_geometry_does_not_end_is_ended_by_choice_or_by_old_elements() -> None:
    sky = sky_from_preset("iridium", CITIES)
    chosen = Sight.of(sky, LinkPolicy(isl="nearest"), T0)
    assert why_ended(chosen, 0, 1) == "another peer was chosen"
    assert why_ended(Sight.of(sky, LinkPolicy(), T0), 0, 1) is None
    joining = Sight.of(sky, LinkPolicy(isl="fitted", age_margin=True), T0 + 30 * SECOND)
    assert why_ended(joining, 0, 1) == "another peer was chosen"
    aged = Sight.of(sky, LinkPolicy(isl="fitted", age_margin=True), T0 + 7 * SECOND)
    assert why_ended(aged, 0, 1) == "elements so old leave no more of it sure"
    plan = build_plan(sky, policy_for(sky), T0, T0 + SECOND)
    above = next(contact.peer for contact in plan.contacts_of(66))
    held = Sight.of(sky, LinkPolicy(ground="highest", min_elevation_deg=8.2), T0)
    assert why_ended(held, above, 66) == "the station turned to another satellite"


def test_what_opens_later_says_when_and_dark_ends_have_no_route() -> None:
    plan = plan_from_contacts(
        ("satellite",) * 3, [(0, 1, 0, 100), (1, 2, 2 * SECOND, 3 * SECOND)], 5
    )
    assert why_unlinked(plan, None, 1, 2, 0) == "its contact begins in 2.0 s"
    assert why_unlinked(plan, None, 0, 2, 0) == "the plan has no contact of them"
    told = explain(plan, (0, 2), 0, lambda at: None)
    assert told.route is None and told.shortcuts == ()
    assert [(ride.to, ride.wait_ns, ride.light_ns) for ride in told.rides] == [
        (1, 0, 5), (2, 2 * SECOND - 5, 5),
    ]  # fmt: skip
