from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import InputError
from protocols.types import SECOND
from sim.cli import app
from sim.experiment import open_document
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import bundled, find, parse, read
from sim.scenario.setting import setting_of
from sim.scenario.steps import steps_of
from sim.world import World

SMALL = """
name = "small"
question = "Do packets arrive?"
method = '''Two satellites' worth
of time.'''
expectation = "They do."
constellation = "iridium"
stations = ["London", "Sydney"]
duration = "8s"
[link]
min_elevation_deg = 8.2
[[packets]]
count = 5
at = "5s"
[expect]
packets_delivered_min = 5
"""
TIMELINE = """
[[timeline]]
at = "1s"
do = "partition"
nodes = ["iridium-1-*", "london"]
for = "3s"
[[timeline]]
at = "2s"
do = "kill"
nodes = "iridium-2-2"
[expect]
"""
cli = CliRunner()


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.code == "bad-scenario"
    return caught.value.message


def staged(text: str) -> tuple[str, ...]:
    """What is done when, in words."""
    scenario = parse(text)
    steps = steps_of(scenario, setting_of(scenario, Path()), 1)
    return tuple(
        f"{(step.at - scenario.start) / SECOND:g} {type(step.action).__name__}" for step in steps
    )


def test_every_bundled_scenario_can_be_set_up_and_opens_with_its_question():
    assert "quickstart" in bundled()
    for path in bundled().values():
        document = open_document(str(path))
        scenario = document.scenario
        assert path.read_text(encoding="utf-8").startswith(("# Question:", '"""Question:'))
        assert scenario.question and scenario.method and scenario.expectation
        steps = steps_of(scenario, setting_of(scenario, document.folder), 1)
        assert steps or scenario.script


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("min_elevation_deg", "min_elevaton_deg", "line 11: unknown key 'min_elevaton_deg'"),
        ("min_elevation_deg", "min_elevaton_deg", "did you mean min_elevation_deg"),
        ("min_elevation_deg", "min_elevaton_deg", "at link.min_elevaton_deg"),
        ("stations", "staions", "line 8: unknown key 'staions'; did you mean stations"),
        ("count = 5", 'count = "5"', "line 13: expected `int`, got `str`, at packets[0].count"),
        ("count = 5", "count = -5", "at packets[0].count"),
        ("[[packets]]", "[packets]", "line 12: write [[packets]]"),
        ('at = "5s"', 'at = "5 parsecs"', "line 14: not a duration"),
        ('at = "5s"', 'at = "9s"', "line 14: 9s is after the end"),
        ('constellation = "iridium"', "", "one of constellation, catalog and members"),
        ('name = "small"', "", "name"),
        ("[link]", "[link", "not TOML"),
        ('duration = "8s"', 'duration = "8s"\nepoch = "yesterday"', "line 10: not a time"),
        ('["London", "Sydney"]', '["London"]', "two stations"),
        ("[expect]", TIMELINE.replace('"kill"', '"kil"'), "line 23: no action is called 'kil'"),
        ("[expect]", TIMELINE.replace('"kill"', '"kil"'), "did you mean kill"),
        ("[expect]", TIMELINE.replace("for =", "four ="), "line 20: unknown key 'four'"),
        ("[expect]", TIMELINE.replace('at = "2s"', 'at = "20s"'), "line 22: 20s is after the end"),
        ("[expect]", TIMELINE.replace('do = "kill"', ""), "line 21: object missing required field"),
    ],
)
def test_a_bad_scenario_is_refused_with_what_and_where(was: str, becomes: str, says: str):
    assert says in refusal(SMALL.replace(was, becomes))


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"London"', '"Londno"', "did you mean London"),
        ('"iridium"', '"iridum"', "did you mean iridium"),
        ("[expect]", TIMELINE.replace("iridium-2-2", "iridium-9-9"), "at timeline[1].nodes"),
        ("[expect]", TIMELINE.replace("iridium-1-*", "iridium-9*"), "at timeline[0].nodes"),
        ("count = 5", 'count = 5\npairs = [["London", "Paris"]]', "at packets[0].pairs"),
    ],
)
def test_names_that_no_one_has_are_refused(was: str, becomes: str, says: str):
    with pytest.raises(ScenarioError) as caught:
        staged(SMALL.replace(was, becomes))
    assert says in caught.value.message


def test_a_name_that_no_one_has_is_reported_with_file_and_line(tmp_path: Path):
    path = tmp_path / "lost.toml"
    path.write_text(SMALL.replace("[expect]", TIMELINE.replace("2-2", "22-2")), encoding="utf-8")
    result = cli.invoke(app, ["run", str(path)])
    assert result.exit_code == 2
    assert f"{path}:24: no node is called 'iridium-22-2'" in result.stderr


@pytest.mark.parametrize(
    ("driver", "does", "says"),
    [
        ("full", 'do = "swallow"', "cannot 'swallow': its daemons are honest"),
        ("real", 'do = "disturb"\nloss = 0.1', "cannot 'disturb': loopback TCP loses"),
        ("full", 'do = "disturb"\nreorder = 0.1', "reorder: a TCP stream shows loss, burst, rate"),
        ("full", 'do = "kill"\ntorn = true', "`torn` commits need a modelled disk"),
        ("real", 'do = "partition"\none_way = true', "carries nothing either way"),
    ],
)
def test_what_a_driver_cannot_do_is_refused_with_its_line_before_the_run(
    tmp_path: Path, driver: str, does: str, says: str
):
    path = tmp_path / "harm.toml"
    harm = f'[[timeline]]\nat = "1s"\nnodes = "iridium-1-1"\n{does}\n\n[expect]'
    path.write_text(SMALL.replace("[expect]", harm), encoding="utf-8")
    result = cli.invoke(app, ["run", str(path), "--driver", driver])
    assert result.exit_code == 2
    line = path.read_text().splitlines().index("[[timeline]]") + 1
    assert f"{path}:{line}: the {driver} driver cannot" in result.stderr
    assert says in result.stderr


