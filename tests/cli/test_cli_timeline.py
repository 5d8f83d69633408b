"""`meshd route` over time, several ways at once, explained, drawn, and without orbits."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import MESHD, meshd

AT = ("--at", "2026-01-01T00:00:00Z")
KUIPER = ("--constellation", "hypatia:kuiper_630")
PLAN = """\
a contact +0 +3600 1 2 100000
a contact +0 +3600 2 1 100000
a range +0 +3600 1 2 0.013
a contact +60 +120 2 3 1000
a contact +60 +120 3 2 1000
a range +0 +120 2 3 1.5
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> str:
    path = tmp_path / "plan.ionrc"
    path.write_text(PLAN)
    return str(path)


def test_a_timeline_has_the_promised_shape() -> None:
    ran = meshd(
        "route", "Manila", "Dalian", *KUIPER, "--timeline", "200s", "--step", "100ms", "--json"
    )
    answer = ran.json
    assert (ran.code, ran.err) == (0, "")
    assert [(row["at_s"], "-".join(map(str, row["path"]))) for row in answer["changes"]] == [
        (0.0, "1173-184-183-217-1241"),
        (18.0, "1173-218-217-1241"),
        (27.6, "1173-648-649-650-616-1241"),
        (74.3, "1173-218-217-216-250-1241"),
        (125.9, "1173-647-648-649-650-616-1241"),
        (128.7, "1173-647-648-649-615-1241"),
    ]
    assert answer["at"] == "2000-01-01T00:00:00.000Z"
    assert answer["changes"][0]["rtt_ms"] == pytest.approx(29.423138, abs=1e-3)
    rtts = [answer[f"rtt_{which}_ms"] for which in ("min", "max", "mean")]
    assert rtts == pytest.approx([25.2298, 48.1651, 40.1438], abs=1e-3)
    assert answer["unreachable"] == []
    assert answer["path_changes"] == 5


def test_dark_intervals_are_told() -> None:
    ends = ("1174", "St Petersburg")
    answer = meshd("route", *ends, *KUIPER, "--timeline", "200s", "--step", "100ms", "--json").json
    assert answer["unreachable"] == [{"from_s": 155.4, "until_s": 165.1}]
    assert answer["unreachable_s"] == pytest.approx(9.7)
    (dark,) = [row for row in answer["changes"] if not row["path"]]
    assert (dark["at_s"], dark["rtt_ms"]) == (155.4, None)
    assert "ended: out of range" in dark["why"]


def test_without_a_step_changes_are_exact_and_people_read_a_table() -> None:
    ran = meshd("route", "Manila", "Dalian", *KUIPER, "--timeline", "60s")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split()[:3] == ["FROM", "FOR", "ROUND"]
    assert [line.split()[0] for line in lines[1:4]] == ["+0.000", "+17.921", "+27.518"]
    assert "Manila - Kuiper-630 218 began" in lines[2]
    assert "out of range: 1260.0 km from Dalian, at most 1260.0" in lines[3]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_is_drawn(tmp_path: Path, suffix: str) -> None:
    place = tmp_path / f"rtt.{suffix}"
    ends = ("Rio", "St Petersburg")
    ran = meshd("route", *ends, *KUIPER, "--timeline", "200s", "--plot", str(place), "--json")
    assert ran.json["plot"] == str(place)
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert place.read_bytes().startswith(head)
    assert place.stat().st_size > 8_000


def test_a_stable_path_tells_what_it_costs() -> None:
    span = ("--timeline", "5m", "--by", "stable", "--stay", "5")
    answer = meshd("route", "Paris", "Luanda", "--constellation", "hypatia:starlink_550", *span,
                   "--json").json  # fmt: skip
    against = answer["against_best"]
    assert (answer["by"], answer["stay_percent"]) == ("stable", 5.0)
    assert against["changes"] == answer["path_changes"] < against["changes_best"]
    assert 0 < against["mean_extra_ms"] <= against["most_extra_ms"] < 0.05 * 120


