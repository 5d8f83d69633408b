"""A run leaves a folder: figures, tables and a page, each saying the same as the outcome."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from protocols.errors import InputError
from protocols.types import SECOND
from sim.cli import app
from sim.experiment import open_document, prepare, run_experiment
from sim.metrics import judge
from sim.outcome import LATE, JobFate, JobStep, Outcome, Sample
from sim.result import doubt, result_of
from sim.results.chart import Chart, chart_of
from sim.results.drawing import Clock
from sim.results.folder import Kept, Run, read, read_record, write
from sim.results.gantt import Span, spans_of
from sim.results.map import land, stretches
from sim.results.plots import plots_of
from sim.results.report import report_of
from sim.results.units import figure, unit_of

SMALL = """
name = "small"
question = "Do packets <b>arrive</b> & a job's shards?"
method = "Two cities."
expectation = "They do."
constellation = "iridium"
stations = ["London", "Sydney"]
duration = "40s"
[link]
min_elevation_deg = 8.2
[[packets]]
count = 20
at = "2s"
[[jobs]]
name = "study"
from = "London"
to = "Sydney"
shards = 4
estimate_s = 5.0
at = "8s"
[[timeline]]
at = "10s"
do = "kill"
nodes = "holder"
[expect]
packets_delivered = 20
known_s_max = 0.5
"""
cli = CliRunner()


def finished(path: Path, seed: int = 1) -> Run:
    document = open_document(str(path))
    setting = prepare(document)
    outcome = run_experiment(document, "heap", seed, setting=setting)
    result = result_of(document.scenario, outcome, 1.0)
    return Run(document, (), result, outcome, chart_of(setting, document.scenario.start))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("scenario") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return finished(path)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "small-heap-1"
    write(path, run)
    return path


class Page(HTMLParser):
    """What a page holds: ids, references to elsewhere, text, and whether its tags match."""

    VOID = ("meta", "link", "img", "br", "path", "use", "rect", "image", "line", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_but_itself(folder: Path):
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert [r for r in page.references if not r.startswith(("#", "data:"))] == []
    assert [u for u in re.findall(r"url\(([^)]*)\)", text) if not u.startswith("#")] == []
    assert "@import" not in text
    assert {"script", "link", "iframe", "object"}.isdisjoint(page.tags)
    assert len(set(page.ids)) == len(page.ids)
    wanted = {r[1:] for r in page.references if r.startswith("#")}
    assert wanted <= set(page.ids)


def test_the_page_shows_every_figure_and_says_what_was_asked(run: Run, folder: Path):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    expected = [
        *("map", "latency", "excess", "paths", "gossip", "utilisation", "busiest", "queue"),
        *("links", "shards_held-each", "gantt-job-1"),
    ]
    names = [plot.name for plot in plots_of(run.outcome, run.chart)]
    assert set(expected) <= set(names)
    assert set(names) <= set(page.ids)
    assert page.tags.count("svg") == len(names)
    assert "Do packets <b>arrive</b> & a job's shards?" in page.words
    assert "b" not in page.tags  # what a scenario says is text, never HTML
    assert "Not as expected" in page.words and "✓ met" in page.words and "✗ not met" in page.words
    assert "2026-01-01 12:00:10" in page.words
    assert f"--seed {run.outcome.seed}" in page.words


def test_the_tables_say_what_the_outcome_says(run: Run, folder: Path):
    outcome = run.outcome
    with (folder / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Sample(int(r["at_ns"]), r["metric"], r["subject"], float(r["value"]))
            for r in csv.DictReader(file)
        ]
    assert rows == list(outcome.samples)
    with (folder / "packets.csv").open(encoding="utf-8", newline="") as file:
        packets = list(csv.DictReader(file))
    assert [int(row["arrived_at_ns"]) for row in packets] == [
        packet.arrived_at for packet in outcome.packets
    ]
    assert [tuple(row["path"].split(" > ")) for row in packets] == [
        packet.path for packet in outcome.packets
    ]
    with (folder / "jobs.csv").open(encoding="utf-8", newline="") as file:
        steps = [
            (row["job"], int(row["at_ns"]), row["what"], row["holder"])
            for row in csv.DictReader(file)
        ]
    assert steps == [(j.job, s.at, s.what, s.node) for j in outcome.jobs for s in j.steps]


def test_a_folder_is_read_back_as_it_was_written(run: Run, folder: Path):
    kept = read(folder)
    assert kept.outcome == run.outcome
    assert kept.chart == run.chart
    assert kept.record.asked == run.document.scenario
    assert kept.record.metrics == pytest.approx(run.result.metrics, nan_ok=True)
    assert [item.met for item in kept.record.expectations] == [True, False]
    assert json.loads((folder / "result.json").read_text())["versions"]["meshd"]


def test_a_figure_that_there_is_none_of_is_null_and_comes_back_as_nan(tmp_path: Path):
    path = tmp_path / "quiet.toml"
    path.write_text(SMALL.replace("count = 20", "count = 0"), encoding="utf-8")
    write(tmp_path / "out", finished(path))
    assert (
        json.loads((tmp_path / "out/result.json").read_text())["metrics"]["excess_us_p50"] is None
    )
    value = read_record(tmp_path / "out").metrics["excess_us_p50"]
    assert value != value


def test_the_same_run_is_replaced_and_anything_else_is_refused(run: Run, tmp_path: Path):
    place = tmp_path / "place"
    write(place, run, report=False)
    (place / "stray").write_text("of the run before")
    write(place, run, report=False)
    assert not (place / "stray").exists()
    other = msgspec.structs.replace(run.result, seed=2)
    with pytest.raises(InputError, match="holds a run of small under heap, seed 1") as caught:
        write(place, run._replace(result=other), report=False)
    assert caught.value.code == "folder-in-use"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        write(tmp_path / "mine", run, report=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "place"]  # no half of anything


def test_a_damaged_folder_is_refused_with_what_to_do(run: Run, tmp_path: Path):
    with pytest.raises(InputError, match="holds no run") as caught:
        read(tmp_path)
    assert caught.value.code == "no-run"
    write(tmp_path / "run", run, report=False)
    packed = tmp_path / "run/outcome.msgpack.gz"
    packed.write_bytes(packed.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged") as caught:
        read(tmp_path / "run")
    assert caught.value.code == "bad-run"
    (tmp_path / "run/result.json").write_text("{}")
    with pytest.raises(InputError, match="missing required field"):
        read(tmp_path / "run")


def test_what_no_one_has_thought_of_yet_is_drawn_with_its_unit(run: Run):
    start = run.outcome.start
    times = [start + second * SECOND for second in range(4)]
    few = [Sample(at, "battery_share", name, 0.5) for at in times for name in ("a", "b")]
    many = [Sample(at, "temperature_c", f"n{i}", i) for at in times for i in range(30)]
    whole = [Sample(at, "heat_w", "", 7.0) for at in times]
    outcome = msgspec.structs.replace(run.outcome, samples=(*few, *many, *whole))
    record = run.record
    page = Page(report_of(Kept(Path(), record, outcome, run.chart)))
    assert {"battery_share-each", "temperature_c-each", "heat_w"} <= set(page.ids)
    assert "Battery share, of 1" in page.words
    assert "Temperature c, °C" in page.words
    assert "Heat w, W" in page.words


def test_a_laboratory_and_an_empty_run_have_a_page_too(tmp_path: Path):
    path = tmp_path / "bare.toml"
    path.write_text(
        'name="bare"\nquestion="?"\nmethod="!"\nexpectation="."\nduration="2s"\n'
        'members=["a","b"]\n[[cables]]\nbetween=["a","b"]\n',
        encoding="utf-8",
    )
    run = finished(path)
    assert run.chart.links == ((0, 1),)
    page = Page(report_of(Kept(Path(), run.record, run.outcome, run.chart)))
    assert "map" in page.ids and "latency" not in page.ids
    empty = Outcome("heap", 1, 0, SECOND, ())
    assert plots_of(empty, Chart(0, (), ())) == []


def test_a_shard_is_in_one_phase_at_a_time():
    steps = [
        JobStep(1, "accepted"),
        JobStep(2, "offered", 0, "a"),
        JobStep(3, "held", 0, "a"),
        JobStep(5, "replaced", 0, "a", "lease-expired"),
        JobStep(5, "offered", 0, "b"),
        JobStep(6, "held", 0, "b"),
        JobStep(8, "finished", 0, "b"),
        JobStep(9, "delivered", 0, "b"),
        JobStep(9, "completed"),
        JobStep(4, "offered", 1, "c"),
    ]
    job = JobFate("job-1", "x", "n", 0, "running", steps=tuple(steps))
    assert spans_of(job, 20) == [
        Span(0, "finished", "b", 8, 9),
        Span(0, "held", "a", 3, 5),
        Span(0, "held", "b", 6, 8),
        Span(0, "offered", "a", 2, 3),
        Span(0, "offered", "b", 5, 6),
        Span(1, "offered", "c", 4, 20),
    ]


def test_a_link_over_the_edge_of_the_map_is_drawn_the_short_way():
    assert stretches((10, 0), (30, 5)) == [[(10, 0), (30, 5)]]
    assert stretches((170, 0), (-170, 10)) == [
        [(-170, 10), (-180.0, 5.0)],
        [(180.0, 5.0), (170, 0)],
    ]
    assert all(-180 <= x <= 180 and -90 <= y <= 90 for ring in land() for x, y in ring)


def test_units_come_from_names():
    units = [unit_of(n) for n in ("latency_ms_p50", "known_s", "traffic_bytes_s", "alive", "s")]
    assert units == ["ms", "s", "B/s", "", ""]
    assert [figure(v) for v in (1234567.0, 0.25, 1234.56, float("nan"))] == [
        *("1,234,567", "0.25", "1,234.6", "none"),
    ]
    assert Clock.of(0, 60 * SECOND).word == "s"
    assert Clock.of(0, 3600 * SECOND).word == "min"


# --- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace("known_s_max = 0.5", ""), encoding="utf-8")
    return path


def test_run_leaves_a_folder_and_says_where(small: Path, tmp_path: Path):
    said = cli.invoke(app, ["run", str(small), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["scenario"] == "small"
    place = Path("runs/small-heap-1")
    assert f"report: {place / 'report.html'}" in said.stderr
    assert (tmp_path / place / "report.html").is_file()
    assert read(place).record.command == f"meshsim run {small} --driver heap --seed 1"
    again = cli.invoke(app, ["run", str(small), "--seed", "2", "--out", str(place)])
    assert again.exit_code == 2
    assert "folder-in-use" in again.stderr
    none = cli.invoke(app, ["run", str(small), "--seed", "3", "--no-out"])
    assert none.exit_code == 0
    assert [path.name for path in Path("runs").iterdir()] == ["small-heap-1"]


def test_run_takes_a_word_of_the_scenario_otherwise(small: Path):
    said = cli.invoke(app, ["run", str(small), "--set", "packets[0].count=3", "--no-out", "--json"])
    assert json.loads(said.stdout)["metrics"]["packets_sent"] == 3
    said = cli.invoke(app, ["run", str(small), "--set", "link.los=0.1"])
    assert (said.exit_code, said.stdout) == (2, "")
    assert "unknown key 'los'; did you mean loss?, at link.los" in said.stderr
    said = cli.invoke(app, ["run", str(small), "--set", "link.loss=0.1,0.2"])
    assert "one run has one link.loss" in said.stderr


def test_plot_draws_the_report_again_and_one_figure_alone(folder: Path, tmp_path: Path):
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert cli.invoke(app, ["plot", str(folder)]).exit_code == 0
    assert (folder / "report.html").read_bytes() == before
    for suffix, begins in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        out = tmp_path / f"latency{suffix}"
        said = cli.invoke(app, ["plot", str(folder), "--figure", "latency", "--out", str(out)])
        assert said.exit_code == 0, said.stderr
        assert out.read_bytes().startswith(begins)
    said = cli.invoke(app, ["plot", str(folder), "--figure", "latncy"])
    assert said.exit_code == 2
    assert "no-figure: there is no figure 'latncy' here; did you mean latency?" in said.stderr


def test_what_a_late_computer_did_not_do_is_not_said_of_the_mesh(run: Run) -> None:
    for late_ms, loss, doubted in ((400.0, 1, False), (2_500.0, 1, True), (2_500.0, 0, False)):
        counters = {**run.outcome.counters, LATE: late_ms}
        scenario = msgspec.structs.replace(
            run.document.scenario, expect={"packets_delivered": 20.0 + loss}
        )
        result = result_of(scenario, msgspec.structs.replace(run.outcome, counters=counters), 1.0)
        assert ("2.5 s late" in doubt(result)) == bool(doubt(result)) == doubted


def test_software_is_allowed_for_in_real_time_alone(run: Run) -> None:
    scenario = msgspec.structs.replace(run.document.scenario, expect={"excess_us_p50_max": 10.0})
    bounds = {
        driver: judge(scenario, msgspec.structs.replace(run.outcome, driver=driver))[0].expected
        for driver in ("heap", "full", "real")
    }
    hops = max(len(packet.path) - 1 for packet in run.outcome.packets)
    assert bounds == {"heap": 10.0, "full": 10.0, "real": 10.0 + 10_000 * hops}
