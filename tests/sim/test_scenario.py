from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import InputError
from sim.cli import app
from sim.scenario import bundled, find, parse, read
from sim.staging import stage
from sim.world import World

SMALL = """
name = "small"
question = "Do packets arrive?"
method = "Two satellites' worth of time."
expectation = "They do."
constellation = "iridium"
stations = ["London", "Sydney"]
duration = "8s"
[links]
min_elevation_deg = 8.2
[packets]
count = 5
at = "5s"
[expect]
packets_delivered_min = 5
"""
cli = CliRunner()


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.code == "bad-scenario"
    return caught.value.message


def test_every_bundled_scenario_can_be_staged_and_opens_with_its_question():
    assert "quickstart" in bundled()
    for path in bundled().values():
        scenario = read(path)
        assert path.read_text(encoding="utf-8").startswith("# Question:")
        assert scenario.question and scenario.method and scenario.expectation
        assert stage(scenario, 1, path.parent).world.hosts


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("min_elevation_deg", "min_elevaton_deg", "did you mean min_elevation_deg"),
        ("min_elevation_deg", "min_elevaton_deg", "at $.links"),
        ("stations", "staions", "did you mean stations"),
        ("count = 5", 'count = "5"', "at `$.packets.count`"),
        ("count = 5", "count = -5", "at `$.packets.count`"),
        ('at = "5s"', 'at = "5 parsecs"', "at $.packets"),
        ('at = "5s"', 'at = "9s"', "after the end"),
        ('constellation = "iridium"', "", "either a constellation or a catalog"),
        ('name = "small"', "", "name"),
        ("[packets]", "[packets", "not TOML"),
        ('duration = "8s"', 'duration = "8s"\nepoch = "yesterday"', "at $.epoch"),
        ('["London", "Sydney"]', '["London"]', "two stations"),
        ("[expect]", '[[timeline]]\nat = "1s"\n[expect]', "either kill or restart"),
    ],
)
def test_a_bad_scenario_is_refused_with_what_and_where(was: str, becomes: str, says: str):
    assert says in refusal(SMALL.replace(was, becomes))


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"London"', '"Londno"', "did you mean London"),
        ('"iridium"', '"iridum"', "did you mean iridium"),
        ("[expect]", '[[timeline]]\nat = "1s"\nkill = "iridium-9-9"\n[expect]', "$.timeline"),
        ("count = 5", 'count = 5\npairs = [["London", "Paris"]]', "$.packets.pairs"),
    ],
)
def test_names_that_no_one_has_are_refused_while_staging(was: str, becomes: str, says: str):
    with pytest.raises(InputError) as caught:
        stage(parse(SMALL.replace(was, becomes)), 1, Path())
    assert caught.value.code == "bad-scenario"
    assert says in caught.value.message


def test_an_unknown_scenario_offers_the_nearest():
    with pytest.raises(InputError, match="did you mean quickstart"):
        find("quikstart")
    with pytest.raises(InputError, match="cannot read"):
        read(find("no/such.toml"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_run_prints_one_json_object_and_the_same_for_the_same_seed(small: Path):
    said = [cli.invoke(app, ["run", str(small), "--seed", "3", "--json"]) for _ in range(2)]
    one, other = (json.loads(result.stdout) for result in said)
    assert [result.exit_code for result in said] == [0, 0]
    assert one["packets"] == {"sent": 5, "delivered": 5, "held": 0, "lost": {}}
    assert one["expectations"][0]["met"]
    assert one["sim_seconds"] == 8
    assert (one["trace_hash"], one["events"]) == (other["trace_hash"], other["events"])


def test_exit_codes_tell_unmet_unusable_and_interrupted(
    small: Path, monkeypatch: pytest.MonkeyPatch
):
    unmet = small.with_name("unmet.toml")
    unmet.write_text(SMALL.replace("delivered_min = 5", "delivered_min = 6"), encoding="utf-8")
    result = cli.invoke(app, ["run", str(unmet)])
    assert result.exit_code == 1
    assert "not met" in result.stdout
    result = cli.invoke(app, ["run", "nonesuch"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "bad-scenario" in result.stderr
    assert cli.invoke(app, ["run"]).exit_code == 2

    def interrupt(world: World, instant: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(World, "run_until", interrupt)
    assert cli.invoke(app, ["run", str(small)]).exit_code == 130


def test_list_and_version():
    listed = cli.invoke(app, ["list"])
    assert "quickstart" in listed.stdout
    version = cli.invoke(app, ["--version"])
    assert version.stdout.startswith("meshsim ")


def test_quickstart_does_as_it_says():
    result = cli.invoke(app, ["run", "quickstart", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 0, told["expectations"]
    assert told["jobs"]["completed"] == 1
    assert told["jobs"]["replaced"] >= 1
    assert told["timeline"][0]["what"] == "kill"
    assert told["packets"]["lost"] == {}
