"""What a contact plan answers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.topology import Contact, ContactPlan, build_plan, plan_from_contacts, policy_for
from protocols.errors import NotFound
from protocols.types import HOUR, MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")
SATELLITES = ("satellite",) * 4


@pytest.fixture
def small() -> ContactPlan:
    contacts = [(0, 1, 10, 20), (1, 0, 30, 40), (2, 1, 10, 15), (0, 2, 5, 50)]
    return plan_from_contacts(SATELLITES, contacts, light_time_ns=3)


def test_contacts_of_a_site_are_sorted_by_begin_then_peer(small: ContactPlan) -> None:
    assert [(c.peer, c.begin, c.finish) for c in small.contacts_of(1)] == [
        (0, 10, 20), (2, 10, 15), (0, 30, 40),
    ]  # fmt: skip
    assert small.contacts_of(3) == ()


def test_intervals_are_half_open(small: ContactPlan) -> None:
    assert small.open_contact(0, 1, 9) is None
    assert small.open_contact(0, 1, 10) == Contact(1, 10, 20, 10e9)
    assert small.open_contact(1, 0, 19) == Contact(0, 10, 20, 10e9)
    assert small.open_contact(0, 1, 20) is None
    assert small.open_contact(1, 0, 30) == Contact(0, 30, 40, 10e9)
    assert small.open_contact(0, 3, 30) is None


def test_open_at_lists_pairs_in_order(small: ContactPlan) -> None:
    assert small.open_at(4) == []
    assert small.open_at(12) == [(0, 1), (0, 2), (1, 2)]
    assert small.open_at(15) == [(0, 1), (0, 2)]
    assert small.open_at(50) == []


def test_next_change_is_strictly_later(small: ContactPlan) -> None:
    assert [small.next_change(1, at) for at in (0, 10, 14, 15, 39, 40)] == [
        10, 15, 15, 20, 40, None,
    ]  # fmt: skip
    assert small.next_change(3, 0) is None


def test_the_contacts_of_a_pair_from_either_end(small: ContactPlan) -> None:
    assert [c.peer for c in small.contacts_between(0, 1)] == [1, 1]
    assert [c.peer for c in small.contacts_between(1, 0)] == [0, 0]


def test_the_window_of_given_contacts(small: ContactPlan) -> None:
    assert (small.start, small.end, small.n_sites) == (5, 50, 4)
    assert plan_from_contacts(SATELLITES, [], 3, window=(1, 2)).open_at(1) == []


def test_unknown_sites_offer_the_nearest(small: ContactPlan) -> None:
    assert small.index_of("N2") == 2
    with pytest.raises(NotFound):
        small.index_of("elsewhere")


def test_a_built_plan_is_in_order_and_inside_its_window() -> None:
    sky = sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])
    plan = build_plan(sky, policy_for(sky), T0, T0 + HOUR)
    rows = list(
        zip(
            plan.begin.tolist(), plan.a.tolist(), plan.b.tolist(), plan.finish.tolist(), strict=True
        )
    )
    assert rows == sorted(rows)
    assert all(a < b and T0 <= begin < finish <= T0 + HOUR for begin, a, b, finish in rows)
    for site in range(plan.n_sites):
        at, seen = T0 - 1, []
        while (change := plan.next_change(site, at)) is not None:
            seen.append(change)
            at = change
        edges = {edge for c in plan.contacts_of(site) for edge in (c.begin, c.finish)}
        assert seen == sorted(edges)


def test_contacts_of_one_pair_do_not_overlap() -> None:
    sky = sky_from_preset("starlink-4", [find_city("Oslo"), find_city("Quito")])
    plan = build_plan(sky, policy_for(sky), T0, T0 + 2 * HOUR)
    for a in range(plan.n_sites):
        for b in {contact.peer for contact in plan.contacts_of(a)}:
            contacts = plan.contacts_between(a, b)
            assert all(one.finish < two.begin for one, two in pairwise(contacts))


def test_the_digest_is_of_sky_policy_and_window() -> None:
    sky = sky_from_preset("iridium", [find_city("London")])
    policy = policy_for(sky)
    plan = build_plan(sky, policy, T0, T0 + MINUTE)
    assert plan.digest == build_plan(sky, policy, T0, T0 + MINUTE).digest
    assert plan.digest != build_plan(sky, policy, T0, T0 + MINUTE + SECOND).digest
    assert (plan.sky_digest, plan.policy_code) == (sky.digest, policy.code)