def test_an_unknown_metric_is_refused_before_the_run(tmp_path: Path):
    path = tmp_path / "odd.toml"
    path.write_text(SMALL.replace("packets_delivered_min", "packets_delivred_min"))
    result = cli.invoke(app, ["run", str(path)])
    assert result.exit_code == 2
    assert f"{path}:16: no metric is called 'packets_delivred_min'" in result.stderr
    assert "did you mean packets_delivered_min" in result.stderr


def test_steps_come_in_order_and_what_lasts_ends():
    assert staged(SMALL.replace("[expect]", TIMELINE)) == (
        *("1 Partition", "2 Kill", "4 Heal"),
        *("5 Send", "5.1 Send", "5.2 Send", "5.3 Send", "5.4 Send"),
    )


def test_members_are_joined_by_contacts_and_cables():
    scenario = parse(LABORATORY)
    setting = setting_of(scenario, Path())
    assert setting.names == ("a", "b", "c")
    assert setting.plan is not None and setting.plan.n_contacts == 1
    assert setting.cables == (("b", "c", 7_000_000),)
    with pytest.raises(ScenarioError, match="no member is called 'z'"):
        setting_of(parse(LABORATORY.replace('["b", "c"]', '["b", "z"]')), Path())


LABORATORY = """
name = "laboratory"
question = "?"
method = "!"
expectation = "."
duration = "60s"
members = ["a", "b", "c"]
[[contacts]]
between = ["a", "b"]
from = "20s"
to = "50s"
[[cables]]
between = ["b", "c"]
light = "7ms"
[[packets]]
count = 3
pairs = [["a", "b"]]
"""


def test_a_laboratory_runs_and_its_packets_wait_for_the_contact(tmp_path: Path):
    path = tmp_path / "laboratory.toml"
    path.write_text(LABORATORY + "[expect]\npackets_delivered = 3\nlatency_ms_p50_min = 14900")
    result = cli.invoke(app, ["run", str(path)])
    assert result.exit_code == 0, result.stdout


SCRIPT = '''"""Question: does a packet outlive a partition?

Method: a partition between two nodes, a packet, heal.

Expectation: it arrives after the heal.
"""
SCENARIO = {
    "members": ["a", "b"],
    "cables": [{"between": ["a", "b"]}],
    "duration": "60s",
    "expect": {"waited_s_min": 10, "packets_delivered": 1},
}


async def experiment(mesh):
    await mesh.run_for("5s")
    await mesh.partition("a")
    name = await mesh.send("a", "b")
    await mesh.run_for(10)
    mesh.claim((await mesh.packet(name)).arrived_at is None, "nothing passes a partition")
    await mesh.heal()
    await mesh.run_for("20s")
    packet = await mesh.packet(name)
    mesh.measure("waited_s", packet.latency_ns / 1e9)
'''


def test_a_python_experiment_runs_by_itself(tmp_path: Path):
    path = tmp_path / "outlive.py"
    path.write_text(SCRIPT, encoding="utf-8")
    result = cli.invoke(app, ["run", str(path), "--json"])
    assert result.exit_code == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["metrics"]["waited_s"] >= 10
    path.write_text(SCRIPT.replace("is None, ", "is not None, "), encoding="utf-8")
    result = cli.invoke(app, ["run", str(path)])
    assert result.exit_code == 1
    assert "broken  nothing passes a partition" in result.stdout


def test_a_plain_function_gets_the_world(tmp_path: Path):
    path = tmp_path / "plain.py"
    text = SCRIPT[: SCRIPT.index("async def")].replace('"waited_s_min": 10, ', "")
    path.write_text(
        f"{text}\ndef experiment(world):\n    world.run_for(5 * 10**9)\n    world.send('a', 'b')\n",
        encoding="utf-8",
    )
    result = cli.invoke(app, ["run", str(path)])
    assert result.exit_code == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = ", "invalid syntax"),
        ("x = 1", "must open with Question:"),
        (SCRIPT.replace("async def experiment", "async def experimnt"), "defines no `experiment`"),
        (
            SCRIPT.replace(
                "await mesh.heal()", "import types; await types.coroutine(lambda: (yield))()"
            ),
            "awaits nothing",
        ),
        (SCRIPT.replace('"duration": "60s"', '"duraton": "60s"'), "did you mean duration"),
    ],
)
def test_a_bad_script_is_refused_with_the_reason(tmp_path: Path, text: str, says: str):
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    result = cli.invoke(app, ["run", str(path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


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
    assert (one["metrics"]["packets_sent"], one["metrics"]["packets_delivered"]) == (5, 5)
    assert (one["metrics"]["packets_held"], one["lost"]) == (0, {})
    assert one["expectations"][0]["met"]
    assert one["sim_seconds"] == 8
    assert one["trace_hash"] == other["trace_hash"] != ""
    assert one["metrics"]["events"] == other["metrics"]["events"]


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


def test_list_metrics_and_version():
    assert "quickstart" in cli.invoke(app, ["list"]).stdout
    assert "packets_delivered" in cli.invoke(app, ["metrics"]).stdout
    assert cli.invoke(app, ["--version"]).stdout.startswith("meshsim ")


def test_quickstart_does_as_it_says():
    result = cli.invoke(app, ["run", "quickstart", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 0, told["expectations"]
    assert told["metrics"]["jobs_completed"] == 1
    assert told["metrics"]["shards_replaced"] >= 1
    assert told["timeline"][0][1] == "kill"
    assert told["lost"] == {}