@pytest.mark.parametrize("by", ["hops", "energy"])
def test_other_objectives(by: str) -> None:
    ends = ("route", "London", "New York", "--constellation", "starlink-1", *AT, "--json")
    quick, other = meshd(*ends).json, meshd(*ends, "--by", by).json
    assert other["by"] == by
    assert other["rtt_ms"] >= quick["rtt_ms"]
    assert by != "hops" or other["hops"] <= quick["hops"]


def test_alternatives_and_explanation() -> None:
    ends = ("London", "New York", "--constellation", "starlink-1", *AT)
    ran = meshd("route", *ends, "--k", "3", "--explain", "--json")
    paths = [row["path"] for row in ran.json["alternatives"]]
    assert len(paths) == 3
    assert len({site for path in paths for site in path[1:-1]}) == sum(len(p) - 2 for p in paths)
    told = ran.json["explain"]
    assert len(told["contacts"]) == ran.json["hops"]
    assert told["next_best"]["longer_ms"] > 0
    assert all(cut["why_not"] and cut["saves_ms"] > 0 for cut in told["shortcuts"])
    shown = meshd("route", *ends, "--k", "2", "--disjoint", "links", "--explain").out
    assert "ends first" in shown and "next best" in shown and "not taken" in shown


def test_no_way_is_explained_too(plan_file: str) -> None:
    ran = meshd("route", "1", "3", "--plan", plan_file, "--explain", "--json")
    assert ran.code == 5
    assert ran.json["path"] == [] and "3 has no link" in ran.json["why"]
    assert [(ride["to"], ride["light_ms"]) for ride in ran.json["explain"]["rides"]] == [
        ("2", 13.0), ("3", 1500.0),
    ]  # fmt: skip


def test_a_contact_plan_needs_no_orbits(plan_file: str) -> None:
    answer = meshd("route", "1", "3", "--plan", plan_file, "--timeline", "300s", "--json").json
    assert [(row["at_s"], row["names"]) for row in answer["changes"]] == [
        (0.0, []), (60.0, ["1", "2", "3"]), (120.0, []),
    ]  # fmt: skip
    assert answer["great_circle_rtt_ms"] is None
    assert answer["rtt_max_ms"] == 3026.0
    links = meshd("links", "2", "--plan", plan_file, "--json").json["links"]
    assert [(row["peer"], row["light_ms"]) for row in links] == [("1", 13.0), ("3", 1500.0)]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--timeline", "1h", "--plot", "x.png"), 2, "usage"),  # a daemon draws nothing
        ((*KUIPER, "--step", "1s"), 2, "usage"),
        ((*KUIPER, "--by", "stable"), 2, "usage"),
        ((*KUIPER, "--by", "beauty"), 2, "bad-objective"),
        ((*KUIPER, "--timeline", "1h", "--k", "2"), 2, "usage"),
        ((*KUIPER, "--k", "99"), 2, "bad-count"),
        ((*KUIPER, "--disjoint", "planes"), 2, "usage"),
        ((*KUIPER, "--timeline", "25h"), 2, "bad-duration"),
        ((*KUIPER, "--timeline", "10s", "--step", "0s"), 2, "bad-step"),
        ((*KUIPER, "--timeline", "10s", "--plot", "x.gif"), 2, "bad-plot"),
        ((*KUIPER, "--plan", "x"), 2, "usage"),
        (("--plan", "/none"), 2, "unreadable-file"),
    ],
)
def test_wishes_that_cannot_be_granted(arguments: tuple[str, ...], code: int, word: str) -> None:
    ran = meshd("route", "Manila", "Dalian", *arguments, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (code, word)


def test_an_interrupted_timeline_leaves_quietly() -> None:
    command = [*MESHD, "route", "Manila", "Dalian", *KUIPER, "--timeline", "24h"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)  # a day takes far longer
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
