"""The main job, whole: 72 daemons on real sockets, a route, a job that loses a satellite."""

from __future__ import annotations

from pathlib import Path

import trio

from meshd.adapters.identity import Verifier
from meshd.cli.demo import broken_promises
from meshd.daemon.demo import Demo, DemoFacts, run_demo
from sim.replay import replay


def test_the_demo_keeps_its_promises_and_replays(tmp_path: Path) -> None:
    """One run for both claims: all 72 lives are recorded, and each replays the same."""
    told: list[str] = []
    found: list[DemoFacts] = []
    demo = Demo(told.append, record=tmp_path)
    trio.run(run_demo, demo, found.append)
    (facts,) = found
    assert broken_promises(facts) == []
    assert (facts.daemons, facts.daemons_alive) == (72, 71)
    assert facts.links.up == facts.links.planned > 100
    assert facts.route.measured_rtt_ms >= facts.route.predicted_rtt_ms > 113  # the great circle
    assert facts.route.path[0] == "London" and facts.route.path[-1] == "Sydney"
    assert facts.job.completed == facts.job.shards == 24
    assert facts.job.replaced >= 1
    assert facts.job.killed not in ("", "London", "Sydney")
    assert facts.job.accuracy > 0.95
    assert any("killed" in line for line in told)
    assert not demo.folder.exists()
    verifier = Verifier()
    lives = [replay(path.read_bytes(), verifier.verify) for path in sorted(tmp_path.iterdir())]
    assert len(lives) == 72
    assert [life.difference for life in lives if not life.same] == []
    assert {life.ended for life in lives} == {"stopped"}
    assert min(life.events for life in lives) > 20
    assert sum(life.effects for life in lives) > 10_000
