"""Plans as graphs and scenes: read by networkx and by czml3, which know nothing of meshd."""

from __future__ import annotations

import io
import json
from typing import Any

import czml3
import networkx
import numpy as np
import pytest

from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.ephemeris.stations import to_fixed
from meshd.exchange.czml import write_czml
from meshd.exchange.graphs import write_gexf, write_graphml
from meshd.topology import ContactPlan, build_plan, plan_from_contacts, policy_for
from protocols.errors import InputError
from protocols.types import MILLISECOND, MINUTE, SECOND

T0 = parse_time("2026-06-28T12:00:00Z")


@pytest.fixture(scope="module")
def sky() -> Sky:
    return sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])


@pytest.fixture(scope="module")
def plan(sky: Sky) -> ContactPlan:
    return build_plan(sky, policy_for(sky), T0, T0 + 20 * MINUTE)


def test_graphml_is_the_snapshot(plan: ContactPlan) -> None:
    at = T0 + 3 * MINUTE
    graph = networkx.parse_graphml("\n".join(write_graphml(plan, at)))
    mine = plan.snapshot(at)
    names = dict(graph.nodes("name"))
    assert {names[n]: data["kind"] for n, data in graph.nodes.items()} == dict(mine.nodes("kind"))
    found = {frozenset((names[a], names[b])): data for a, b, data in graph.edges(data=True)}
    assert len(found) == mine.number_of_edges()
    for a, b, data in mine.edges(data=True):
        other = found[frozenset((a, b))]
        assert other["delay_ms"] == data["delay_ns"] / MILLISECOND
        assert other["rate_bps"] == data["rate_bps"]
    path = networkx.shortest_path(graph, "n66", "n67", "delay_ms")
    assert [names[n] for n in path] == networkx.shortest_path(mine, "London", "Sydney", "delay_ns")


def test_gexf_spells_are_the_contacts(plan: ContactPlan) -> None:
    text = "\n".join(write_gexf(plan))
    graph: Any = networkx.read_gexf(io.BytesIO(text.encode()))
    assert graph.graph["mode"] == "dynamic"
    assert (graph.graph["start"], float(graph.graph["end"])) == ("0.0", 1200.0)
    labels = dict(graph.nodes("label"))
    assert list(labels.values()) == list(plan.names)
    seen = 0
    for a, b, data in graph.edges(data=True):
        spells = [
            (T0 + round(float(start) * SECOND), T0 + round(float(end) * SECOND))
            for start, end in data["spells"]
        ]
        contacts = plan.contacts_between(int(a), int(b))
        assert spells == [(contact.begin, contact.finish) for contact in contacts]
        seen += len(spells)
    assert seen == plan.n_contacts


def test_names_with_marks_stay_whole() -> None:
    names = ("A & B", 'the "first" <1>')
    plan = plan_from_contacts(("satellite",) * 2, [(0, 1, 0, SECOND)], 5, names=names)
    graph = networkx.parse_graphml("\n".join(write_graphml(plan, 0)))
    assert tuple(dict(graph.nodes("name")).values()) == names
    text = "\n".join(write_gexf(plan))
    assert (
        tuple(dict(networkx.read_gexf(io.BytesIO(text.encode())).nodes("label")).values()) == names
    )


def test_czml_is_valid_to_czml3_and_places_sites_where_they_are(
    plan: ContactPlan, sky: Sky
) -> None:
    packets = json.loads("\n".join(write_czml(plan, sky)))
    assert packets[0]["id"] == "document" and packets[0]["version"] == "1.0"
    for packet in packets:
        czml3.Packet(**packet)
    by_id = {packet["id"]: packet for packet in packets}
    assert len(by_id) == len(packets)
    position = by_id["site-7"]["position"]
    samples = np.array(position["cartesian"]).reshape(-1, 4)
    assert position["referenceFrame"] == "FIXED"
    # It covers the window with room for the polynomial on both sides.
    assert samples[0, 0] <= 0 and samples[-1, 0] >= 1200
    instants = plan.start + np.round(samples[:, 0] * SECOND).astype(np.int64)
    assert plan.trajectory is not None
    inertial = np.stack([plan.trajectory.positions_km(int(at)) for at in instants])
    assert np.allclose(to_fixed(inertial, instants)[:, 7] * 1e3, samples[:, 1:], atol=2e-3)
    degrees = by_id["site-66"]["position"]["cartographicDegrees"]
    assert degrees[:2] == pytest.approx([-0.1257, 51.5085], abs=1e-3)


def test_czml_links_show_while_they_are_open(plan: ContactPlan, sky: Sky) -> None:
    packets = json.loads("\n".join(write_czml(plan, sky)))
    lines = [packet for packet in packets if "polyline" in packet]
    ids = {packet["id"] for packet in packets}
    shown = 0
    for packet in lines:
        line = packet["polyline"]
        ends = [reference.split("#") for reference in line["positions"]["references"]]
        assert all(site in ids and what == "position" for site, what in ends)
        a, b = (int(site.removeprefix("site-")) for site, _ in ends)
        assert line["show"][0]["boolean"] is False
        for span, contact in zip(line["show"][1:], plan.contacts_between(a, b), strict=True):
            begin, finish = map(parse_time, span["interval"].split("/"))
            assert (begin, finish) == (contact.begin, contact.finish)
            shown += 1
    assert shown == plan.n_contacts


def test_scenes_need_orbits(sky: Sky) -> None:
    plan = plan_from_contacts(("satellite",) * 2, [(0, 1, 0, SECOND)], 5)
    with pytest.raises(InputError):
        next(write_czml(plan, sky))
