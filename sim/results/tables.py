"""Tables: an outcome as tidy CSV, one row a thing, for pandas, R and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocols.types import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from sim.outcome import JobFate, Outcome, PacketFate

SAMPLES = ("at_ns", "after_s", "metric", "subject", "value")
PACKETS = (
    *("packet", "source", "destination", "port", "size_bytes", "sent_at_ns", "sent_after_s"),
    *("predicted_at_ns", "arrived_at_ns", "latency_ms", "excess_us", "lost"),
    *("path", "predicted_path"),
)
JOBS = ("job", "name", "node", "at_ns", "after_s", "what", "shard", "holder", "code")


def write(folder: Path, outcome: Outcome) -> None:
    """`samples.csv`, `packets.csv` and `jobs.csv` (one row a step of a shard). UTF-8, RFC 4180.

    `_ns` are nanoseconds since 1970 UTC, `after_s` seconds since the run's start. An empty field
    is a figure there is none of. A node that holds nothing has no row of what it holds.
    """
    start = outcome.start
    rows: Iterable[tuple[Any, ...]] = (
        (s.at, (s.at - start) / SECOND, s.metric, s.subject, s.value) for s in outcome.samples
    )
    write_rows(folder / "samples.csv", SAMPLES, rows)
    write_rows(folder / "packets.csv", PACKETS, (_packet(p, start) for p in outcome.packets))
    steps = (row for job in outcome.jobs for row in _steps(job, start))
    write_rows(folder / "jobs.csv", JOBS, steps)


def write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _packet(p: PacketFate, start: Instant) -> tuple[Any, ...]:
    return (
        *(p.packet, p.source, p.destination, p.port, p.size_bytes),
        *(p.sent_at, (p.sent_at - start) / SECOND, p.predicted_at, p.arrived_at),
        *(_in(p.latency_ns, MILLISECOND), _in(p.excess_ns, MICROSECOND), p.lost),
        *(" > ".join(p.path), " > ".join(p.predicted_path)),
    )


def _steps(job: JobFate, start: Instant) -> Iterable[tuple[Any, ...]]:
    for step in job.steps:
        after_s = (step.at - start) / SECOND
        about = (step.at, after_s, step.what, step.shard, step.node, step.code)
        yield (job.job, job.name, job.node, *about)


def _in(value: Duration | None, unit_ns: int) -> float | None:
    return None if value is None else value / unit_ns
