"""Tally: what became of every packet sent and every job submitted, for reports and checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meshd.forwarding.custody import kept_in
from meshd.node import Node
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    Event,
    LetterKept,
    LetterSettled,
    Note,
    PayloadArrived,
    PayloadLost,
    ReportJob,
)
from protocols.types import Duration, Instant, JobId, NodeId, PacketId

STEPS_MAX = 100_000

PONG = "~"
"""Ends the name of the packet that answers a ping (meshd/forwarding/echo.py)."""


@dataclass(slots=True)
class Sent:
    """One payload an application gave. A ping counts as arrived when its pong is back."""

    packet: PacketId
    source: NodeId
    destination: NodeId
    port: str
    at: Instant
    size_bytes: int = 0
    predicted: Instant | None = None
    """When the source's own router expected it there; None when it saw no way."""
    predicted_path: tuple[NodeId, ...] = ()
    arrived_at: Instant | None = None
    hops: tuple[NodeId, ...] = ()
    lost: str = ""
    died: bool = False
    """A copy was in custody of a node that was killed."""

    @property
    def latency_ns(self) -> Duration | None:
        return None if self.arrived_at is None else self.arrived_at - self.at

    def foresee(self, router: Router, now: Instant) -> None:
        """Note what the source's router expects of it, sent now; a ping is expected back."""
        way = back = router.predict(self.source, self.destination, now)
        if way is not None and self.port == "ping":
            back = router.predict(self.destination, self.source, way.arrive)
        if way is not None and back is not None:
            self.predicted, self.predicted_path = back.arrive, way.path


@dataclass(slots=True)
class JobLog:
    job: JobId
    node: NodeId
    """That took the job; its book is the authority."""
    at: Instant
    shards: int
    name: str = ""
    reports: Counter[str] = field(default_factory=Counter)
    steps: list[tuple[Instant, ReportJob]] = field(default_factory=list)
    """The first STEPS_MAX reports, with their instants."""
    ended_at: Instant | None = None


@dataclass(slots=True)
class Posted:
    """One letter an application gave."""

    letter: PacketId
    source: NodeId
    destination: NodeId
    stream: str
    at: Instant
    kept: bool = False
    """Its sender has it on disk: from then on it must arrive or expire."""
    state: str = "sending"
    """Then "ok", or the code of its end."""
    settled_at: Instant | None = None


class Tally:
    """Hears every effect; keeps those that a person would ask about."""

    def __init__(self) -> None:
        self.sent: dict[PacketId, Sent] = {}
        self.jobs: dict[JobId, JobLog] = {}
        self.letters: dict[PacketId, Posted] = {}
        self.notes: Counter[str] = Counter()
        self.swallowed: set[PacketId] = set()
        """Dropped by black holes."""
        self.repeated = 0
        """Deliveries of a packet that had arrived: 0, or the destination forgot it."""

    def hear(self, effect: Effect | Event, now: Instant) -> None:
        match effect:
            case PayloadArrived():
                self._arrived(effect, now)
            case PayloadLost(packet=packet, code=code):
                self._lost(packet, code)
            case Note(code=code, fields=fields):
                self.notes[code] += 1
                if code == "packet-dropped":
                    self._lost(PacketId(str(fields["packet"])), str(fields["code"]))
            case ReportJob():
                self._report(effect, now)
            case LetterKept(letter=letter):
                self.letters[letter].kept = True
            case LetterSettled(letter=letter, code=code):
                self.letters[letter].state, self.letters[letter].settled_at = code, now

    def _arrived(self, arrived: PayloadArrived, now: Instant) -> None:
        packet = arrived.packet
        pinged = self.sent.get(PacketId(packet.removesuffix(PONG)))
        sent = self.sent.get(packet) or (pinged if arrived.port == "pong" else None)
        if sent is None:
            return
        if sent.arrived_at is not None:
            self.repeated += 1
            return
        sent.arrived_at, sent.hops = now, arrived.hops

    def _lost(self, packet: PacketId, code: str) -> None:
        sent = self.sent.get(packet) or self.sent.get(PacketId(packet.removesuffix(PONG)))
        if sent is not None:
            sent.lost = sent.lost or code

    def _report(self, report: ReportJob, now: Instant) -> None:
        log = self.jobs.get(report.job)
        if log is None:
            return
        log.reports[report.what] += 1
        if len(log.steps) < STEPS_MAX:
            log.steps.append((now, report))
        if report.what in ("completed", "failed", "cancelled"):
            log.ended_at = now

    def died(self, custody: Iterable[PacketId]) -> None:
        """A node is killed, with what it has in custody."""
        for packet in custody:
            sent = self.sent.get(PacketId(packet.removesuffix(PONG)))
            if sent is not None:
                sent.died = True

    # --- what became of it ----------------------------------------------------------------------

    def delivered(self) -> list[Sent]:
        return [sent for sent in self.sent.values() if sent.arrived_at is not None]

    def lost(self) -> Counter[str]:
        """Packets given up and never delivered, by code; "node-killed" went down with a node."""
        return Counter(sent.lost for sent in self.missing() if sent.lost)

    def missing(self) -> list[Sent]:
        return [sent for sent in self.sent.values() if sent.arrived_at is None]


def custody_of(node: Node) -> tuple[PacketId, ...]:
    """The packets a node has in custody."""
    return tuple(custody.packet.id for custody in node.forwarder.view())


def custody_on(rows: Mapping[str, bytes]) -> tuple[PacketId, ...]:
    """The packets that a node would have in custody if it started from these rows."""
    return tuple(packet.id for packet in kept_in(rows.items()))
