"""Trees and tables of an instant: every length, every tie, against plain statements and others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from heapq import heappop, heappush
from random import Random

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.kernels.buckets import RING_MAX, bucket_search, shift_for
from meshd.kernels.graph import FAR, snapshot_at
from meshd.kernels.light import light_between
from meshd.kernels.sweep import AFAR, NOWHERE, sweep_search
from meshd.router import snapshot_route, snapshot_tree
from meshd.router.graph import graph_at, graph_of
from meshd.topology import ContactPlan, FixedLight, build_plan, plan_from_contacts, policy_for
from protocols.types import MILLISECOND, MINUTE, SECOND

CITIES = ("London", "Sydney", "Tokyo", "Nairobi", "Quito", "Honolulu")
SKIES = ("iridium", "D:550:53:240/12/5", "D:550:53:120/10/3+S:1200:88:96/8/2")


@cache
def plan_of(name: str) -> ContactPlan:
    sky = sky_from_preset(name, [find_city(city) for city in CITIES])
    return build_plan(sky, policy_for(sky), WALKER_EPOCH, WALKER_EPOCH + 8 * MINUTE)


def slow_tree(plan: ContactPlan, source: int, at: int) -> dict[int, tuple[int, int, int]]:
    """Length, hops and the site before of every site in reach: a plain Dijkstra over records."""
    labels = {source: (0, 0, source)}
    heap = [(0, 0, source)]
    while heap:
        length, hops, site = heappop(heap)
        if (length, hops) != labels[site][:2] or (plan.kinds[site] == "ground" and site != source):
            continue
        for peer, begin, finish, _ in plan.contacts_of(site):
            if begin <= at < finish:
                label = (length + plan.light_time_ns(site, peer, at), hops + 1, site)
                if peer not in labels or label < labels[peer]:
                    if peer not in labels or label[:2] < labels[peer][:2]:
                        heappush(heap, (*label[:2], peer))
                    labels[peer] = label
    return labels


@st.composite
def plans(draw: st.DrawFn) -> ContactPlan:
    """Links of lengths that tie, or that differ by a thousand times, some of them over."""
    n = draw(st.integers(2, 9))
    kinds = draw(st.lists(st.sampled_from(["satellite"] * 3 + ["ground"]), min_size=n, max_size=n))
    pairs = draw(
        st.lists(st.tuples(*2 * [st.integers(0, n - 1)]), min_size=n, max_size=3 * n, unique=True)
    )
    length = st.integers(1, 4) | st.integers(1, 1_000) | st.integers(999, 1_000)
    delays = {(min(p), max(p)): draw(length) for p in pairs if p[0] != p[1]}
    contacts = [(a, b, 0, draw(st.sampled_from([10, 10, 10, 5]))) for a, b in delays]
    return plan_from_contacts(kinds, contacts, FixedLight(0, delays), window=(0, 10))


@settings(max_examples=400)
@given(plans(), st.sampled_from([0, 7]))
def test_trees_against_a_plain_search(plan: ContactPlan, at: int) -> None:
    check_tree(plan, 0, at)


def check_tree(plan: ContactPlan, source: int, at: int) -> None:
    graph = graph_of(plan)
    assert graph is not None
    tree = snapshot_tree(graph, source, at)
    expected = slow_tree(plan, source, at)
    reached = np.flatnonzero(tree.length_ns != FAR).tolist()
    columns = zip(tree.length_ns.tolist(), tree.hops.tolist(), tree.before.tolist(), strict=True)
    labels = list(columns)
    assert {site: labels[site] for site in reached} == expected


@pytest.mark.parametrize("name", SKIES)
def test_trees_of_a_sky(name: str) -> None:
    plan, rng = plan_of(name), Random(3)
    graph, light = graph_of(plan), plan.light_time_ns
    plain = replace(plan, light_time_ns=lambda a, b, at: light(a, b, at), derived={})
    assert graph is not None and graph_of(plain) is None
    for source in rng.sample(range(plan.n_sites), 4):
        at = rng.randrange(plan.start, plan.end)
        check_tree(plan, source, at)
        tree = snapshot_tree(graph, source, at)
        for target in range(plan.n_sites):
            route = snapshot_route(plain, source, target, at)
            assert tree.path(target) == (route.path if route else ())
            assert tree.one_way_ns(target) == (route.one_way_ns if route else None)


def test_trees_against_networkx() -> None:
    plan = plan_of(SKIES[1])
    graph = graph_of(plan)
    assert graph is not None
    flying = plan.snapshot(plan.start).subgraph(plan.names[: -len(CITIES)])
    expected = networkx.single_source_dijkstra_path_length(flying, plan.names[7], weight="delay_ns")
    tree = snapshot_tree(graph, 7, plan.start)
    found = {name: tree.one_way_ns(plan.index_of(name)) for name in flying.nodes}
    assert {name: length for name, length in found.items() if length is not None} == expected


def test_buckets_grow_with_what_stands_in_them() -> None:
    star = [(0, leaf, 0, 9) for leaf in range(1, 400)] + [
        (400, leaf, 0, 9) for leaf in range(1, 400)
    ]
    check_tree(plan_from_contacts(("satellite",) * 401, star, 1_000), 0, 3)


def test_buckets_are_no_wider_than_the_shortest_link_or_fit_the_ring() -> None:
    assert shift_for(1_000, 1_900) == 9
    assert shift_for(1_024, 1_900) == 10
    assert shift_for(1, 1) == 0
    for longest in (100, 10_000, 10**12):
        assert (longest >> shift_for(1, longest)) + 2 <= RING_MAX
        assert (longest >> shift_for(1, longest) - 1) + 2 > RING_MAX


@settings(max_examples=200)
@given(plans(), st.sampled_from([0, 7]))
def test_tables_against_trees(plan: ContactPlan, at: int) -> None:
    check_table(plan, list(range(plan.n_sites)), at)


@pytest.mark.parametrize("name", SKIES)
def test_tables_of_a_sky(name: str) -> None:
    plan = plan_of(name)
    cities = [plan.index_of(city) for city in CITIES]
    check_table(plan, [*cities, 3, 50], plan.start + 99 * SECOND)


def check_table(plan: ContactPlan, targets: list[int], at: int) -> None:
    """Lengths are those of trees; whoever follows the next sites arrives, in just that length."""
    graph = graph_of(plan)
    assert graph is not None
    snapshot = snapshot_at(graph, at)
    table, step = sweep_search(snapshot, np.array(targets, dtype=np.int32))
    for column, target in enumerate(targets):
        length = bucket_search(snapshot, target).length
        assert table[:, column].tolist() == np.where(length == FAR, AFAR, length).tolist()
        for source in range(plan.n_sites):
            site, left = source, int(table[source, column])
            if left == AFAR:
                assert step[source, column] == NOWHERE
                continue
            while site != target:
                then = int(step[site, column])
                left -= plan.light_time_ns(site, then, at)
                assert left == table[then, column]
                assert then == target or plan.kinds[then] == "satellite"
                site = then
            assert left == 0


@pytest.mark.parametrize("name", SKIES)
def test_light_time_is_that_of_the_trajectory_to_the_nanosecond(name: str) -> None:
    plan, rng = plan_of(name), Random(1)
    graph, trajectory = graph_of(plan), plan.trajectory
    assert graph is not None and trajectory is not None
    ready = graph_at(plan, plan.start + MINUTE)
    assert ready is not None and ready.knots.table.size
    instants = [rng.randrange(trajectory.start, trajectory.end) for _ in range(4_000)]
    knots = trajectory.knots().tolist()
    for at in [*instants, *knots, trajectory.end - 1]:
        a, b = rng.sample(range(plan.n_sites), 2)
        light = plan.light_time_ns(a, b, at)
        assert light_between(graph.knots, (a, b), at) == light
        assert light_between(ready.knots, (a, b), at) == light
    for _ in range(1_000):
        a, b = rng.sample(range(plan.n_sites), 2)
        at = ready.knots.begin + rng.randrange(ready.knots.step_ns)
        assert light_between(ready.knots, (a, b), at) == plan.light_time_ns(a, b, at)


@pytest.mark.parametrize("name", SKIES)
def test_arcs_are_the_contacts_of_each_site_in_order(name: str) -> None:
    plan = plan_of(name)
    graph = graph_of(plan)
    assert graph is not None
    columns = (graph.peer, graph.begin, graph.finish, graph.rate_bps)
    for site in range(plan.n_sites):
        arcs = slice(int(graph.first[site]), int(graph.first[site + 1]))
        rows = zip(*(column[arcs].tolist() for column in columns), strict=True)
        assert list(rows) == [tuple(contact) for contact in plan.contacts_of(site)]
        ends = {site, *graph.peer[arcs].tolist()}
        assert {*plan.a[graph.row[arcs]].tolist(), *plan.b[graph.row[arcs]].tolist()} <= ends


def test_a_plan_whose_light_only_python_can_tell_has_no_graph() -> None:
    contacts = [(0, 1, 0, 10)]
    assert graph_of(plan_from_contacts(("satellite",) * 2, contacts, lambda a, b, at: 3)) is None
    given = graph_of(plan_from_contacts(("satellite",) * 2, contacts, MILLISECOND))
    assert given is not None and given.fixed_ns.tolist() == [MILLISECOND] * 2


def test_outside_the_window_nothing_is_in_reach() -> None:
    plan = plan_of("iridium")
    graph = graph_of(plan)
    assert graph is not None
    for at in (plan.start - 10 * MINUTE, plan.end, plan.end + 10 * MINUTE):
        tree = snapshot_tree(graph, 5, at)
        assert (tree.path(5), tree.path(6), tree.one_way_ns(6)) == ((5,), (), None)
