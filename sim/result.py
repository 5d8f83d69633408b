"""Result: what one run says: its figures, and whether what was expected came true."""

from __future__ import annotations

import msgspec

from meshd.scheduler.states import Phase
from protocols.types import SECOND
from sim.metrics import judge, measure
from sim.outcome import LATE, Outcome
from sim.scenario.schema import Expectation, Scenario

DOUBTED_MS = 1_000.0
"""What is not met by a run that was later than this may be the computer's doing."""


class Result(msgspec.Struct, frozen=True):
    """Everything `meshsim run` says. Only what names the wall depends on the machine."""

    scenario: str
    driver: str
    seed: int
    trace_hash: str
    nodes: int
    sim_seconds: float
    wall_seconds: float
    metrics: dict[str, float]
    """By name; null where there was nothing to measure."""
    lost: dict[str, int]
    """Packets that were given up, by code."""
    timeline: tuple[tuple[float, str, tuple[str, ...]], ...]
    """(seconds after the start, what was done, to whom)."""
    expectations: tuple[Expectation, ...]
    broken: tuple[str, ...]

    @property
    def met(self) -> bool:
        return not self.broken and all(item.met for item in self.expectations)


def doubt(result: Result) -> str:
    """Why what was not met says nothing of the mesh; "" where it does."""
    late_ms = result.metrics.get(LATE, 0.0)
    if result.met or late_ms <= DOUBTED_MS:
        return ""
    return (
        f"this computer was {late_ms / 1_000:.1f} s late at worst, so what was not met may be its"
        " doing. Try a lower --speed, more --processes, or --driver full, which needs no real time"
    )


def result_of(scenario: Scenario, outcome: Outcome, wall_seconds: float) -> Result:
    """The figures of a run that is over. Raises ScenarioError for an unknown metric."""
    lost: dict[str, int] = {}
    for packet in sorted(outcome.packets, key=lambda packet: packet.lost):
        if packet.lost and packet.arrived_at is None:
            lost[packet.lost] = lost.get(packet.lost, 0) + 1
    return Result(
        scenario=scenario.name,
        driver=outcome.driver,
        seed=outcome.seed,
        trace_hash=outcome.trace_hash,
        nodes=len(outcome.nodes),
        sim_seconds=(outcome.finish - outcome.start) / SECOND,
        wall_seconds=round(wall_seconds, 3),
        metrics=measure(outcome),
        lost=lost,
        timeline=tuple(
            ((done.at - outcome.start) / SECOND, done.what, done.nodes) for done in outcome.happened
        ),
        expectations=judge(scenario, outcome),
        broken=outcome.broken,
    )


def as_rows(result: Result, outcome: Outcome) -> list[tuple[str, str]]:
    """The figures for people, as (what, how much)."""
    got = result.metrics
    lost = ", ".join(f"{count} {code}" for code, count in result.lost.items()) or "none"
    events = got.get("events", 0.0)
    speed = f" ({events / max(result.wall_seconds, 1e-9):,.0f} a second)" if events else ""
    shards = sum(len(job.shards) for job in outcome.jobs)
    delivered = sum(s.phase == Phase.DELIVERED for job in outcome.jobs for s in job.shards)
    rows = [
        ("driver, seed", f"{result.driver}, {result.seed}"),
        ("nodes", str(result.nodes)),
        ("simulated", f"{result.sim_seconds:g} s in {result.wall_seconds:.1f} s"),
        ("events", f"{events:,.0f}{speed}"),
        (
            "packets",
            f"{got['packets_sent']:.0f} sent, {got['packets_delivered']:.0f} delivered, "
            f"{got['packets_held']:.0f} held",
        ),
        ("packets lost", lost),
        ("latency", _spread(got, "latency_ms", "ms")),
        ("beyond prediction", _spread(got, "excess_us", "us")),
        (
            "jobs",
            f"{got['jobs_submitted']:.0f} submitted, {got['jobs_completed']:.0f} completed; "
            f"{delivered} of {shards} shards delivered, {got['shards_replaced']:.0f} replaced",
        ),
    ]
    if LATE in outcome.counters:
        late = f"at worst {outcome.counters[LATE]:.1f} ms"
        rows.append(("behind real time", f"{late}: what this computer did not keep up with"))
    for at, what, nodes in result.timeline:
        rows.append((f"at {at:g} s", f"{what} {_few(nodes)}"))
    return [*rows, ("trace", result.trace_hash)] if result.trace_hash else rows


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _spread(metrics: dict[str, float], name: str, unit: str) -> str:
    values = {word: metrics[f"{name}_{word}"] for word in ("p50", "p90", "p99", "worst")}
    known = [f"{word} {value:.3f} {unit}" for word, value in values.items() if value == value]
    return ", ".join(known) or "-"
