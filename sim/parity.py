"""Parity: whether outcomes of a scenario tell of the same decisions, and how far apart in time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocols.types import MICROSECOND, MILLISECOND, Duration
from sim.outcome import JobFate, Outcome, PacketFate

TOLERANCE_NS: dict[str, Duration] = {
    "heap": 0,
    "full": 100 * MICROSECOND,
    "real": 10 * MILLISECOND,
}
"""How much longer or shorter than under the heap the median packet may take for each hop. Full:
Noise's and yamux's bytes on the wire. Real: software and sockets, 1 to 3 ms on a quiet computer."""


class Agreement(msgspec.Struct):
    """What was compared of two outcomes, what differed, and how far apart like events are."""

    one: str
    other: str
    """The drivers."""
    decisions: int = 0
    differences: list[str] = []
    packets_ns: list[Duration] = []
    """For every packet that arrived under both: how much longer it took under the other."""
    hops_ns: list[Duration] = []
    """The same, for each of its hops."""
    jobs_ns: list[Duration] = []
    """For every job that ended under both."""

    @property
    def packets_apart_ns(self) -> Duration:
        return max(map(abs, self.packets_ns), default=0)

    @property
    def jobs_apart_ns(self) -> Duration:
        return max(map(abs, self.jobs_ns), default=0)

    @property
    def hop_apart_ns(self) -> Duration:
        """Of the median packet."""
        return rank(sorted(map(abs, self.hops_ns)), 50)

    @property
    def tolerance_ns(self) -> Duration:
        return max(TOLERANCE_NS[self.one], TOLERANCE_NS[self.other])

    @property
    def holds(self) -> bool:
        """The same decisions, in time."""
        return not self.differences and self.hop_apart_ns <= self.tolerance_ns

    def same(self, what: str, one: object, other: object) -> None:
        self.decisions += 1
        if one != other:
            self.differences.append(f"{what}: {self.one} {one}, {self.other} {other}")


def compare(one: Outcome, other: Outcome) -> Agreement:
    """Predictions, hops and refusals of packets; status, holders, epochs and codes of jobs."""
    found = Agreement(one.driver, other.driver)
    found.same("counts", (len(one.packets), len(one.jobs)), (len(other.packets), len(other.jobs)))
    for number, (a, b) in enumerate(zip(one.packets, other.packets, strict=False)):
        _packet(found, f"packet {number}, {a.source} to {a.destination},", a, b)
    if one.letters or other.letters:
        found.same("letters", len(one.letters), len(other.letters))
    for number, (e, f) in enumerate(zip(one.letters, other.letters, strict=False)):
        found.same(f"letter {number}, {e.source} to {e.destination}", e.state, f.state)
    for c, d in zip(one.jobs, other.jobs, strict=False):
        _job(found, c, d)
    return found


def rank(ordered: Sequence[Duration], percent: int) -> Duration:
    """Nearest rank; 0 of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def _packet(found: Agreement, name: str, a: PacketFate, b: PacketFate) -> None:
    found.same(f"{name} predicted", a.predicted_path, b.predicted_path)
    found.same(f"{name} path", a.path, b.path)
    found.same(f"{name} lost", a.lost, b.lost)
    if a.latency_ns is not None and b.latency_ns is not None:
        longer = b.latency_ns - a.latency_ns
        hops = max(1, len(a.path) - 1) * (2 if a.port == "ping" else 1)
        found.packets_ns.append(longer)
        found.hops_ns.append(longer // hops)


def _job(found: Agreement, a: JobFate, b: JobFate) -> None:
    found.same(f"{a.job} status", (a.status, a.code), (b.status, b.code))
    for one, other in zip(a.shards, b.shards, strict=False):
        found.same(f"{a.job}/{one.index} holder", one.holder, other.holder)
        found.same(f"{a.job}/{one.index} end", (one.phase, one.epoch), (other.phase, other.epoch))
    if a.ended_at is not None and b.ended_at is not None:
        found.jobs_ns.append((b.ended_at - b.submitted_at) - (a.ended_at - a.submitted_at))
