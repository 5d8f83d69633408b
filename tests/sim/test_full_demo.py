"""The mesh of `make run` in simulated time: 72 whole daemons, real workers, the same promises."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from meshd.cli.demo import broken_promises
from meshd.config import Config
from meshd.daemon import Shared
from meshd.daemon.demo import EPOCH, Demo, DemoFacts, run_demo
from meshd.daemon.plans import TICK_NS, WINDOW_NS, world_of
from meshd.ephemeris import parse_time
from meshd.recording import Happened, read
from meshd.topology import build_plan
from protocols.types import Instant
from sim.ground import Ways
from sim.laboratory import Laboratory
from sim.simclock import SimClock


def shared(clock: SimClock, seed: int, config: Config) -> Shared:
    """A laboratory under the demo's sky: light time is the medium's."""
    world, start = world_of(config), parse_time(EPOCH)
    assert world is not None
    tick = start - start % TICK_NS
    plan = build_plan(world.sky, world.policy, tick, tick + WINDOW_NS)
    return Laboratory(seed, clock, start, plan, Ways(real_workers=True))


@dataclass
class Run:
    """One demo: its facts, what it told, and every event of every daemon's life."""

    facts: DemoFacts
    told: list[str]
    events: dict[str, list[tuple[Instant, str, bytes]]]


def a_run(seed: int, folder: Path) -> Run:
    told: list[str] = []
    found: list[DemoFacts] = []
    clock = SimClock(seed)
    demo = Demo(told.append, record=folder, share=partial(shared, clock, seed))
    trio.run(run_demo, demo, found.append, clock=clock)
    assert not demo.folder.exists()
    lives = {path.stem: read(path.read_bytes()) for path in folder.glob("*.rec")}
    events = {
        name: [(e.at, e.kind, bytes(e.body)) for e in life if isinstance(e, Happened)]
        for name, life in lives.items()
    }
    return Run(found[0], told, events)


def test_the_demo_keeps_its_promises_in_simulated_time(tmp_path: Path) -> None:
    run = a_run(1, tmp_path / "one")
    facts, told = run.facts, run.told
    assert broken_promises(facts) == []
    assert (facts.daemons, facts.daemons_alive) == (72, 71)
    assert facts.links.up == facts.links.planned > 100
    assert facts.route.measured_rtt_ms >= facts.route.predicted_rtt_ms > 113  # the great circle
    assert facts.route.excess_ms < 0.01
    assert facts.job.completed == facts.job.shards == 24
    assert facts.job.replaced >= 1
    assert facts.job.accuracy > 0.95
    assert any("killed" in line for line in told)
    assert len(run.events) == 72 and sum(map(len, run.events.values())) > 5_000
    again = a_run(1, tmp_path / "again")
    assert (again.facts, again.told) == (facts, told)
    # Noise's own keys are fresh, but no frame, signature or instant of any node is another.
    assert again.events == run.events
