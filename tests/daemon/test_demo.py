"""The main job, whole: 72 daemons on real sockets, a route, a job that loses a satellite."""

from __future__ import annotations

import trio

from meshd.cli.demo import broken_promises
from meshd.daemon.demo import Demo, DemoFacts, run_demo


def test_the_demo_keeps_its_promises() -> None:
    told: list[str] = []
    found: list[DemoFacts] = []
    demo = Demo(told.append)
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
