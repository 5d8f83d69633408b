"""Metrics: the figures of an outcome by name, and whether what was expected came true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from meshd.scheduler.states import Phase, Status
from protocols.types import MICROSECOND, MILLISECOND, SECOND
from sim.outcome import Outcome, Sample
from sim.parity import TOLERANCE_NS
from sim.scenario.errors import ScenarioError, nearest
from sim.scenario.schema import Expectation, Scenario


def _rank(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that so many percent do not exceed; NaN for none."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)] if ordered else float("nan")


@dataclass(frozen=True)
class _Figures:
    """What several metrics need, computed once."""

    outcome: Outcome

    @cached_property
    def latency_ns(self) -> list[int]:
        found = (packet.latency_ns for packet in self.outcome.packets)
        return sorted(value for value in found if value is not None)

    @cached_property
    def excess_ns(self) -> list[int]:
        found = (packet.excess_ns for packet in self.outcome.packets)
        return sorted(value for value in found if value is not None)

    @cached_property
    def letter_ns(self) -> list[int]:
        """From the posting to the receipt."""
        ended = ((each.settled_at, each) for each in self.outcome.letters)
        return sorted(
            at - each.posted_at for at, each in ended if at is not None and each.state == "ok"
        )

    @cached_property
    def job_ns(self) -> list[int]:
        ended = ((job.ended_at, job.submitted_at) for job in self.outcome.jobs)
        return sorted(end - begin for end, begin in ended if end is not None)

    @cached_property
    def series(self) -> dict[str, list[Sample]]:
        """Samples of the whole mesh, by metric."""
        found: dict[str, list[Sample]] = {}
        for sample in self.outcome.samples:
            if not sample.subject:
                found.setdefault(sample.metric, []).append(sample)
        return found

    def last(self, metric: str) -> float:
        rows = self.series.get(metric)
        return rows[-1].value if rows else float("nan")

    def most(self, metric: str, of_none: float = float("nan")) -> float:
        return max((sample.value for sample in self.series.get(metric, ())), default=of_none)

    def first_s(self, metric: str, at_least: float) -> float:
        """Seconds from the start until a sample first reached this."""
        for sample in self.series.get(metric, ()):
            if sample.value >= at_least:
                return (sample.at - self.outcome.start) / SECOND
        return float("nan")

    @cached_property
    def path_changes(self) -> int:
        """How often a packet took another path than the one before it between the same two."""
        last: dict[tuple[str, str], tuple[str, ...]] = {}
        changes = 0
        for packet in self.outcome.packets:
            if packet.path:
                pair = (packet.source, packet.destination)
                changes += last.get(pair, packet.path) != packet.path
                last[pair] = packet.path
        return changes

    def lost(self) -> int:
        return sum(
            packet.lost != "" and packet.arrived_at is None for packet in self.outcome.packets
        )


_Measure: TypeAlias = Callable[[_Figures], float]


def _percentiles(name: str, of: str, unit_ns: int) -> dict[str, tuple[str, _Measure]]:
    """p50, p90, p99 and max of a sorted list of nanoseconds, in a unit."""

    def measure(percent: float) -> _Measure:
        return lambda figures: _rank(getattr(figures, of), percent) / unit_ns

    words = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "worst": 100.0}
    return {
        f"{name}_{word}": (f"{name.rpartition('_')[0]}, {word}", measure(percent))
        for word, percent in words.items()
    }


METRICS: dict[str, tuple[str, _Measure]] = {
    "packets_sent": ("payloads given to a node", lambda f: len(f.outcome.packets)),
    "packets_delivered": ("payloads that arrived", lambda f: len(f.latency_ns)),
    "packets_lost": ("payloads given up, with a code", lambda f: f.lost()),
    "packets_held": (
        "payloads still in custody at the end",
        lambda f: len(f.outcome.packets) - len(f.latency_ns) - f.lost(),
    ),
    "packets_repeated": (
        "deliveries of what had arrived before",
        lambda f: f.outcome.counters.get("packets_repeated", 0.0),
    ),
    **_percentiles("latency_ms", "latency_ns", MILLISECOND),
    **_percentiles("excess_us", "excess_ns", MICROSECOND),
    "letters_posted": ("letters given to a node", lambda f: len(f.outcome.letters)),
    "letters_delivered": ("letters with a receipt", lambda f: len(f.letter_ns)),
    **_percentiles("letter_ms", "letter_ns", MILLISECOND),
    "jobs_submitted": ("jobs given to a node", lambda f: len(f.outcome.jobs)),
    "jobs_completed": (
        "jobs with every result delivered",
        lambda f: sum(job.status == Status.COMPLETED for job in f.outcome.jobs),
    ),
    "shards_delivered": (
        "results at their sinks",
        lambda f: sum(s.phase == Phase.DELIVERED for job in f.outcome.jobs for s in job.shards),
    ),
    "shards_replaced": (
        "shards placed anew",
        lambda f: sum(job.replaced for job in f.outcome.jobs),
    ),
    "job_s_worst": (
        "seconds from submit to the end, the slowest",
        lambda f: _rank(f.job_ns, 100) / SECOND,
    ),
    "job_s_p50": ("seconds from submit to the end, median", lambda f: _rank(f.job_ns, 50) / SECOND),
    "alive": ("nodes alive at the end", lambda f: f.last("alive")),
    "links_missing": (
        "links planned at the end and not up",
        lambda f: f.last("links_planned") - f.last("links_up"),
    ),
    "known_share": (
        "membership known to the living at the end, 0 to 1",
        lambda f: f.last("known_share"),
    ),
    "known_s": ("seconds until everyone knew everyone", lambda f: f.first_s("known_share", 1.0)),
    "held_most": (
        "most packets in custody of one node, sampled",
        lambda f: f.most("held_max", 0.0),
    ),
    "path_changes": (
        "packets that took another path than the one before between the same two",
        lambda f: f.path_changes,
    ),
    "link_utilisation_worst": (
        "of what the fullest link could carry in a sample's time, what it did, 0 to 1",
        lambda f: f.most("link_utilisation_worst"),
    ),
    "broken": ("claims that did not hold", lambda f: len(f.outcome.broken)),
    "events": ("events handled", lambda f: f.outcome.counters.get("events", float("nan"))),
}
"""Name to (what it is, how it is computed). NaN where there is nothing to measure."""


def measure(outcome: Outcome) -> dict[str, float]:
    """Every metric of an outcome, its counters, and what its script measured."""
    figures = _Figures(outcome)
    return {
        **{name: float(compute(figures)) for name, (_, compute) in METRICS.items()},
        **outcome.counters,
        **outcome.measured,
    }


def judge(scenario: Scenario, outcome: Outcome) -> tuple[Expectation, ...]:
    """The clauses of `expect`, each met or not. Raises ScenarioError for an unknown metric."""
    values = measure(outcome)
    clauses = []
    for clause, expected in scenario.expect.items():
        name, holds = _clause(clause, values)
        if name.startswith("excess_us") and clause.endswith("_max"):
            expected += _software_us(outcome)
        value = values[name]
        clauses.append(Expectation(clause, expected, value, holds(value, expected)))
    return tuple(clauses)


def _software_us(outcome: Outcome) -> float:
    """What sockets and software may add to a real packet: for each hop of the longest way."""
    if outcome.driver != "real":
        return 0.0
    hops = max((len(packet.path) - 1 for packet in outcome.packets if packet.path), default=0)
    return hops * TOLERANCE_NS["real"] / MICROSECOND


def check_expectations(scenario: Scenario) -> None:
    """Refuse clauses about metrics that no run could have, before it is run.

    What a script measures is known only after it has run.
    """
    for clause in scenario.expect:
        if not scenario.script:
            _clause(clause, {name: 0.0 for name in METRICS})


def _clause(clause: str, values: dict[str, float]) -> tuple[str, Callable[[float, float], bool]]:
    """The metric of a clause, and how its value is compared: equal, `_min` or `_max`."""
    if clause in values:
        return clause, lambda value, expected: value == expected
    name, _, bound = clause.rpartition("_")
    if name in values and bound == "min":
        return name, lambda value, expected: value >= expected
    if name in values and bound == "max":
        return name, lambda value, expected: value <= expected
    hint = nearest(clause, [*values, *(f"{n}_{b}" for n in values for b in ("min", "max"))])
    raise ScenarioError(f"no metric is called {clause!r}{hint}", f"expect.{clause}")
