"""Earliest arrival against a brute-force time-expanded search, and the rules it keeps."""

from __future__ import annotations

import random
from collections.abc import Callable

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import Kind, find_city, parse_time, sky_from_preset
from meshd.router import Hop, Overlay, earliest_arrival
from meshd.topology import ContactPlan, build_plan, plan_from_contacts, policy_for
from protocols.types import HOUR, MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")
LAST = 60
CITIES = [find_city(name) for name in ("London", "Sydney", "Tokyo")]


def satellites(n: int) -> tuple[Kind, ...]:
    return ("satellite",) * n


def moving(a: int, b: int, at: int) -> int:
    """A light time that moves and never lets the later overtake: 2-8, by pair and by instant."""
    return 2 + (a + b) % 5 + (at // 3) % 2


def brute_force(
    plan: ContactPlan,
    source: int,
    start: int,
    overlay: Overlay,
    light: Callable[[int, int, int], int],
) -> dict[int, int]:
    """Every (vertex, how it was entered, instant) reachable, one time unit after another."""
    if source in overlay.absent:
        return {}
    ways: dict[int, set[tuple[int, bool]]] = {start: {(source, False)}}  # True: spent at a station
    contacts = list(
        zip(
            plan.a.tolist(), plan.b.tolist(), plan.begin.tolist(), plan.finish.tolist(), strict=True
        )
    )
    first: dict[int, int] = {}
    for now in range(start, 6 * LAST):
        for vertex, spent in sorted(ways.pop(now, set())):
            first.setdefault(vertex, now)
            ways.setdefault(now + 1, set()).add((vertex, spent))
            moves = [(b, now + d, False) for b, d in overlay.standing.get(vertex, ())]
            if not spent:
                for a, b, begin, finish in contacts:
                    if vertex in (a, b) and begin <= now < finish:
                        peer = a + b - vertex
                        ground = plan.kinds[peer] == "ground"
                        moves.append((peer, now + light(vertex, peer, now), ground))
            for peer, arrive, then_spent in moves:
                if peer in overlay.absent or (min(vertex, peer), max(vertex, peer)) in overlay.dead:
                    continue
                ways.setdefault(arrive, set()).add((peer, then_spent))
    return first


@st.composite
def worlds(draw: st.DrawFn) -> tuple[ContactPlan, Overlay]:
    n = draw(st.integers(2, 6))
    kinds = draw(st.lists(st.sampled_from(["satellite", "ground"]), min_size=n, max_size=n))
    vertex = st.integers(0, n - 1)
    pairs = st.tuples(vertex, vertex, st.integers(0, LAST), st.integers(1, 25))
    contacts = [
        (a, b, begin, begin + length)
        for a, b, begin, length in draw(st.lists(pairs, max_size=14))
        if a != b
    ]
    standing: dict[int, list[tuple[int, int]]] = {}
    links = st.tuples(st.integers(0, n), st.integers(0, n), st.integers(1, 9))
    for a, b, delay in draw(st.lists(links, max_size=3)):
        if a != b:
            standing.setdefault(a, []).append((b, delay))
            standing.setdefault(b, []).append((a, delay))
    overlay = Overlay(
        absent=frozenset(draw(st.lists(vertex, max_size=1))),
        dead=frozenset(
            (min(a, b), max(a, b)) for a, b in draw(st.lists(st.tuples(vertex, vertex), max_size=2))
        ),
        standing={site: tuple(peers) for site, peers in standing.items()},
    )
    return plan_from_contacts(kinds, contacts, moving, window=(0, 2 * LAST)), overlay


@settings(max_examples=400, deadline=None)
@given(worlds(), st.integers(0, 20))
def test_against_brute_force(world: tuple[ContactPlan, Overlay], start: int) -> None:
    plan, overlay = world
    tree = earliest_arrival(plan, 0, start, overlay)
    expected = brute_force(plan, 0, start, overlay, moving)
    assert {v: tree.arrival(v) for v in tree.reached()} == expected
    for vertex in tree.reached():
        check_path(plan, overlay, tree.path(vertex), start, tree.arrival(vertex))
        stopped = earliest_arrival(plan, 0, start, overlay, target=vertex)
        assert stopped.path(vertex) == tree.path(vertex)


def check_path(
    plan: ContactPlan, overlay: Overlay, path: tuple[Hop, ...], start: int, arrival: int | None
) -> None:
    """A path is rides one after another, each over a link that stands when it departs."""
    at, vertex, spent = start, 0, False
    for hop in path:
        assert hop.depart >= at
        if hop.standing:
            assert (hop.node, hop.arrive - hop.depart) in overlay.standing[vertex]
        else:
            assert not spent
            assert plan.open_contact(vertex, hop.node, hop.depart) is not None
            assert hop.arrive == hop.depart + moving(vertex, hop.node, hop.depart)
        spent = not hop.standing and plan.kinds[hop.node] == "ground"
        at, vertex = hop.arrive, hop.node
    assert at == arrival


def test_against_dijkstra_when_nothing_moves() -> None:
    sky = sky_from_preset("iridium")
    grid = build_plan(sky, policy_for(sky), T0, T0 + MINUTE)
    rng = random.Random(4)
    delays = {pair: rng.randrange(1_000, 9_000) for pair in grid.open_at(T0)}
    plan = plan_from_contacts(
        satellites(66),
        [(a, b, 0, 10**9) for a, b in delays],
        lambda a, b, at: delays[min(a, b), max(a, b)],
    )
    graph = networkx.Graph()
    graph.add_weighted_edges_from((a, b, delay) for (a, b), delay in delays.items())
    expected = networkx.single_source_dijkstra_path_length(graph, 7)
    tree = earliest_arrival(plan, 7, 0)
    assert {v: tree.arrival(v) for v in tree.reached()} == expected


def test_packet_waits_for_next_contact() -> None:
    plan = plan_from_contacts(satellites(3), [(0, 1, 0, 10), (1, 2, 50, 60)], 5)
    tree = earliest_arrival(plan, 0, 2)
    assert tree.path(2) == (Hop(1, 2, 7, False), Hop(2, 50, 55, False))
    assert (tree.arrival(2), tree.hops(2), tree.first_hop(2)) == (55, 2, Hop(1, 2, 7, False))


def test_a_ride_departs_before_the_contact_finishes() -> None:
    plan = plan_from_contacts(satellites(2), [(0, 1, 0, 10)], 5)
    assert earliest_arrival(plan, 0, 9).arrival(1) == 14
    assert earliest_arrival(plan, 0, 10).arrival(1) is None
    assert earliest_arrival(plan, 0, 10).path(1) == ()


def test_the_source_is_there_at_once() -> None:
    tree = earliest_arrival(plan_from_contacts(satellites(2), [], 5, (0, 9)), 1, 4)
    assert (tree.arrival(1), tree.hops(1), tree.first_hop(1), tree.path(1)) == (4, 0, None, ())
    assert tree.reached() == (1,)


def test_ground_stations_do_not_relay_planned_to_planned() -> None:
    kinds: tuple[Kind, ...] = ("satellite", "ground", "satellite")
    plan = plan_from_contacts(kinds, [(0, 1, 0, 100), (1, 2, 0, 100)], 5)
    tree = earliest_arrival(plan, 0, 0)
    assert (tree.arrival(1), tree.arrival(2)) == (5, None)
    assert earliest_arrival(plan, 1, 0).arrival(2) == 5


def test_ground_stations_pass_on_what_comes_or_goes_by_a_standing_link() -> None:
    kinds: tuple[Kind, ...] = ("satellite", "ground", "satellite")
    plan = plan_from_contacts(kinds, [(0, 1, 0, 100), (1, 2, 20, 100)], 5)
    overlay = Overlay(standing={1: ((3, 7),), 3: ((1, 7),)})
    down = earliest_arrival(plan, 0, 0, overlay)
    assert (down.arrival(3), down.path(3)[-1]) == (12, Hop(3, 5, 12, True))
    assert down.arrival(2) == 25  # down, out to 3 and back, and up again: standing on one side
    assert [hop.node for hop in down.path(2)] == [1, 3, 1, 2]
    assert earliest_arrival(plan, 3, 0, overlay).arrival(2) == 25


def test_without_a_plan_only_standing_links_exist() -> None:
    overlay = Overlay(standing={0: ((1, 7), (2, 1)), 2: ((1, 2),)})
    tree = earliest_arrival(None, 0, 100, overlay)
    assert [tree.arrival(v) for v in range(4)] == [100, 103, 101, None]


def test_absent_sites_are_neither_relay_nor_end() -> None:
    plan = plan_from_contacts(
        satellites(4), [(0, 1, 0, 99), (1, 3, 0, 99), (0, 2, 0, 99), (2, 3, 30, 99)], 5
    )
    tree = earliest_arrival(plan, 0, 0, Overlay(absent=frozenset({1})))
    assert (tree.arrival(1), tree.arrival(3)) == (None, 35)
    assert earliest_arrival(plan, 0, 0, Overlay(absent=frozenset({0}))).reached() == ()


def test_dead_links_are_not_used_either_way() -> None:
    plan = plan_from_contacts(satellites(2), [(0, 1, 0, 99)], 5)
    overlay = Overlay(dead=frozenset({(0, 1)}))
    assert earliest_arrival(plan, 0, 0, overlay).arrival(1) is None
    assert earliest_arrival(plan, 1, 0, overlay).arrival(0) is None


def test_ties_go_to_fewer_hops_then_to_lower_vertices() -> None:
    delays = {(0, 1): 5, (1, 3): 5, (0, 2): 5, (2, 3): 5, (0, 4): 2, (4, 5): 3, (3, 5): 9}
    contacts = [(a, b, 0, 99) for a, b in delays]
    plan = plan_from_contacts(
        satellites(6), contacts, lambda a, b, at: delays[min(a, b), max(a, b)]
    )
    assert [hop.node for hop in earliest_arrival(plan, 0, 0).path(3)] == [1, 3]
    delays[0, 3] = 10
    plan = plan_from_contacts(
        satellites(6), [*contacts, (0, 3, 0, 99)], lambda a, b, at: delays[min(a, b), max(a, b)]
    )
    assert [hop.node for hop in earliest_arrival(plan, 0, 0).path(3)] == [3]


def test_who_departs_later_arrives_no_earlier() -> None:
    sky = sky_from_preset("iridium", CITIES)
    plan = build_plan(sky, policy_for(sky), T0, T0 + HOUR)
    london, sydney = plan.index_of("London"), plan.index_of("Sydney")
    last = 0
    for at in range(T0, T0 + 40 * MINUTE, 13 * SECOND):
        arrival = earliest_arrival(plan, london, at, target=sydney).arrival(sydney)
        assert arrival is not None and arrival >= last
        last = arrival


def test_light_time_is_that_of_the_departure() -> None:
    sky = sky_from_preset("iridium", CITIES)
    plan = build_plan(sky, policy_for(sky), T0, T0 + 10 * MINUTE)
    tree = earliest_arrival(plan, plan.index_of("London"), T0)
    before = plan.index_of("London")
    for hop in tree.path(plan.index_of("Sydney")):
        assert hop.arrive - hop.depart == plan.light_time_ns(before, hop.node, hop.depart)
        before = hop.node


@pytest.mark.parametrize("source", [0, 66])
def test_every_daemon_reaches_every_satellite(source: int) -> None:
    sky = sky_from_preset("iridium", CITIES)
    plan = build_plan(sky, policy_for(sky), T0, T0 + HOUR)
    assert earliest_arrival(plan, source, T0).reached() == tuple(range(plan.n_sites))
