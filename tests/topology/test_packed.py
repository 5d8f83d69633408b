"""Plans as bytes, and what differs between two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.topology import ContactPlan, build_plan, plan_from_contacts, policy_for
from meshd.topology.changes import changes_between
from meshd.topology.packed import pack, unpack
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE

T0 = parse_time("2026-06-28T12:00:00Z")


@pytest.fixture(scope="module")
def sky() -> Sky:
    return sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])


@pytest.fixture(scope="module")
def plan(sky: Sky) -> ContactPlan:
    return build_plan(sky, policy_for(sky), T0, T0 + 2 * HOUR)


def test_a_plan_comes_back_whole(sky: Sky, plan: ContactPlan) -> None:
    data = pack(plan)
    again = unpack(data, sky)
    for column in ("a", "b", "begin", "finish", "rate_bps"):
        assert (getattr(again, column) == getattr(plan, column)).all()
    assert (again.digest, again.start, again.end) == (plan.digest, plan.start, plan.end)
    assert again.light_time_ns(1, 66, T0 + HOUR) == plan.light_time_ns(1, 66, T0 + HOUR)
    assert len(data) < 10 * plan.n_contacts
    assert pack(again) == data


def test_a_plan_of_another_sky_is_refused(plan: ContactPlan, sky: Sky) -> None:
    with pytest.raises(InputError, match="other elements"):
        unpack(pack(plan), sky.with_stations([find_city("London")]))


@given(st.data())
def test_damage_is_noticed(plan: ContactPlan, sky: Sky, data: st.DataObject) -> None:
    whole = pack(plan)
    at = data.draw(st.integers(0, len(whole) - 1))
    bent = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    with pytest.raises(InputError):
        unpack(bent[: data.draw(st.integers(0, len(bent)))], sky)


def test_no_byte_may_be_another(plan: ContactPlan, sky: Sky) -> None:
    """Not of the header either: a plan said it was of another policy (byte 151)."""
    whole = pack(plan)
    for at in range(len(whole)):
        with pytest.raises(InputError):
            unpack(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], sky)


def test_changes_name_the_contacts_that_differ() -> None:
    kinds = ("satellite",) * 3
    old = plan_from_contacts(kinds, [(0, 1, 0, 50), (1, 2, 10, 20), (0, 2, 5, 9)], 1, (0, 100))
    new = plan_from_contacts(kinds, [(0, 1, 0, 60), (1, 2, 10, 20), (0, 2, 70, 80)], 1, (0, 100))
    changes = changes_between(old, new)
    assert changes.gone == ((0, 0, 1, 50), (5, 0, 2, 9))
    assert changes.fresh == ((0, 0, 1, 60), (70, 0, 2, 80))
    assert changes_between(old, old) == ((), ())


def test_plans_are_compared_where_both_look(sky: Sky, plan: ContactPlan) -> None:
    policy = policy_for(sky)
    part = build_plan(sky, policy, T0 + 30 * MINUTE, T0 + 3 * HOUR)
    assert changes_between(plan, part) == ((), ())
    strict = replace(policy, min_elevation_deg=20.0)
    other = build_plan(sky, strict, T0 + 30 * MINUTE, T0 + 3 * HOUR)
    changes = changes_between(plan, other)
    assert changes.gone and all(b >= sky.n_satellites for _, _, b, _ in changes.gone)
    with pytest.raises(InputError, match="different times"):
        changes_between(plan, build_plan(sky, policy, T0 + 3 * HOUR, T0 + 4 * HOUR))
