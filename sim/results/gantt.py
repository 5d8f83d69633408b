"""Gantt: who had which shard when, one figure a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from protocols.types import Instant
from sim.outcome import JobFate, JobStep, Outcome
from sim.results.drawing import (
    BLUE,
    GREEN,
    GREY,
    RED,
    Axes,
    Clock,
    Plot,
    Size,
    legend,
)
from sim.results.series import timeline

JOBS_MAX = 6
"""So many jobs have a figure of their own; with more there is one of all jobs too."""
SHARDS_MAX, NAMED_MAX, OVERVIEW_MAX = 200, 40, 200

PHASES = {"offered": GREY, "held": BLUE, "finished": GREEN}
"""What a shard is from this step on, and its colour."""
WORDS = {
    "offered": "offered",
    "held": "held: queued or at work",
    "finished": "finished: result on its way",
}


class Span(NamedTuple):
    """A shard in one phase at one holder."""

    shard: int
    phase: str
    holder: str
    begin: Instant
    finish: Instant


def spans_of(job: JobFate, until: Instant) -> list[Span]:
    """The life of every shard. What has not ended by `until` is cut there."""
    open_: dict[int, JobStep] = {}
    spans = []
    for step in job.steps:
        if step.shard is None:
            continue
        before = open_.pop(step.shard, None)
        if before is not None:
            spans.append(Span(step.shard, before.what, before.node, before.at, step.at))
        if step.what in PHASES:
            open_[step.shard] = step
    end = until if job.ended_at is None else job.ended_at
    for shard, step in open_.items():
        spans.append(Span(shard, step.what, step.node, step.at, max(step.at, end)))
    return sorted(spans)


def job_plots(outcome: Outcome, clock: Clock) -> list[Plot]:
    jobs = [job for job in outcome.jobs if any(step.shard is not None for step in job.steps)]
    overview = [_overview(outcome, clock)] if len(outcome.jobs) > 1 else []
    return [*overview, *(_shards(job, outcome, clock) for job in jobs[:JOBS_MAX])]


def _overview(outcome: Outcome, clock: Clock) -> Plot:
    jobs = outcome.jobs[:OVERVIEW_MAX]

    def paint(axes: Axes) -> None:
        for row, job in enumerate(jobs):
            begin, end = clock.after(job.submitted_at), clock.after(job.ended_at or outcome.finish)
            colour = {"completed": GREEN, "failed": RED}.get(job.status, GREY)
            axes.barh(row, end - begin, left=begin, height=0.7, color=colour)
        named = jobs if len(jobs) <= NAMED_MAX else ()
        axes.set_yticks(range(len(named)), [job.name or job.job for job in named], fontsize=7.5)
        axes.set_ylim(len(jobs) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        timeline(axes, clock, outcome)

    caption = "From submit to end: green completed, red failed, grey neither."
    return Plot("jobs", "Jobs", caption, paint, Size(height_in=_height(len(jobs))))


def _shards(job: JobFate, outcome: Outcome, clock: Clock) -> Plot:
    shown = sorted({step.shard for step in job.steps if step.shard is not None})[:SHARDS_MAX]
    row_of = {shard: row for row, shard in enumerate(shown)}
    spans = [span for span in spans_of(job, outcome.finish) if span.shard in row_of]

    def paint(axes: Axes) -> None:
        for phase, colour in PHASES.items():
            rows = [span for span in spans if span.phase == phase]
            axes.barh(
                [row_of[span.shard] for span in rows],
                [clock.after(span.finish) - clock.after(span.begin) for span in rows],
                left=[clock.after(span.begin) for span in rows],
                height=0.72,
                color=colour,
                label=WORDS[phase],
            )
        again = [step for step in job.steps if step.what == "replaced" and step.shard in row_of]
        if again:
            cross = {"linestyle": "none", "marker": "x", "markersize": 6, "color": RED, "zorder": 4}
            rows_y = [row_of[step.shard] for step in again if step.shard is not None]
            axes.plot([clock.after(s.at) for s in again], rows_y, label="placed anew", **cross)
        if len(shown) <= NAMED_MAX:
            _holders(axes, clock, row_of, spans)
        axes.set_yticks(range(len(shown)), [str(shard) for shard in shown], fontsize=7.5)
        if len(shown) > NAMED_MAX:
            axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_ylabel("shard")
        axes.grid(visible=False, axis="y")
        timeline(axes, clock, outcome)
        legend(axes, 4)

    said = f", {job.code}" if job.code else ""
    caption = (
        f"Submitted at {job.node}; {job.status}{said}. As the job's own daemon heard of it, so "
        "that a step is later than it was by light time. Names are holders."
    )
    title = f"Shards of {job.name or job.job}"
    size = Size(8.6, _height(len(shown)))
    return Plot(f"gantt-{job.job}", title, caption, paint, size, wide=True)


def _holders(axes: Axes, clock: Clock, row_of: dict[int, int], spans: Iterable[Span]) -> None:
    for span in spans:
        if span.phase == "held":
            place = (clock.after(span.begin), row_of[span.shard])
            axes.annotate(f" {span.holder}", place, va="center", fontsize=6.5, color="#ffffff")


def _height(rows: int) -> float:
    return min(12.0, max(1.6, 1.0 + 0.16 * rows))
