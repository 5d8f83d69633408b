"""Alternatives that share nothing: against networkx's minimum-cost flow, and by trying all."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.router.disjoint import disjoint_routes
from meshd.router.objective import DELAY, ENERGY
from meshd.router.snapshot import snapshot_route
from meshd.topology import ContactPlan, build_plan, plan_from_contacts, policy_for
from protocols.errors import InputError
from protocols.types import SECOND

T0 = parse_time("2026-06-28T12:00:00Z")


@pytest.fixture(scope="module")
def starlink() -> ContactPlan:
    sky = sky_from_preset("starlink-1", [find_city("London"), find_city("New York")])
    return build_plan(sky, policy_for(sky), T0, T0 + SECOND)


def links(path: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in pairwise(path)}


def check_apart(paths: list[tuple[int, ...]], apart: str) -> None:
    for one, other in combinations(paths, 2):
        if apart == "nodes":
            assert not set(one[1:-1]) & set(other[1:-1])
        assert not links(one) & links(other)
    assert all(len(set(path)) == len(path) for path in paths)


def flow_cost(plan: ContactPlan, ends: tuple[int, int], k: int, apart: str) -> int | None:
    """networkx's cost of k units; None when so many do not fit."""
    graph = networkx.DiGraph()
    for site, kind in enumerate(plan.kinds):
        room = k if site in ends else (kind == "satellite") * (1 if apart == "nodes" else k)
        graph.add_edge((site, 0), (site, 1), capacity=room, weight=0)
    for row in plan.open_rows(plan.start).tolist():
        a, b = int(plan.a[row]), int(plan.b[row])
        light = plan.light_time_ns(a, b, plan.start)
        graph.add_edge((a, 1), (b, 0), capacity=1, weight=light)
        graph.add_edge((b, 1), (a, 0), capacity=1, weight=light)
    graph.nodes[ends[0], 1]["demand"] = -k
    graph.nodes[ends[1], 0]["demand"] = k
    try:
        return int(networkx.min_cost_flow_cost(graph))
    except networkx.NetworkXUnfeasible:
        return None


@pytest.mark.parametrize("apart", ["nodes", "links"])
def test_together_they_are_the_shortest_there_are(starlink: ContactPlan, apart: str) -> None:
    ends = starlink.index_of("London"), starlink.index_of("New York")
    for k in (1, 3):
        routes = disjoint_routes(starlink, ends, T0, k, apart)
        check_apart([route.path for route in routes], apart)
        assert sum(r.one_way_ns for r in routes) == flow_cost(starlink, ends, k, apart)
    best = snapshot_route(starlink, *ends, T0)
    assert disjoint_routes(starlink, ends, T0, 1, apart) == [best]


@st.composite
def small_plans(draw: st.DrawFn) -> ContactPlan:
    pair = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda p: p[0] != p[1])
    pairs = sorted({(min(p), max(p)) for p in draw(st.lists(pair, min_size=4, max_size=18))})
    rng = random.Random(draw(st.integers(0, 999)))
    light = {p: rng.randrange(1, 50) for p in pairs}
    kinds = ("satellite",) * 6 + ("ground",)

    def light_time_ns(a: int, b: int, at: int) -> int:
        return light[min(a, b), max(a, b)]

    return plan_from_contacts(kinds, [(*p, 0, 10) for p in pairs], light_time_ns, (0, 10))


@settings(max_examples=150)
@given(small_plans(), st.sampled_from(["nodes", "links"]), st.integers(1, 4))
def test_against_networkx_on_random_plans(plan: ContactPlan, apart: str, k: int) -> None:
    ends = 0, 5
    routes = disjoint_routes(plan, ends, 0, k, apart)
    check_apart([route.path for route in routes], apart)
    assert len(routes) == max(
        n for n in range(k + 1) if flow_cost(plan, ends, n, apart) is not None
    )
    assert sum(r.one_way_ns for r in routes) == flow_cost(plan, ends, len(routes), apart)
    assert [r.one_way_ns for r in routes] == sorted(r.one_way_ns for r in routes)


def test_the_best_path_gives_way_to_a_cheaper_pair() -> None:
    # 0-1-2-3 is shortest, but with it no other way is left.
    light = {(0, 1): 1, (1, 2): 1, (2, 3): 1, (0, 2): 3, (1, 3): 3}
    contacts = [(*pair, 0, 10) for pair in light]
    plan = plan_from_contacts(
        ("satellite",) * 4, contacts, lambda a, b, at: light[min(a, b), max(a, b)]
    )
    assert [r.path for r in disjoint_routes(plan, (0, 3), 0, 1)] == [(0, 1, 2, 3)]
    assert [r.path for r in disjoint_routes(plan, (0, 3), 0, 3)] == [(0, 1, 3), (0, 2, 3)]


def test_energy_prefers_many_short_links(starlink: ContactPlan) -> None:
    ends = starlink.index_of("London"), starlink.index_of("New York")
    (quick,), (cheap,) = (
        disjoint_routes(starlink, ends, T0, 1, "nodes", o) for o in (DELAY, ENERGY)
    )
    assert cheap.one_way_ns >= quick.one_way_ns
    cost = [
        sum(ENERGY.whole_cost(starlink.light_time_ns(a, b, T0)) for a, b in pairwise(route.path))
        for route in (quick, cheap)
    ]
    assert cost[1] <= cost[0]


def test_counts_that_make_no_sense_are_refused(starlink: ContactPlan) -> None:
    for k, ends in ((0, (0, 1)), (65, (0, 1)), (1, (3, 3))):
        with pytest.raises(InputError):
            disjoint_routes(starlink, ends, T0, k)
