"""Operators' files, and mixtures of tables and elements, as one sky."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import Elements
from meshd.ephemeris.elements import make_catalog
from meshd.ephemeris.formats import Document, format_of, read_document
from meshd.ephemeris.operator import parse_operator
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.sky import sky_from_catalog, sky_from_tables
from meshd.ephemeris.sources import sky_from_documents
from meshd.ephemeris.tables import Segment, Tables, Tabulated
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE
from tests.ephemeris.tabled import (
    HEADER,
    HIGH,
    LAGRANGE_9,
    LOW,
    NAME,
    OEM,
    OPERATOR,
    T0,
    astropy_to,
    between,
    grid,
    omm,
    operator_text,
    segment,
    truth,
)


@pytest.mark.parametrize("covariance", [True, False])
def test_an_operators_file_is_read_in_the_frame_of_2000(covariance: bool) -> None:
    from skyfield.framelib import ICRS_to_J2000

    nodes, at = grid(), between()
    celestial = astropy_to("GCRF", nodes, truth(LOW, nodes))
    states = np.hstack([celestial[:, :3] @ ICRS_to_J2000.T, celestial[:, 3:] @ ICRS_to_J2000.T])
    text = operator_text(nodes, states, covariance)
    assert format_of(text).name == "operator ephemeris"
    loaded = sky_from_documents([Document(f"/somewhere/{NAME}", text)])
    assert loaded.sky.names == ("STARLINK-36840",)
    positions, velocities = loaded.sky.states_at(at)
    assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-3)
    assert velocities[:, 0] == pytest.approx(truth(LOW, at)[:, 3:], abs=5e-5)


@pytest.mark.parametrize(
    ("old", "new"),
    [(".000 ", ".000x "), (".000 ", " "), ("2025179", "2025x79"), ("2025179", "202517"),
     (".000 ", ".000 1.0 "), (".000 ", ".000 nan? "), ("2025179", "2025399"), ("0003", "0063")],
)  # fmt: skip
def test_a_record_that_cannot_be_read_costs_that_record(old: str, new: str) -> None:
    nodes = grid(11)
    lines = operator_text(nodes, truth(LOW, nodes)).splitlines()
    at = 4 + 4 * 3
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new, 1)
    found = parse_operator("\n".join(lines), NAME)
    if new == " ":  # without a fraction it is a time all the same
        assert found.segments[0].instants.size == 11
        return
    assert found.segments[0].instants.size == 10
    assert [(r.line, r.name) for r in found.refused] == [(at + 1, "STARLINK-36840")]


def test_elements_and_tables_make_one_sky() -> None:
    nodes, at = grid(), between(5)
    table = HEADER + segment("low", nodes, truth(LOW, nodes), more=LAGRANGE_9)
    loaded = sky_from_documents([
        Document("a.oem", table), Document("b.csv", omm(LOW, HIGH)), Document("c.txt", "nothing"),
    ])  # fmt: skip
    # The table of LOW counts, not its elements; the newest elements count among several.
    assert loaded.sky.names == ("HIGH", "low")
    assert [(r.file, r.code) for r in loaded.refused] == [
        ("c.txt", "empty-catalog"), ("", "superseded"),
    ]  # fmt: skip
    positions, _ = loaded.sky.states_at(at)
    assert positions[:, 0] == pytest.approx(truth(HIGH, at)[:, :3], abs=1e-9)
    assert positions[:, 1] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-6)
    after = loaded.sky.failures(np.array([T0 + 2 * HOUR]))
    assert [(f.site, f.name) for f in after] == [(1, "low")]


def test_the_digest_of_tables_is_what_they_hold() -> None:
    nodes = grid(11)
    texts = [
        segment("LOW", nodes, truth(LOW, nodes)),
        segment("LOW", nodes, truth(LOW, nodes), system="TAI"),
        segment("LOW", nodes, truth(LOW, nodes), "GCRF"),
        segment("LOW", nodes[:-1], truth(LOW, nodes)[:-1]),
        segment("LOW", nodes, truth(HIGH, nodes)),
    ]
    skies = [sky_from_documents([Document("", HEADER + text)]).sky for text in (*texts, texts[0])]
    assert len({sky.digest for sky in skies}) == len(texts)


def test_a_contact_plan_of_tables_is_that_of_their_elements() -> None:
    from meshd.ephemeris import find_city
    from meshd.topology import LinkPolicy, build_plan

    nodes = grid(91, start=T0 - 15 * MINUTE)
    cities = [find_city(name) for name in ("London", "Quito", "Sydney")]
    table = HEADER + "".join(segment(e.name, nodes, truth(e, nodes)) for e in (LOW, HIGH))
    policy = LinkPolicy(isl="nearest", min_elevation_deg=5.0)
    plans = [
        build_plan(sky_from_documents([Document("", text)], cities).sky, policy, T0, T0 + HOUR)
        for text in (table, omm(LOW, HIGH))
    ]
    edges: list[Any] = [
        sorted(zip(p.a.tolist(), p.b.tolist(), p.begin.tolist(), p.finish.tolist(), strict=True))
        for p in plans
    ]
    assert len(edges[0]) == len(edges[1]) > 0
    for one, other in zip(*edges, strict=True):
        assert one[:2] == other[:2]
        assert all(abs(x - y) <= 1_000_000 for x, y in zip(one[2:], other[2:], strict=True))


def test_more_states_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.ephemeris.tables.STATES_MAX", 10)
    with pytest.raises(InputError) as caught:
        sky_from_documents([Document("", OEM)])
    assert caught.value.code == "ephemeris-too-large"


@given(st.booleans(), st.integers(0, 2_500), st.text(max_size=6))
def test_no_change_to_a_table_breaks_its_reader(operator: bool, at: int, change: str) -> None:
    text = OPERATOR if operator else OEM
    changed = text[:at] + change + text[at + len(change) :]
    try:
        found = read_document(Document(NAME, changed))
    except InputError:
        return
    if isinstance(found, Tabulated):
        positions, _ = Tables.of(found.segments).states(grid(3))
        assert positions.shape[2] == 3


def test_lasers_are_chosen_from_tables_as_from_elements() -> None:
    """To the very ends of the tables: who may be linked is looked for half a day around."""
    from meshd.topology import policy_for
    from meshd.topology.fitted import BLOCK_NS, choose

    flying = [
        Elements(
            f"S{p}-{s}", 20 * p + s + 1, T0, 53.0, 18.0 * p, 1e-4, 0.0, 18.0 * s + 5 * p, 15.05
        )
        for p in range(20)
        for s in range(20)
    ]
    nodes = grid(8 * 60 + 1, start=T0 + HOUR)
    positions, velocities = Sgp4.of(flying).states(nodes)
    ends = int(nodes[0]), int(nodes[-1])
    states = np.concatenate([positions, velocities], axis=2)
    segments = [
        Segment(e.name, nodes, states[:, site], *ends, "hermite", 7, e.name)
        for site, e in enumerate(flying)
    ]
    tables = sky_from_tables(Tables.of(segments), None)
    catalog = sky_from_catalog(make_catalog((0, e) for e in flying))
    policy = policy_for(tables)
    for hours in (1, 5, 9):
        block = (T0 + hours * HOUR) // BLOCK_NS
        ours, theirs = (choose(sky, policy, block).pairs for sky in (tables, catalog))
        assert theirs.size > 700
        assert np.intersect1d(ours, theirs).size > 0.9 * theirs.size
