"""The swarm in small: drawn scenarios hold every promise, write as TOML, and shrink."""

from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from meshd.scheduler.book import Book
from protocols.types import SECOND
from sim.cli import app
from sim.faults.clock import SkewedClock
from sim.faults.noise import Noise, mangled
from sim.faults.registry import FAULTS, TREASONS
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import parse
from sim.scenario.writing import to_toml
from sim.swarm.draw import draw
from sim.swarm.runner import run_swarm
from sim.swarm.shrink import Shrinker, without
from sim.swarm.sometimes import SOMETIMES, never
from sim.swarm.trial import try_scenario, try_seed
from tests.mutants.hunt import MUTANTS

SEEDS = range(1_000, 1_060)


def test_every_promise_holds_in_sixty_drawn_meshes():
    tidings = run_swarm(SEEDS, 2, lambda tidings: None)
    assert [(trial.seed, trial.about) for trial in tidings.failed] == []
    assert tidings.seeds == 60
    assert tidings.rerun == 6
    assert tidings.checks > 500_000
    assert len(never(tidings.saw)) < len(SOMETIMES) // 2


def test_every_drawn_scenario_reads_back_as_it_was_written():
    for seed in range(100):
        scenario = draw(seed).scenario
        assert parse(to_toml(scenario)) == scenario


def test_every_fault_is_drawn_by_some_seed():
    drawn = set().union(*(draw(seed).faults for seed in range(100)))
    assert drawn == {*FAULTS, *TREASONS}


def test_a_seed_draws_and_runs_the_same_again():
    assert draw(5) == draw(5)
    assert try_seed(5) == try_seed(5)


def test_a_planted_bug_is_found_and_shrunk():
    with MUTANTS["acknowledge-before-commit"].plant():
        drawn = draw(1)
        law = try_seed(1).broken
        assert law == "an accepted job is on disk"
        smallest = Shrinker(drawn.scenario, 1, law).run()
        assert try_scenario(smallest, 1).broken == law
        assert len(smallest.jobs) == 1
        assert smallest.timeline == smallest.packets == smallest.letters == ()
        assert len(smallest.members) <= 2
        assert parse(to_toml(smallest)) == smallest
    assert try_scenario(smallest, 1).broken != law
    assert Book.submit.__qualname__ == "Book.submit"


def test_a_scenario_without_a_member_names_it_nowhere():
    scenario = next(s for s in (draw(seed).scenario for seed in range(20)) if s.letters)
    gone = scenario.letters[0].pairs[0][0]
    left = without(scenario, gone)
    assert f'"{gone}"' not in msgspec.json.encode(left).decode()


def test_no_harm_is_done_after_liveness_begins():
    scenario = msgspec.structs.replace(draw(3).scenario, jobs=(), packets=())
    text = to_toml(scenario) + '\n[[timeline]]\nat = "61s"\ndo = "kill"\nnodes = "n0"\n'
    with pytest.raises(ScenarioError, match="does harm after liveness"):
        parse(text)


def test_a_seed_alone_says_what_it_drew():
    result = CliRunner().invoke(app, ["swarm", "--seeds", "1", "--from", "4", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert 'name = "swarm-4"' in result.output
    assert "every promise held" in result.output


def test_a_clock_set_back_stands_until_it_is_there_again():
    clock = SkewedClock(since=100 * SECOND, offset_ns=-5 * SECOND, told=100 * SECOND)
    assert clock.read(102 * SECOND) == 100 * SECOND
    assert clock.read(106 * SECOND) == 101 * SECOND


@pytest.mark.parametrize("ppm", [-20_000, -1, 0, 7, 20_000])
def test_a_drifting_clock_is_woken_when_it_shows_the_time(ppm: int):
    clock = SkewedClock(since=100 * SECOND, drift_ppm=ppm)
    for shown in range(100 * SECOND, 100 * SECOND + 10_000, 37):
        at = clock.when(shown)
        assert SkewedClock(clock.since, 0, ppm).read(at) >= shown


def test_a_burst_loses_everything_for_a_second():
    noise = Noise(burst=1.0)
    assert noise.loses((1, 1, 0, 1), 0)
    noise.burst = 0.0
    assert noise.loses((1, 1, 0, 2), SECOND - 1)
    assert not noise.loses((1, 1, 0, 3), SECOND)


def test_a_mangled_frame_differs():
    assert all(mangled(b"abcdef", chance) != b"abcdef" for chance in range(1, 27))
