"""Outcome: what became of a run, in the same words whichever driver carried it."""

from __future__ import annotations

import msgspec

from protocols.types import Duration, Instant

LATE = "late_ms_worst"
"""A counter of the real driver: the most by which something due was done late."""


class PacketFate(msgspec.Struct, frozen=True):
    """One payload an application sent. A ping has arrived when its answer is back."""

    packet: str
    source: str
    destination: str
    port: str
    size_bytes: int
    sent_at: Instant
    predicted_at: Instant | None = None
    """When the source's own router expected it there; None when it saw no way."""
    predicted_path: tuple[str, ...] = ()
    arrived_at: Instant | None = None
    path: tuple[str, ...] = ()
    """The nodes it went through, source and destination included; empty until it arrives."""
    lost: str = ""
    """The code of its end when it did not arrive."""

    @property
    def latency_ns(self) -> Duration | None:
        return None if self.arrived_at is None else self.arrived_at - self.sent_at

    @property
    def excess_ns(self) -> Duration | None:
        """Latency beyond what was predicted when it was sent."""
        if self.arrived_at is None or self.predicted_at is None:
            return None
        return self.arrived_at - self.predicted_at


class LetterFate(msgspec.Struct, frozen=True):
    """One letter an application sent. It is `delivered` when its receipt is back."""

    letter: str
    source: str
    destination: str
    stream: str
    posted_at: Instant
    state: str
    """"sending", "ok", or the code of its end."""
    settled_at: Instant | None = None


class ShardFate(msgspec.Struct, frozen=True):
    index: int
    phase: str
    holder: str
    """Whoever holds it, or held it last; "" when nobody ever did."""
    epoch: int


class JobStep(msgspec.Struct, frozen=True):
    """One thing the job's own daemon reported: `what` as in `meshd.seam.ReportJob`."""

    at: Instant
    what: str
    shard: int | None = None
    node: str = ""
    code: str = ""


class JobFate(msgspec.Struct, frozen=True):
    job: str
    name: str
    node: str
    """That took the job."""
    submitted_at: Instant
    status: str
    """As the book of its daemon has it; "unknown" while that is down."""
    code: str = ""
    ended_at: Instant | None = None
    shards: tuple[ShardFate, ...] = ()
    replaced: int = 0
    steps: tuple[JobStep, ...] = ()


class Happened(msgspec.Struct, frozen=True):
    """What the timeline did: `nodes` are those it was done to, empty when nobody was there."""

    at: Instant
    what: str
    nodes: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One figure at one instant: a row of a tidy table."""

    at: Instant
    metric: str
    subject: str
    """A node, a link ("a|b"), or "" for the whole mesh."""
    value: float


class Outcome(msgspec.Struct, frozen=True):
    """Everything a driver can tell of a run. Instants are nanoseconds of mission time."""

    driver: str
    seed: int
    start: Instant
    finish: Instant
    nodes: tuple[str, ...]
    packets: tuple[PacketFate, ...] = ()
    jobs: tuple[JobFate, ...] = ()
    letters: tuple[LetterFate, ...] = ()
    happened: tuple[Happened, ...] = ()
    samples: tuple[Sample, ...] = ()
    counters: dict[str, float] = {}
    """What was counted over the whole run: events, frames, bytes..."""
    measured: dict[str, float] = {}
    """What the experiment's own script measured."""
    broken: tuple[str, ...] = ()
    """Claims of the script, and invariants, that did not hold."""
    trace_hash: str = ""
    """Over every event and effect, where the driver is exact; else empty."""
