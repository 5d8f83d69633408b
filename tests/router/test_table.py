"""A node's table: what a search for each target says, and free of loops where nodes agree."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import WALKER_EPOCH, find_city, sky_from_preset
from meshd.router import Overlay, earliest_arrival
from meshd.router.routes import Router
from meshd.router.table import Entry, Inquiry
from meshd.seam import Learnt, LinkLost, LinkReady, PlanLoaded
from meshd.topology import ContactPlan, FixedLight, build_plan, plan_from_contacts, policy_for
from protocols.record import Presence
from protocols.types import MINUTE, SECOND, Instant, LinkId, NodeId

LAST = 60
CITIES = ("London", "Sydney", "Tokyo", "Nairobi", "Quito", "Honolulu")
SKIES = ("iridium", "D:550:53:120/10/3+S:1200:88:96/8/2")


def named(vertex: int) -> NodeId:
    return NodeId(f"n{vertex:03}")


def asked_at(plan: ContactPlan, overlay: Overlay, vertex: int, at: Instant) -> dict[NodeId, Entry]:
    """The table of one of the nodes that share a plan and what differs from it."""
    names = {named(v): v for v in range(plan.n_sites)}
    table = Inquiry(named(vertex), plan, overlay, names).table(at)
    found = {entry.destination: entry for entry in table.entries}
    assert {named(vertex), *found, *table.unreachable} == names.keys()
    assert not found.keys() & set(table.unreachable)
    return found


def walk(plan: ContactPlan, overlay: Overlay, ends: tuple[int, int], at: Instant) -> None:
    """Follow next hops, each node asking anew when the packet is there: it comes as promised.

    Each has fewer hops before it than the last, so none is met twice.
    """
    here, target = ends
    entry = asked_at(plan, overlay, here, at).get(named(target))
    assert (entry is None) == (earliest_arrival(plan, here, at, overlay).arrival(target) is None)
    promised, left = (entry.arrive, entry.hops + 1) if entry else (at, 0)
    while here != target and entry is not None:
        assert entry.arrive == promised and entry.hops < left and entry.depart >= at
        there, left = int(entry.node[1:]), entry.hops
        assert there not in overlay.absent
        assert (min(here, there), max(here, there)) not in overlay.dead
        contact = plan.open_contact(here, there, entry.depart)
        assert contact is not None
        at = entry.depart + plan.light_time_ns(here, there, entry.depart)
        here = there
        entry = asked_at(plan, overlay, here, at).get(named(target))
    assert here == target or promised == at
    assert at == promised


@st.composite
def meshes(draw: st.DrawFn) -> tuple[ContactPlan, Overlay]:
    """Satellites with contacts at random, over which light times tie often, and what is amiss."""
    n = draw(st.integers(2, 7))
    vertex = st.integers(0, n - 1)
    pairs = st.tuples(vertex, vertex, st.integers(0, LAST), st.integers(1, 25))
    contacts = [
        (a, b, begin, begin + length)
        for a, b, begin, length in draw(st.lists(pairs, min_size=2, max_size=20))
        if a != b
    ]
    still = FixedLight(2, {(a, b): 2 + (3 * a + b) % 4 for a in range(n) for b in range(a + 1, n)})
    light = draw(st.sampled_from([still, moving]))
    plan = plan_from_contacts(("satellite",) * n, contacts, light, window=(0, 2 * LAST))
    links = st.tuples(vertex, vertex).map(lambda pair: (min(pair), max(pair)))
    dead = frozenset(draw(st.lists(links, max_size=2)))
    return plan, Overlay(frozenset(draw(st.lists(vertex, max_size=1))), dead)


def moving(a: int, b: int, at: int) -> int:
    """A light time that moves and never lets the later overtake."""
    return 2 + (a + b) % 5 + (at // 3) % 2


@settings(max_examples=400)
@given(meshes(), st.integers(0, 20))
def test_next_hops_of_all_lead_there_at_the_promised_instant(
    mesh: tuple[ContactPlan, Overlay], start: int
) -> None:
    plan, overlay = mesh
    for source in range(plan.n_sites):
        if source not in overlay.absent:
            for target in set(range(plan.n_sites)) - {source}:
                walk(plan, overlay, (source, target), start)


@cache
def plan_of(name: str) -> ContactPlan:
    sky = sky_from_preset(name, [find_city(city) for city in CITIES])
    return build_plan(sky, policy_for(sky), WALKER_EPOCH, WALKER_EPOCH + 4 * MINUTE)


@pytest.mark.parametrize("name", SKIES)
def test_next_hops_under_a_sky_lead_there_at_the_promised_instant(name: str) -> None:
    plan, rng = plan_of(name), Random(2)
    for _ in range(12):
        at = plan.start + rng.randrange(2 * MINUTE)
        rows = rng.sample(range(plan.n_contacts), 20)
        dead = frozenset((int(plan.a[row]), int(plan.b[row])) for row in rows)
        source, target = rng.sample(range(plan.n_sites), 2)
        walk(
            plan,
            Overlay(frozenset(rng.sample(range(60), 2)) - {source}, dead),
            (source, target),
            at,
        )


@pytest.mark.parametrize("name", SKIES)
def test_a_table_says_what_the_tree_says(name: str) -> None:
    plan, at = plan_of(name), WALKER_EPOCH + 7 * SECOND
    source = plan.index_of("Nairobi")
    tree, found = earliest_arrival(plan, source, at), asked_at(plan, Overlay(), source, at)
    for vertex in range(plan.n_sites):
        hop, entry = tree.first_hop(vertex), found.get(named(vertex))
        assert (hop is None) == (entry is None)
        if hop is not None and entry is not None:
            assert (entry.node, entry.depart) == (named(hop.node), hop.depart)
            assert (entry.arrive, entry.hops) == (tree.arrival(vertex), tree.hops(vertex))


def test_a_table_knows_at_once_of_a_link_that_was_lost() -> None:
    """A - B - C, and A - D - C, which is longer."""
    nodes, now = [NodeId(name) for name in "ABCD"], SECOND
    light = FixedLight(0, {(0, 1): 5, (1, 2): 5, (0, 3): 8, (2, 3): 8})
    contacts = [(a, b, 0, MINUTE) for a, b in ((0, 1), (1, 2), (0, 3), (2, 3))]
    router = Router(nodes[0])
    router.handle(PlanLoaded(plan_from_contacts(("satellite",) * 4, contacts, light)), 0)
    for site, node in enumerate(nodes):
        router.handle(Learnt(node, Presence(node, f"n{site}", ()), 0), 0)
    before = router.inquiry()
    assert before.is_like(router.inquiry())
    assert before.table(now).entries[1] == Entry(nodes[2], nodes[1], now, now + 10, 2)
    router.handle(LinkReady(LinkId(1), nodes[1], True, 5), now)
    router.handle(LinkLost(LinkId(1), nodes[1], False, "lost"), now)
    after = router.inquiry()
    assert not after.is_like(before)
    assert after.table(now).entries[1] == Entry(nodes[2], nodes[3], now, now + 16, 2)
