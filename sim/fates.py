"""Fates: what a tally knows of packets and jobs, in the words of an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from meshd.scheduler.states import JobView
from protocols.types import NodeId
from sim.jobs import as_booked
from sim.outcome import JobFate, JobStep, LetterFate, PacketFate
from sim.tally import JobLog, Posted, Sent

NameOf: TypeAlias = Callable[[NodeId], str]


def packet_fate(sent: Sent, name_of: NameOf) -> PacketFate:
    """What became of one payload, nodes by name."""
    return PacketFate(
        packet=sent.packet,
        source=name_of(sent.source),
        destination=name_of(sent.destination),
        port=sent.port,
        size_bytes=sent.size_bytes,
        sent_at=sent.at,
        predicted_at=sent.predicted,
        predicted_path=tuple(map(name_of, sent.predicted_path)),
        arrived_at=sent.arrived_at,
        path=tuple(map(name_of, sent.hops)),
        lost=sent.lost,
    )


def letter_fate(posted: Posted, name_of: NameOf) -> LetterFate:
    """What became of one letter."""
    return LetterFate(
        letter=posted.letter,
        source=name_of(posted.source),
        destination=name_of(posted.destination),
        stream=posted.stream,
        posted_at=posted.at,
        state=posted.state,
        settled_at=posted.settled_at,
    )


def job_fate(log: JobLog, view: JobView | None, name_of: NameOf) -> JobFate:
    """What became of one job; `view` is its daemon's book, None while that is down."""
    steps = tuple(
        JobStep(at, r.what, r.shard, name_of(r.node) if r.node else "", r.code)
        for at, r in log.steps
    )
    began = JobFate(log.job, log.name, name_of(log.node), log.at, "unknown", steps=steps)
    return began if view is None else as_booked(began, view, name_of)
