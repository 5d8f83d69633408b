"""A sweep can be stopped, resumed, and spread over machines, and says the same every time."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import InputError
from sim.cli import app
from sim.results.folder import read_record, slug_of
from sim.results.sweep import parse_axes, parse_seeds
from sim.scenario.changes import changed, parse_change
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import parse

ROOT = Path(__file__).parents[2]
LINE = """
name = "line"
question = "What does loss cost?"
method = "Three nodes in a line."
expectation = "Latency."
duration = "DURATION"
members = ["a", "b", "c"]
[[cables]]
between = ["a", "b"]
[[cables]]
between = ["b", "c"]
[[packets]]
count = 5
pairs = [["a", "c"]]
[expect]
packets_sent = 5
"""
LOSSES = ("--seeds", "0..3", "--set", "link.loss=0,0.1")
cli = CliRunner()


@pytest.fixture
def line(tmp_path: Path) -> Path:
    path = tmp_path / "line.toml"
    path.write_text(LINE.replace("DURATION", "10s"), encoding="utf-8")
    return path


def sweep(*words: object) -> None:
    said = cli.invoke(app, ["sweep", *map(str, words)])
    assert said.exit_code == 0, said.stderr


def rows(place: Path) -> list[dict[str, str]]:
    with (place / "sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_tells_every_run_and_metric(line: Path, tmp_path: Path):
    out = tmp_path / "out"
    sweep(line, *LOSSES, "--jobs", 2, "--out", out)
    found = rows(out)
    assert {(row["link.loss"], row["seed"]) for row in found} == {
        (loss, str(seed)) for loss in ("0", "0.1") for seed in range(4)
    }
    record = read_record(out / "link.loss=0.1" / "seed-2")
    told = {r["metric"]: r["value"] for r in found if (r["link.loss"], r["seed"]) == ("0.1", "2")}
    assert float(told["events"]) == record.metrics["events"]
    assert record.asked.link.loss == 0.1
    assert record.command.endswith("--seed 2 --set link.loss=0.1")
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["runs"], summary["met"], summary["failed"]) == (8, 8, [])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="latency_ms_worst"' in page
    assert "link.loss = 0.1" in page
    assert not any(f'{word}="http' in page for word in ("src", "href"))


def test_what_was_run_is_not_run_again_unless_the_scenario_is_another(line: Path, tmp_path: Path):
    out = tmp_path / "out"
    sweep(line, "--seeds", "0..1", "--jobs", 1, "--out", out)
    place = out / "as-written" / "seed-0" / "result.json"
    before = place.stat().st_mtime_ns
    sweep(line, "--seeds", "0..2", "--jobs", 1, "--out", out)
    assert place.stat().st_mtime_ns == before
    assert len({row["seed"] for row in rows(out)}) == 3
    line.write_text(line.read_text().replace("count = 5", "count = 5\nsize_bytes = 100"))
    sweep(line, "--seeds", "0..2", "--jobs", 1, "--out", out)
    assert place.stat().st_mtime_ns != before


def test_an_interrupted_sweep_goes_on_to_the_same_table(tmp_path: Path):
    """Twelve runs of some tenths of a second each; Ctrl-C when the second has ended."""
    line = tmp_path / "line.toml"
    line.write_text(LINE.replace("DURATION", "600s"), encoding="utf-8")
    words = ("--seeds", "0..5", "--set", "link.loss=0,0.1", "--jobs", "1")
    command = [sys.executable, "-m", "sim.cli", "sweep", str(line), *words, "--out", "stopped"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if said.startswith("2 of 12"):
                break
        process.send_signal(signal.SIGINT)
        end = process.stderr.read()
        assert process.wait() == 130
    assert "interrupted; what is finished is kept in stopped, and the same command goes on" in end
    done = sorted(Path("stopped").glob("*/*/result.json"))
    assert 2 <= len(done) < 12
    assert not list(Path("stopped").glob("**/.*"))  # nothing is half there
    before = {path: path.stat().st_mtime_ns for path in done}
    sweep(line, *words, "--out", "stopped")
    assert {path: path.stat().st_mtime_ns for path in done} == before
    sweep(line, *words, "--out", "whole")
    assert Path("stopped/sweep.csv").read_bytes() == Path("whole/sweep.csv").read_bytes()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two worker processes on loopback."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path / "dask"),
    ) as local:
        yield local.scheduler_address


def test_a_dask_cluster_gives_the_same_table(line: Path, tmp_path: Path, cluster: str):
    script = tmp_path / "extra.py"
    script.write_text("async def experiment(mesh):\n    mesh.measure('seed_s', mesh.seed)\n")
    line.write_text(line.read_text().replace("members", 'script = "extra.py"\nmembers'))
    sweep(line, *LOSSES, "--jobs", 2, "--out", tmp_path / "here")
    sweep(line, *LOSSES, "--dask", cluster, "--out", tmp_path / "there")
    here, there = (tmp_path / name / "sweep.csv" for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    assert {r["value"] for r in rows(tmp_path / "there") if r["metric"] == "seed_s"} == {
        *("0.0", "1.0", "2.0", "3.0")
    }


def test_no_cluster_is_told_with_its_address(line: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sim.results.dask.CONNECT_S", 0.3)
    said = cli.invoke(app, ["sweep", str(line), "--dask", "tcp://127.0.0.1:9"])
    assert said.exit_code == 2
    assert "dask-unreachable: no Dask scheduler answers at tcp://127.0.0.1:9" in said.stderr


def test_a_run_that_comes_to_nothing_is_told_and_the_others_go_on(line: Path, tmp_path: Path):
    script = tmp_path / "odd.py"
    script.write_text(
        "async def experiment(mesh):\n    assert mesh.seed != 1, 'one is odd'\n", encoding="utf-8"
    )
    line.write_text(line.read_text().replace("members", 'script = "odd.py"\nmembers'))
    said = cli.invoke(app, ["sweep", str(line), "--seeds", "0..2", "--jobs", "1", "--json"])
    assert said.exit_code == 1
    told = json.loads(said.stdout)
    assert told["runs"] == 2
    assert [(one["seed"], one["code"]) for one in told["failed"]] == [(1, "crashed")]
    assert "seed 1 came to nothing: crashed: AssertionError: one is odd" in said.stderr


def test_a_foreign_folder_is_left_alone(line: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("mine")
    said = cli.invoke(app, ["sweep", str(line), "--out", str(tmp_path / "mine")])
    assert said.exit_code == 2
    assert "folder-in-use" in said.stderr


# --- what is asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("link.los=1", "unknown key 'los'; did you mean loss?, at link.los"),
        ("lnk.loss=1", "unknown key 'lnk'; did you mean link?"),
        ("link.loss=2", "at link.loss"),
        ("link.loss=much", "expected `float`, got `str`, at link.loss"),
        ("packets[3].count=1", "there are 1 of these, from 0; not '3'"),
        ("packets[0].cuont=1", "did you mean count"),
        ("duration=5 parsecs", "not a duration"),
        ("name.x=1", "name has no parts"),
        ("link.loss", "write PATH=VALUE"),
        ("link.loss=1,,2", "a value is missing"),
        ("link.loss=1,1", "given twice"),
    ],
)
def test_a_bad_change_is_refused_with_the_nearest_word(text: str, says: str):
    with pytest.raises(ScenarioError) as caught:
        path, values = parse_change(text)
        changed(parse(LINE.replace("DURATION", "10s")), [(path, values[0])])
    assert says in caught.value.message


def test_values_may_be_numbers_texts_lists_and_what_expect_names():
    scenario = parse(LINE.replace("DURATION", "10s"))
    path, values = parse_change('members=["a","b","c"],["a","b","c","d"]')
    assert len(values) == 2
    assert changed(scenario, [(path, values[1])]).members == ("a", "b", "c", "d")
    assert changed(scenario, [("duration", "90s")]).duration == "90s"
    assert changed(scenario, [("packets[0].count", "7")]).packets[0].count == 7
    assert changed(scenario, [("expect.alive_min", "3")]).expect["alive_min"] == 3
    assert changed(scenario, [("epoch", "2026-02-01T00:00:00Z")]).epoch.startswith("2026-02")
    assert changed(scenario, []) == scenario
    with pytest.raises(ScenarioError, match="set twice"):
        parse_axes(["link.loss=0", "link.loss=1"])


def test_seeds_are_ranges_and_lists():
    assert parse_seeds("0..3") == (0, 1, 2, 3)
    assert parse_seeds("7,1..2,7") == (7, 1, 2)
    for text in ("", "3..1", "a", "1-3", "0..999999999"):
        with pytest.raises(InputError, match="write seeds as"):
            parse_seeds(text)


def test_slugs_name_folders_and_tell_settings_apart():
    assert slug_of((("link.loss", "0.01"),)) == "link.loss=0.01"
    one, other = (slug_of((("catalog", text),)) for text in ("a/b", "a b"))
    assert "/" not in one and one != other


# --- compare --------------------------------------------------------------------------------------


def test_compare_sets_the_settings_of_a_sweep_side_by_side(line: Path, tmp_path: Path):
    out = tmp_path / "out"
    sweep(line, *LOSSES, "--jobs", 2, "--out", out)
    told = json.loads(cli.invoke(app, ["compare", str(out), "--json"]).stdout)
    assert told["groups"] == ["link.loss=0", "link.loss=0.1"]
    events = next(row for row in told["rows"] if row["metric"] == "events")
    values = [
        [read_record(out / group / f"seed-{seed}").metrics["events"] for seed in range(4)]
        for group in told["groups"]
    ]
    middle = [sum(sorted(side)[1:3]) / 2 for side in values]
    assert [cell["value"]["median"] for cell in events["cells"]] == middle
    apart = sorted(b - a for a, b in zip(*values, strict=True))
    assert events["cells"][1]["difference"]["median"] == sum(apart[1:3]) / 2
    assert events["cells"][1]["paired"]
    folders = [str(out / group) for group in told["groups"]]
    assert (
        json.loads(cli.invoke(app, ["compare", *folders, "--json"]).stdout)["rows"] == told["rows"]
    )


def test_compare_shows_single_runs_and_refuses_what_it_cannot(line: Path, tmp_path: Path):
    for seed in ("1", "2"):
        assert cli.invoke(app, ["run", str(line), "--seed", seed]).exit_code == 0
    said = cli.invoke(app, ["compare", "runs/line-heap-1", "runs/line-heap-2"])
    assert said.exit_code == 0, said.stderr
    assert "as expected" in said.stdout and "1 of 1" in said.stdout and "same" in said.stdout
    alone = cli.invoke(app, ["compare", "runs/line-heap-1"])
    assert (alone.exit_code, "nothing-to-compare" in alone.stderr) == (2, True)
    nobody = cli.invoke(app, ["compare", "runs/line-heap-1", "nowhere"])
    assert (nobody.exit_code, "no-run" in nobody.stderr) == (2, True)
