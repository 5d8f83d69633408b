"""ION's contact plans: read with its rules, written with its units, and read back by others."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import pytest
from tvgutil import contact_plan as tvg_plan
from tvgutil import tvg

from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.exchange.ion import read_ion, write_ion
from meshd.router.timeline import timeline_of
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.errors import InputError
from protocols.types import MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")
CHAIN = """\
1 1 ''
a contact +0 +3600 1 2 100000
a contact +0 +3600 2 1 50000     # the slower way counts
a range +0 +3600 1 2 0.013
a contact +60 +120 2 3 100000
a contact +60 +120 3 2 100000
a range +0 +90 2 3 0.5
a range +90 +200 2 3 0.75
"""


def test_a_plan_without_orbits_is_routed() -> None:
    given = read_ion(CHAIN, T0)
    plan = given.plan
    assert given.refused == ()
    assert plan.names == ("1", "2", "3")
    assert (plan.start, plan.end) == (T0, T0 + 3600 * SECOND)
    rows = zip(plan.a.tolist(), plan.b.tolist(), plan.begin.tolist(), plan.finish.tolist(),
               plan.rate_bps.tolist(), strict=True)  # fmt: skip
    assert [(a, b, (s - T0) // SECOND, (f - T0) // SECOND, rate) for a, b, s, f, rate in rows] == [
        (0, 1, 0, 3600, 400_000.0),
        (1, 2, 60, 90, 800_000.0),
        (1, 2, 90, 120, 800_000.0),
    ]
    found = timeline_of(plan, (0, 2), (plan.start, plan.end))
    # The second time is a stop, not a duration: the contact of 2 and 3 is over at 120 s.
    assert [((s.begin - T0) // SECOND, s.path) for s in found.stretches] == [
        (0, ()), (60, (0, 1, 2)), (120, ()),
    ]  # fmt: skip
    lights = [plan.light_time_ns(1, 2, T0 + s * SECOND) for s in (60, 89, 90, 119)]
    assert lights == [500_000_000] * 2 + [750_000_000] * 2


def test_times_of_the_calendar_and_a_reference() -> None:
    text = """
    @ 2026/06/28-12:00:10
    a contact +0 2026/06/28-12:01:00 7 5 10
    a contact 2026/06/28-12:00:10 +50 5 7 10
    a range +0 +50 5 7 1
    """
    plan = read_ion(text, 0).plan
    assert plan.names == ("5", "7")
    assert (plan.start - T0, plan.end - T0) == (10 * SECOND, 60 * SECOND)


def test_a_range_of_the_higher_node_is_of_one_way() -> None:
    both = "a contact +0 +9 1 2 9\na contact +0 +9 2 1 9\n"
    plan = read_ion(both + "a range +0 +9 1 2 1\na range +0 +9 2 1 3", 0).plan
    assert [plan.light_time_ns(*ends, 0) // SECOND for ends in ((0, 1), (1, 0))] == [1, 3]
    with pytest.raises(InputError, match="range 1 2"):
        read_ion(both + "a range +0 +9 2 1 3", 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a contact +0 +60 1 2", "too few words"),
        ("a contact +60 +60 1 2 100", "stop"),
        ("a contact 0 +60 1 2 100", "no time"),
        ("a contact 2026/02/30-00:00:00 +60 1 2 100", "no such day"),
        ("a contact +0 +60 ipn:1 2 100", "nodes are numbers"),
        ("a contact +0 +60 1 2 fast", "no number"),
        ("a contact +0 +60 1 2 nan", "out of range"),
        ("a contact +10 +20 1 2 100000", "overlaps"),
    ],
)
def test_a_bad_line_is_refused_by_its_number_and_the_rest_is_used(line: str, why: str) -> None:
    given = read_ion(CHAIN + line + "\n", T0)
    assert [item.line for item in given.refused] == [9]
    assert why in given.refused[0].reason
    assert given.plan.n_contacts == 3


def test_one_way_contacts_are_told() -> None:
    given = read_ion(CHAIN + "a contact +0 +60 1 9 100\na range +0 +60 1 9 1\n", T0)
    assert "no time with a contact from 9 to 1" in given.refused[0].reason
    for text in ("", "m horizon +0", "a contact +0 +60 1 1 100"):
        with pytest.raises(InputError):
            read_ion(text, T0)


class Line(NamedTuple):
    """A line as another program reads it, with nothing of ours."""

    what: str
    start: int
    stop: int
    one: int
    other: int
    value: float


def lines_of(text: str) -> list[Line]:
    pattern = r"^a (contact|range) \+(\d+) \+(\d+) (\d+) (\d+) ([\d.]+)$"
    found = re.findall(pattern, text, re.MULTILINE)
    return [Line(what, *map(int, numbers), float(value)) for what, *numbers, value in found]


@pytest.fixture(scope="module")
def iridium() -> ContactPlan:
    sky = sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])
    return build_plan(sky, policy_for(sky), T0, T0 + 20 * MINUTE)


def test_written_plans_keep_ions_rules(iridium: ContactPlan) -> None:
    text = "\n".join(write_ion(iridium))
    assert "@ 2026/06/28-12:00:00" in text.splitlines()
    lines = lines_of(text)
    assert all(line.start < line.stop for line in lines)
    by_pair: dict[tuple[str, int, int], list[Line]] = {}
    for line in lines:
        by_pair.setdefault((line.what, line.one, line.other), []).append(line)
    for (what, one, other), rows in by_pair.items():
        # Those of one pair do not overlap; ranges are of n1 < n2 and so go both ways.
        assert all(a.stop <= b.start for a, b in pairwise(sorted(rows)))
        assert one < other or what == "contact"
        if what == "contact":
            mirrored = [row._replace(one=other, other=one) for row in rows]
            assert by_pair["contact", other, one] == mirrored
            ranges = by_pair["range", min(one, other), max(one, other)]
            for row in rows:
                inside = [r for r in ranges if r.start < row.stop and row.start < r.stop]
                assert sum(r.stop - r.start for r in inside) == row.stop - row.start


def test_contacts_are_inside_the_true_ones_by_less_than_a_second(iridium: ContactPlan) -> None:
    lines = [x for x in lines_of("\n".join(write_ion(iridium))) if x.what == "contact"]
    seen = 0
    for line in lines:
        begin, finish = T0 + line.start * SECOND, T0 + line.stop * SECOND
        contact = iridium.open_contact(line.one - 1, line.other - 1, begin)
        assert contact is not None
        assert 0 <= begin - contact.begin < SECOND and 0 <= contact.finish - finish < SECOND
        assert line.value == contact.rate_bps / 8
        seen += 1
    assert seen == 2 * iridium.n_contacts


def test_tvgutil_makes_the_same_graph_of_it(iridium: ContactPlan) -> None:
    contacts = []
    lines = lines_of("\n".join(write_ion(iridium)))
    for row in (line for line in lines if line.what == "contact"):
        low, high = sorted((row.one, row.other))
        delay = next(
            r.value for r in lines
            if (r.what, r.one, r.other) == ("range", low, high) and r.start == row.start
        )  # fmt: skip
        contacts.append(
            tvg_plan.Contact.simple(
                str(row.one), str(row.other), row.start, row.stop, 8 * row.value, 0.0, delay
            )
        )
    graph = tvg.from_contact_plan(contacts, tvg_plan.Contact)
    pairs = {(a, b) for a, b in zip(iridium.a.tolist(), iridium.b.tolist(), strict=True)}
    assert len(graph.edges) == 2 * len(pairs)
    assert {str(site + 1) for pair in pairs for site in pair} == set(graph.vertices)


def test_reading_back_what_was_written(iridium: ContactPlan) -> None:
    given = read_ion("\n".join(write_ion(iridium)), 0)
    assert given.refused == ()
    plan = given.plan
    site = {name: int(name) - 1 for name in plan.names}
    for at in range(T0 + SECOND, T0 + 20 * MINUTE, 37 * SECOND):
        pairs = {(site[plan.names[a]], site[plan.names[b]]) for a, b in plan.open_at(at)}
        assert pairs <= set(iridium.open_at(at))
        for a, b in sorted(pairs):
            mine = plan.light_time_ns(plan.index_of(str(a + 1)), plan.index_of(str(b + 1)), at)
            # Half a minute at 14 km/s, the most that two satellites can close at, is 1.4 ms.
            assert abs(mine - iridium.light_time_ns(a, b, at)) < 1_400_000
