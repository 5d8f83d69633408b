"""Report: a run as one page: what was asked, what came of it, every figure, how to repeat it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from meshd.ephemeris import format_time
from protocols.types import SECOND, Instant
from sim.metrics import METRICS
from sim.outcome import JobFate, Outcome
from sim.results import page
from sim.results.folder import Kept, Record
from sim.results.page import Raw
from sim.results.plots import plots_of
from sim.results.units import SHARE, figure, spoken, unit_of

JOBS_MAX, TIMELINE_MAX = 200, 500

KEYS = (
    *("packets_delivered", "packets_lost", "latency_ms_p50", "excess_us_p50", "path_changes"),
    *("jobs_completed", "shards_replaced", "known_s", "link_utilisation_worst"),
)
"""Metrics to see first, where there are any."""


def write_report(path: Path, kept: Kept) -> None:
    """Write the page, UTF-8."""
    path.write_text(report_of(kept), encoding="utf-8")


def report_of(kept: Kept) -> str:
    record, outcome = kept.record, kept.outcome
    scenario = record.asked
    return page.page(
        f"{record.scenario}, {record.driver}, seed {record.seed}",
        _opening(record, outcome),
        page.asked(scenario.question, scenario.method, scenario.expectation),
        page.keys(_keys(record)),
        page.section("Expectations", _expectations(record), _broken(record)),
        page.section("Figures", page.figures(plots_of(outcome, kept.chart))),
        page.section("What was done", _timeline(outcome)),
        page.section("Jobs", _jobs(outcome)),
        page.section("Packets lost", page.table(("code", "packets"), record.lost.items())),
        page.section("Every figure", _metrics(record)),
        page.section("Run it again", _again(record)),
        _footer(record),
    )


def _opening(record: Record, outcome: Outcome) -> str:
    facts = (
        f"{record.driver} driver",
        f"seed {record.seed}",
        f"{record.nodes:,} nodes",
        f"{record.sim_seconds:,g} s of mission time",
        f"from {_utc(outcome.start)} UTC",
    )
    met = page.verdict(record.met, "As expected", "Not as expected")
    return (
        f"<header><h1>{escape(record.scenario)}</h1>"
        f'<p class="facts">{escape(" · ".join(facts))}</p><p class="verdict">{met}</p></header>'
    )


def _keys(record: Record) -> list[tuple[str, str, str]]:
    found = []
    for name in KEYS:
        value = record.metrics.get(name, float("nan"))
        if value == value:
            of = {"packets_delivered": "packets_sent", "jobs_completed": "jobs_submitted"}.get(name)
            unit = f"of {figure(record.metrics[of])}" if of else unit_of(name)
            if unit_of(name) == SHARE:
                value, unit = 100 * value, "%"
            if not of or record.metrics[of]:
                found.append((_spoken(name), figure(value), unit))
    return found


def _spoken(name: str) -> str:
    words = {"latency_ms_p50": "Latency, median", "excess_us_p50": "Beyond prediction, median"}
    words |= {"known_s": "Everyone knew everyone", "link_utilisation_worst": "Fullest link"}
    return words.get(name, spoken(name))


def _expectations(record: Record) -> str:
    rows = []
    for item in record.expectations:
        name, bound = item.name, "="
        if name not in record.metrics:
            name, _, word = name.rpartition("_")
            bound = "≥" if word == "min" else "≤"
        unit = unit_of(name)
        rows.append(
            (
                page.verdict(item.met, "met", "not met"),
                Raw(f"<code>{escape(name)}</code>"),
                f"{bound} {figure(item.expected)} {unit}".strip(),
                f"{figure(item.measured)} {unit}".strip(),
            )
        )
    return page.table(("", "metric", "expected", "measured"), rows)


def _broken(record: Record) -> str:
    return page.table(("claims that did not hold",), [(claim,) for claim in record.broken])


def _timeline(outcome: Outcome) -> str:
    rows = [
        (_time(done.at), _after(done.at, outcome), done.what, _few(done.nodes))
        for done in outcome.happened[:TIMELINE_MAX]
    ]
    return page.table(("UTC", "after the start", "done", "to"), rows)


def _jobs(outcome: Outcome) -> str:
    rows = [_job(job, outcome) for job in outcome.jobs[:JOBS_MAX]]
    header = ("job", "submitted, UTC", "at", "status", "took, s", "shards delivered", "replaced")
    return page.table(header, rows)


def _job(job: JobFate, outcome: Outcome) -> tuple[str | float, ...]:
    took_s = float("nan") if job.ended_at is None else (job.ended_at - job.submitted_at) / SECOND
    done = sum(shard.phase == "delivered" for shard in job.shards)
    status = f"{job.status}, {job.code}" if job.code else job.status
    begun = _time(job.submitted_at)
    of = f"{done} of {len(job.shards)}"
    return (job.name or job.job, begun, job.node, status, took_s, of, float(job.replaced))


def _metrics(record: Record) -> str:
    named = [(name, value) for name, value in record.metrics.items() if name in METRICS]
    others = [(name, value) for name, value in record.metrics.items() if name not in METRICS]
    header = ("metric", "value", "unit", "what it is")
    rows = [(_code(name), value, unit_of(name), METRICS[name][0]) for name, value in named]
    rest = page.table(header[:3], [(_code(name), value, unit_of(name)) for name, value in others])
    more = f"<details><summary>Counters and notes</summary>{rest}</details>" if rest else ""
    return page.table(header, rows) + more


def _again(record: Record) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    same = (
        "The same seed gives the same trace, byte for byte."
        if record.trace_hash
        else "This driver's times depend on the machine; its outcomes should not."
    )
    rows = [("versions", versions), ("scenario digest", record.digest)]
    rows += [("trace hash", record.trace_hash)] if record.trace_hash else []
    rows += [("wall time", f"{record.wall_seconds:.1f} s")]
    files = (
        "Beside this page: result.json (all figures), samples.csv, packets.csv and jobs.csv (tidy "
        "tables), map.json, and outcome.msgpack.gz, from which `meshsim plot` draws this page anew."
    )
    return (
        f"<pre>{escape(record.command)}</pre>{page.paragraph(same)}"
        f"{page.table(('', ''), rows)}{page.paragraph(files)}"
    )


def _footer(record: Record) -> str:
    return f"<footer>meshsim {escape(record.versions.get('meshd', ''))}. Times are UTC.</footer>"


def _code(name: str) -> Raw:
    return Raw(f"<code>{escape(name)}</code>")


def _utc(at: Instant) -> str:
    """To the millisecond where there is a part of a second."""
    return format_time(at)[:-1].replace("T", " ").removesuffix(".000")


def _time(at: Instant) -> Raw:
    return Raw(f'<time datetime="{format_time(at)}">{_utc(at)}</time>')


def _after(at: Instant, outcome: Outcome) -> str:
    return f"+{(at - outcome.start) / SECOND:g} s"


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
