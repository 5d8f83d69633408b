"""Earliest arrival against a brute-force time-expanded search, and the rules it keeps."""

from __future__ import annotations

import random
from dataclasses import replace

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import Kind, find_city, parse_time, sky_from_preset
from meshd.router import Hop, Overlay, earliest_arrival
from meshd.router.graph import graph_of
from meshd.router.toward import arrival_at
from meshd.topology import ContactPlan, FixedLight, build_plan, plan_from_contacts, policy_for
from protocols.types import HOUR, MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")
LAST = 60
CITIES = [find_city(name) for name in ("London", "Sydney", "Tokyo")]


def satellites(n: int) -> tuple[Kind, ...]:
    return ("satellite",) * n


def moving(a: int, b: int, at: int) -> int:
    """A light time that moves and never lets the later overtake: 2-8, by pair and by instant."""
    return 2 + (a + b) % 5 + (at // 3) % 2


STILL = FixedLight(2, {(a, b): 2 + (3 * a + b) % 7 for a in range(7) for b in range(a + 1, 7)})


def brute_force(
    plan: ContactPlan, source: int, start: int, overlay: Overlay, size_bytes: int = 0
) -> dict[int, int]:
    """Every (vertex, how it was entered, instant) reachable, one time unit after another.

    Rates are such that a byte takes a whole number of ns.
    """
    light = plan.light_time_ns
    if source in overlay.absent:
        return {}
    ways: dict[int, set[tuple[int, bool]]] = {start: {(source, False)}}  # True: spent at a station
    contacts = list(
        zip(
            plan.a.tolist(),
            plan.b.tolist(),
            plan.begin.tolist(),
            plan.finish.tolist(),
            (size_bytes * 8e9 / plan.rate_bps).astype(int).tolist(),
            strict=True,
        )
    )
    first: dict[int, int] = {}
    for now in range(start, 6 * LAST):
        for vertex, spent in sorted(ways.pop(now, set())):
            first.setdefault(vertex, now)
            ways.setdefault(now + 1, set()).add((vertex, spent))
            moves = [(b, now + d, False) for b, d in overlay.standing.get(vertex, ())]
            if not spent:
                for a, b, begin, finish, busy in contacts:
                    if vertex in (a, b) and begin <= now < finish and now + busy <= finish:
                        peer = a + b - vertex
                        ground = plan.kinds[peer] == "ground"
                        moves.append((peer, now + busy + light(vertex, peer, now), ground))
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
    light = draw(st.sampled_from([moving, STILL]))
    plan = plan_from_contacts(kinds, contacts, light, window=(0, 2 * LAST))
    rates = [8e9 / draw(st.sampled_from([1, 2, 4])) for _ in contacts]
    return replace(plan, rate_bps=np.array(rates)), overlay


@settings(max_examples=600)
@given(worlds(), st.integers(0, 20), st.sampled_from([0, 0, 1, 5]))
def test_against_brute_force(
    world: tuple[ContactPlan, Overlay], start: int, size_bytes: int
) -> None:
    plan, overlay = world
    tree = earliest_arrival(plan, 0, start, overlay, None, size_bytes)
    expected = brute_force(plan, 0, start, overlay, size_bytes)
    assert {v: tree.arrival(v) for v in tree.reached()} == expected
    for vertex in tree.reached():
        check_path(plan, overlay, tree.path(vertex), (start, tree.arrival(vertex)), size_bytes)
        stopped = earliest_arrival(plan, 0, start, overlay, vertex, size_bytes)
        assert stopped.path(vertex) == tree.path(vertex)
        assert stopped.first_hop(vertex) == tree.first_hop(vertex)
        straight = arrival_at(plan, 0, start, overlay, vertex, size_bytes)
        assert straight.path(vertex) == tree.path(vertex)


@settings(max_examples=200)
@given(worlds(), st.sampled_from([0, 1, 5]))
def test_who_sends_later_is_there_no_earlier_whatever_the_size(
    world: tuple[ContactPlan, Overlay], size_bytes: int
) -> None:
    """First come, first there, though a later contact may be the quicker: search relies on it."""
    plan, overlay = world
    last = [0] * (plan.n_sites + 1)
    for start in range(0, LAST, 3):
        tree = earliest_arrival(plan, 0, start, overlay, None, size_bytes)
        found = [tree.arrival(vertex) for vertex in range(plan.n_sites + 1)]
        now = [6 * LAST if arrival is None else arrival for arrival in found]
        assert all(before <= after for before, after in zip(last, now, strict=True))
        last = now


def check_path(
    plan: ContactPlan,
    overlay: Overlay,
    path: tuple[Hop, ...],
    times: tuple[int, int | None],
    size_bytes: int,
) -> None:
    """A path is rides one after another, each over a link that stands while it is sent."""
    start, arrival = times
    at, vertex, spent = start, 0, False
    for hop in path:
        assert hop.depart >= at
        if hop.standing:
            assert (hop.node, hop.arrive - hop.depart) in overlay.standing[vertex]
        else:
            assert not spent
            sent = hop.arrive - plan.light_time_ns(vertex, hop.node, hop.depart)
            assert any(
                c.begin <= hop.depart < c.finish
                and sent - hop.depart == int(size_bytes * 8e9 / c.rate_bps)
                and sent <= c.finish
                for c in plan.contacts_between(vertex, hop.node)
            )
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


HOURS = 20 * HOUR


@st.composite
def sparse_worlds(draw: st.DrawFn) -> tuple[ContactPlan, Overlay]:
    """Contacts of seconds within hours, stations, cables: waits are long, and ways wind."""
    rng = random.Random(draw(st.integers(0, 10_000)))
    n = rng.randrange(3, 30)
    kinds: list[Kind] = [rng.choice(("satellite", "satellite", "ground")) for _ in range(n)]
    contacts = []
    for _ in range(rng.randrange(4 * n)):
        a, b = rng.sample(range(n), 2)
        begin = rng.randrange(HOURS) // SECOND * SECOND
        contacts.append((a, b, begin, begin + rng.choice((1, 12, 700)) * SECOND))
    light = {
        (a, b): rng.choice((1_000_000, 2_000_000, rng.randrange(1, 300_000_000)))
        for a in range(n)
        for b in range(a + 1, n)
    }
    standing: dict[int, tuple[tuple[int, int], ...]] = {}
    for _ in range(rng.randrange(4)):
        a, b = rng.sample(range(n + 2), 2)
        standing[a] = (*standing.get(a, ()), (b, rng.choice((1_000_000, 40_000_000))))
    pairs = [(min(a, b), max(a, b)) for a, b, _, _ in contacts]
    dead = frozenset(rng.sample(pairs, rng.randrange(1 + len(pairs) // 4)))
    plan = plan_from_contacts(kinds, contacts, FixedLight(0, light), window=(0, HOURS))
    return plan, Overlay(frozenset(rng.sample(range(n), rng.randrange(2))), dead, standing)


@settings(max_examples=300)
@given(sparse_worlds(), st.sampled_from([0, 0, 1_000_000, 20_000_000_000]))
def test_kernels_say_what_the_plain_search_says(
    world: tuple[ContactPlan, Overlay], size_bytes: int
) -> None:
    plan, overlay = world
    check_against_plain(plan, overlay, 0, 0, size_bytes)


def check_against_plain(
    plan: ContactPlan, overlay: Overlay, source: int, start: int, size_bytes: int
) -> None:
    light = plan.light_time_ns
    plain = replace(plan, light_time_ns=lambda a, b, at: light(a, b, at), derived={})
    assert graph_of(plan) is not None and graph_of(plain) is None
    expected = earliest_arrival(plain, source, start, overlay, None, size_bytes)
    tree = earliest_arrival(plan, source, start, overlay, None, size_bytes)
    assert tree.reached() == expected.reached()
    for vertex in range(plan.n_sites + 3):
        assert tree.path(vertex) == expected.path(vertex)
        assert tree.arrival(vertex) == expected.arrival(vertex)
        assert tree.hops(vertex) == expected.hops(vertex)


@pytest.mark.parametrize("size_bytes", [0, 3_000_000_000])
def test_kernels_say_of_a_sky_what_the_plain_search_says(size_bytes: int) -> None:
    sky = sky_from_preset("D:550:53:240/12/5", CITIES)
    plan = build_plan(sky, policy_for(sky), T0, T0 + 20 * MINUTE)
    rng = random.Random(9)
    pairs = sorted(zip(plan.a.tolist(), plan.b.tolist(), strict=True))
    for source in (0, 100, plan.index_of("London"), plan.index_of("Tokyo")):
        london, sydney = plan.index_of("London"), plan.index_of("Sydney")
        cable = {london: ((sydney, 90_000_000),), sydney: ((london, 90_000_000),)}
        dead = frozenset(rng.sample(pairs, len(pairs) // 3))
        absent = frozenset({7, 8, 9})
        for overlay in (Overlay(), Overlay(absent, dead), Overlay(absent, dead, cable)):
            start = T0 + rng.randrange(10 * MINUTE)
            check_against_plain(plan, overlay, source, start, size_bytes)


def test_many_may_arrive_at_one_instant() -> None:
    leaves = range(1, 900)
    star = [(0, leaf, 0, 99) for leaf in leaves] + [(leaf, 900, 0, 99) for leaf in leaves]
    check_against_plain(plan_from_contacts(satellites(901), star, 5), Overlay(), 0, 0, 0)


def test_what_a_contact_cannot_carry_waits_for_one_that_lasts() -> None:
    """20 GB are 16 s at 10 Gb/s: not for a contact of 12 s."""
    contacts = [(0, 1, 0, 12 * SECOND), (0, 1, 60 * SECOND, 80 * SECOND)]
    plan = plan_from_contacts(satellites(2), contacts, 5)
    fits, waits = 15 * 10**9, 20 * 10**9
    assert earliest_arrival(plan, 0, 0, size_bytes=fits).arrival(1) == 12 * SECOND + 5
    assert earliest_arrival(plan, 0, 1, size_bytes=fits).arrival(1) == 72 * SECOND + 5
    assert earliest_arrival(plan, 0, 0, size_bytes=waits).arrival(1) == 76 * SECOND + 5
    assert earliest_arrival(plan, 0, 0, size_bytes=2 * waits).arrival(1) is None


def test_what_a_contact_cannot_carry_goes_another_way() -> None:
    contacts = [(0, 1, 0, 12 * SECOND), (0, 2, 0, HOUR), (2, 1, 0, HOUR)]
    plan = plan_from_contacts(satellites(3), contacts, 5)
    assert earliest_arrival(plan, 0, 0).path(1) == (Hop(1, 0, 5, False),)
    path = earliest_arrival(plan, 0, 0, size_bytes=20 * 10**9).path(1)
    assert path == (
        Hop(2, 0, 16 * SECOND + 5, False),
        Hop(1, 16 * SECOND + 5, 32 * SECOND + 10, False),
    )


def test_a_later_contact_can_be_the_quicker() -> None:
    contacts = [(0, 1, 0, HOUR), (0, 1, HOUR, 2 * HOUR)]
    plan = plan_from_contacts(satellites(2), contacts, 5)
    plan = replace(plan, rate_bps=np.array([1e3, 1e9]), derived={})
    assert earliest_arrival(plan, 0, 0, size_bytes=100).arrival(1) == 8 * SECOND // 10 + 5
    late = earliest_arrival(plan, 0, HOUR - 2 * SECOND, size_bytes=200)
    assert late.arrival(1) == HOUR - 2 * SECOND + 16 * SECOND // 10 + 5
    soon = earliest_arrival(plan, 0, HOUR - 2 * SECOND, size_bytes=1_000)
    assert soon.path(1) == (Hop(1, HOUR, HOUR + 8_005, False),)


def test_hop_by_hop_by_tables_of_one_plan_leads_there_without_a_loop() -> None:
    """Each node asks its own table when the packet is there: what was foretold comes true."""
    sky = sky_from_preset("D:550:53:240/12/5", CITIES)
    plan = build_plan(sky, policy_for(sky), T0, T0 + 20 * MINUTE)
    rng = random.Random(2)
    overlay = Overlay(frozenset({3}), frozenset({(20, 21), (30, 31), (40, 60)}))
    for _ in range(40):
        site, target = rng.sample(range(4, plan.n_sites), 2)
        at = T0 + rng.randrange(10 * MINUTE)
        size_bytes = rng.choice((0, 10_000, 10**8))
        foretold = earliest_arrival(plan, site, at, overlay, None, size_bytes).arrival(target)
        seen = []
        while site != target and foretold is not None:
            assert site not in seen
            seen.append(site)
            tree = earliest_arrival(plan, site, at, overlay, None, size_bytes)
            hop = tree.first_hop(target)
            assert hop is not None and tree.arrival(target) == foretold
            site, at = hop.node, hop.arrive


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


def test_links_of_metres_and_of_light_minutes_in_one_plan() -> None:
    """Buckets get narrower until no ride is shorter, and rides beyond their ring wait beside it."""
    light = {(0, 1): 30, (1, 2): 40, (0, 2): 71, (2, 3): 20 * MINUTE, (3, 4): 50, (4, 5): SECOND}
    contacts = [(a, b, 0, HOUR) for a, b in light]
    plan = plan_from_contacts(satellites(6), contacts, FixedLight(0, light))
    check_against_plain(plan, Overlay(), 0, 7, 0)
    assert [hop.node for hop in earliest_arrival(plan, 0, 0).path(3)] == [1, 2, 3]
