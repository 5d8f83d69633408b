"""Scheduler: one machine over the book, the holder and the sink of this node."""

from __future__ import annotations

import protocols
from meshd.router.routes import Router
from meshd.scheduler.book import Book
from meshd.scheduler.holder import Holder, WorkPolicy
from meshd.scheduler.load import Loads
from meshd.scheduler.mail import JOB_PORT
from meshd.scheduler.sink import Sink
from meshd.seam import (
    Barred,
    BlobFailed,
    BlobStored,
    Effect,
    Event,
    JobCancelled,
    JobSubmitted,
    Learnt,
    Note,
    PayloadArrived,
    PayloadLost,
    RosterLoaded,
    ShardFinished,
    ShardSaid,
    Started,
    Woke,
)
from meshd.trust.trust import Trust
from protocols.errors import ProtocolError
from protocols.job import Offer, Ready, Release, Renew
from protocols.record import Beacon, Presence
from protocols.types import Instant, NodeId


class Scheduler:
    """Hands each job message to the part it concerns, and beacons what changed."""

    def __init__(self, me: NodeId, router: Router, policy: WorkPolicy, trust: Trust) -> None:
        self._me = me
        self.loads = Loads(me, router, policy.kinds)
        self.book = Book(me, router, self.loads)
        self.holder = Holder(me, policy, trust)
        self.sink = Sink(me)

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        effects = self._handle(event, now)
        if isinstance(event, Started):
            return effects  # its presence comes first, and foretells the load of an idle node
        return [*effects, *self.holder.beacon(now)]

    def next_deadline(self) -> Instant | None:
        book, holder = self.book.next_deadline(), self.holder.next_deadline()
        if book is None or holder is None:
            return holder if book is None else book
        return min(book, holder)

    def _handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Learnt() | RosterLoaded():
                self._learn(event)
                return []
            case PayloadArrived(port=port):
                return self._hear(event, now) if port == JOB_PORT else []
            case Barred(node=node):
                self.loads.bar(node)
                return []
            case PayloadLost():
                return self.book.lost(event, now)
            case JobSubmitted():
                return self.book.submit(event, now)
            case JobCancelled(job=job):
                return self.book.cancel(job, now)
            case ShardFinished():
                return self.holder.finished(event, now)
            case ShardSaid():
                return self.holder.said(event, now)
            case BlobStored(cid=cid):
                return [*self.holder.blob_stored(cid, now), *self.sink.blob_stored(cid, now)]
            case BlobFailed(cid=cid, code=code):
                held = self.holder.blob_failed(cid, code, now)
                sunk = self.sink.blob_failed(cid, code, now)
                return [*self.book.blob_failed(event, now), *held, *sunk]
            case Started(rows=rows):
                return [*self.sink.restore(rows, self._me), *self.book.restore(rows, now)]
            case _:
                assert isinstance(event, Woke)
                return [*self.holder.wake(now), *self.book.wake(now)]

    def _learn(self, event: Learnt | RosterLoaded) -> None:
        match event:
            case RosterLoaded(roster=roster):
                self.loads.load(roster)
            case Learnt(author=author, body=Beacon() as beacon, issued_at=issued_at):
                self.loads.learn(author, beacon, issued_at)
            case Learnt(author=author, body=Presence() as presence, issued_at=issued_at):
                self.loads.foretell(author, presence.idle, issued_at)
        self.holder.foretold(self.loads.foretold(self._me))

    def _hear(self, arrived: PayloadArrived, now: Instant) -> list[Effect]:
        source = arrived.source
        try:
            message = protocols.JOB.decode(arrived.payload)
        except ProtocolError as error:
            return [Note(error.code, {"node": source, "message": error.message})]
        match message:
            case Offer():
                return self.holder.offered(source, message, now)
            case Release():
                return self.holder.released(source, message, now)
            case Ready():
                return self.sink.ready(source, message, now)
            case Renew():
                return self.book.renewed(source, message, now)
            case _:
                return self.book.hear(source, message, now)
