"""Wishes as a daemon hears them, and the plan that is left when nodes are away."""

from __future__ import annotations

from typing import Any

import pytest

from meshd.router import snapshot_route
from meshd.router.among import plan_among
from meshd.router.answers import why_no_route
from meshd.router.overlay import EMPTY, Overlay
from meshd.router.wish import Wish, at_once, wish_of
from meshd.topology import ContactPlan, plan_from_contacts
from protocols.errors import InputError
from protocols.types import SECOND


@pytest.fixture
def diamond() -> ContactPlan:
    """0 to 3 by way of 1, or of 2; the contacts of 2 come twice."""
    contacts = [(0, 1, 0, 90), (1, 3, 0, 90), (0, 2, 0, 40), (0, 2, 50, 90), (2, 3, 0, 90)]
    rows = [(a, b, begin * SECOND, finish * SECOND) for a, b, begin, finish in contacts]
    return plan_from_contacts(("satellite",) * 4, rows, light_time_ns=1_000)


def path(plan: ContactPlan, at: int) -> tuple[int, ...] | None:
    route = snapshot_route(plan, 0, 3, at * SECOND)
    return route.path if route else None


def test_with_nobody_away_the_plan_is_what_it_was(diamond: ContactPlan) -> None:
    same = plan_among(diamond, EMPTY, 0)
    assert same.derived is not diamond.derived
    for column in ("a", "b", "begin", "finish", "rate_bps"):
        assert getattr(same, column).tolist() == getattr(diamond, column).tolist()


def test_nobody_relays_where_no_daemon_lives(diamond: ContactPlan) -> None:
    assert path(plan_among(diamond, Overlay(absent=frozenset({1})), 0), 0) == (0, 2, 3)
    nobody = plan_among(diamond, Overlay(absent=frozenset({1, 2, 77})), 0)
    assert path(nobody, 0) is None
    assert "crosses a node that is away" in why_no_route(nobody, 0, 3, 0)


def test_a_link_that_is_down_is_missed_until_its_contact_ends(diamond: ContactPlan) -> None:
    overlay = Overlay(absent=frozenset({1}), dead=frozenset({(0, 2)}))
    left = plan_among(diamond, overlay, 10 * SECOND)
    assert (path(left, 10), path(left, 60)) == (None, (0, 2, 3))


def test_a_missing_link_is_told_apart_from_one_that_was_never_predicted(
    diamond: ContactPlan,
) -> None:
    chain = [(0, 1, 0, 90), (1, 2, 0, 90), (0, 2, 0, 90)]
    plan = plan_from_contacts(("satellite",) * 3, chain, lambda a, b, at: 1_000 + 10 * (a + b))
    left = plan_among(plan, Overlay(dead=frozenset({(0, 2)})), 5)
    told = at_once(left, (0, 2), 5, Wish(explain=True), lambda at: None)["explain"]
    assert [cut["why_not"] for cut in told["shortcuts"]] == [
        "predicted, but a node is away or the link is down"
    ]


def test_a_query_without_wishes_is_plain() -> None:
    assert wish_of({"from": "a", "to": "b"}) == Wish()
    assert wish_of({"at": "+3h"}).plain
    for wish in (Wish(timeline="1h"), Wish(k=2), Wish(by="hops"), Wish(explain=True)):
        assert not wish.plain


def test_a_query_says_a_wish_in_words() -> None:
    query = {"k": "3", "disjoint": "links", "explain": "True", "stay_percent": "5"}
    assert wish_of(query) == Wish(k=3, disjoint="links", explain=True, stay_percent=5.0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"k": "many"}, "bad-request"),
        ({"explain": "perhaps"}, "bad-request"),
        ({"step": "1s"}, "usage"),
        ({"timeline": "1h", "k": "2"}, "usage"),
        ({"disjoint": "planes"}, "usage"),
    ],
)
def test_a_query_that_cannot_be_granted(query: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as refused:
        wish_of(query)
    assert refused.value.code == code
