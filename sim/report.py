"""Report: the figures of a run, and whether what was expected came true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from meshd.scheduler.states import Phase, Status
from protocols.types import MICROSECOND, MILLISECOND, SECOND
from sim.scenario import Expect
from sim.staging import Stage

PERCENTILES = (50, 90, 99, 100)


class Packets(msgspec.Struct, frozen=True):
    sent: int
    delivered: int
    held: int
    lost: dict[str, int]
    """By code."""


class Jobs(msgspec.Struct, frozen=True):
    submitted: int
    completed: int
    shards: int
    delivered: int
    replaced: int


class Expectation(msgspec.Struct, frozen=True):
    name: str
    expected: float
    measured: float
    met: bool


class Happened(msgspec.Struct, frozen=True):
    at_s: float
    what: str
    node: str


class Report(msgspec.Struct, frozen=True):
    """Everything `meshsim run` says. Only what names the wall depends on the machine."""

    scenario: str
    seed: int
    trace_hash: str
    nodes: int
    events: int
    events_per_second: float
    """Of wall time."""
    sim_seconds: float
    wall_seconds: float
    packets: Packets
    latency_ms: dict[str, float]
    """Percentiles, and the largest ("max"); empty when nothing arrived."""
    excess_ms: dict[str, float]
    """Latency beyond what the source's router predicted at departure, likewise."""
    jobs: Jobs
    timeline: tuple[Happened, ...]
    expectations: tuple[Expectation, ...]

    @property
    def met(self) -> bool:
        return all(item.met for item in self.expectations)


def report(staged: Stage, wall_seconds: float) -> Report:
    """The figures of a run that is over. Raises Violation when a packet has vanished."""
    world, scenario = staged.world, staged.scenario
    counts = world.packets()
    arrived = world.tally.delivered()
    latency = [sent.latency_ns or 0 for sent in arrived]
    excess = [
        sent.arrived_at - sent.predicted
        for sent in arrived
        if sent.predicted is not None and sent.arrived_at is not None
    ]
    jobs = _jobs(staged)
    lost = dict(sorted(world.tally.lost().items()))
    packets = Packets(counts["sent"], counts["delivered"], counts["held"], lost)
    return Report(
        scenario=scenario.name,
        seed=world.seed,
        trace_hash=world.trace.hash,
        nodes=len(world.hosts),
        events=world.events,
        events_per_second=round(world.events / max(wall_seconds, 1e-9), 1),
        sim_seconds=(world.now - scenario.start) / SECOND,
        wall_seconds=round(wall_seconds, 3),
        packets=packets,
        latency_ms=_percentiles(latency),
        excess_ms=_percentiles(excess),
        jobs=jobs,
        timeline=tuple(
            Happened((at - scenario.start) / SECOND, what, node)
            for at, what, node in staged.happened
        ),
        expectations=_expectations(scenario.expect, packets, jobs, excess),
    )


def _jobs(staged: Stage) -> Jobs:
    world = staged.world
    views = [view for view in map(world.job, world.tally.jobs) if view is not None]
    return Jobs(
        submitted=len(world.tally.jobs),
        completed=sum(view.row.status is Status.COMPLETED for view in views),
        shards=sum(log.shards for log in world.tally.jobs.values()),
        delivered=sum(view.count(Phase.DELIVERED) for view in views),
        replaced=sum(view.replaced for view in views),
    )


def _rank(ordered: Sequence[int], percent: int) -> int:
    """Nearest rank: the smallest value that so many percent do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _percentiles(values: list[int]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    names = [(f"p{percent}" if percent < 100 else "max", percent) for percent in PERCENTILES]
    return {name: _rank(ordered, percent) / MILLISECOND for name, percent in names}


def _expectations(
    expect: Expect, packets: Packets, jobs: Jobs, excess: list[int]
) -> tuple[Expectation, ...]:
    lost = sum(packets.lost.values())
    ordered = sorted(excess) or [0]
    median, worst = _rank(ordered, 50) / MICROSECOND, _rank(ordered, 99) / MICROSECOND
    # name: (expected, measured, whether more is better)
    table: dict[str, tuple[float | None, float, bool]] = {
        "jobs_completed": (expect.jobs_completed, jobs.completed, True),
        "shards_replaced_min": (expect.shards_replaced_min, jobs.replaced, True),
        "packets_delivered_min": (expect.packets_delivered_min, packets.delivered, True),
        "packets_lost_max": (expect.packets_lost_max, lost, False),
        "excess_us_p50_max": (expect.excess_us_p50_max, median, False),
        "excess_us_p99_max": (expect.excess_us_p99_max, worst, False),
    }
    return tuple(
        Expectation(name, wanted, measured, measured >= wanted if more else measured <= wanted)
        for name, (wanted, measured, more) in table.items()
        if wanted is not None
    )


def as_json(result: Report) -> str:
    return msgspec.json.encode(result).decode()


def as_rows(result: Report) -> list[tuple[str, str]]:
    """The figures for people, as (what, how much)."""
    packets, jobs = result.packets, result.jobs
    lost = ", ".join(f"{count} {code}" for code, count in packets.lost.items()) or "none"
    rows = [
        ("seed", str(result.seed)),
        ("nodes", str(result.nodes)),
        ("simulated", f"{result.sim_seconds:g} s in {result.wall_seconds:.1f} s"),
        ("events", f"{result.events:,} ({result.events_per_second:,.0f} a second)"),
        ("packets", f"{packets.sent} sent, {packets.delivered} delivered, {packets.held} held"),
        ("packets lost", lost),
        ("latency", _spread(result.latency_ms)),
        ("beyond prediction", _spread(result.excess_ms)),
        (
            "jobs",
            f"{jobs.submitted} submitted, {jobs.completed} completed; "
            f"{jobs.delivered} of {jobs.shards} shards delivered, {jobs.replaced} replaced",
        ),
    ]
    rows += [(f"at {item.at_s:g} s", _happened(item)) for item in result.timeline]
    return [*rows, ("trace", result.trace_hash)]


def _happened(item: Happened) -> str:
    return f"{item.what} {item.node}" if item.node else f"nobody to {item.what}"


def _spread(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3f} ms" for name, value in values.items()) or "-"
