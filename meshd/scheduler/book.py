"""Book: the jobs this daemon accepted. It places their shards, watches leases, settles results."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from meshd.router.routes import Router
from meshd.scheduler import stages
from meshd.scheduler.ledger import Job, Ledger
from meshd.scheduler.load import Loads
from meshd.scheduler.log import Log
from meshd.scheduler.mail import Mail
from meshd.scheduler.placement import place
from meshd.scheduler.states import JobRow, JobView, Phase, Status, specs
from meshd.seam import (
    BlobFailed,
    BlobUnwanted,
    BlobWanted,
    Effect,
    JobSubmitted,
    Note,
    PayloadLost,
    ReportJob,
)
from protocols.job import (
    Accept,
    Decline,
    Finished,
    Leased,
    Ready,
    Release,
    Renew,
    Said,
    Stored,
    Unfetched,
)
from protocols.types import SECOND, Duration, Instant, JobId, NodeId

JOBS_MAX = 1_024

LEASE_NS = 6 * SECOND
"""Beyond the trip: how long a holder may be silent. It renews three times as often."""

RESTORED_NS = 30 * SECOND
"""After a restart, who holds what was made for others has so long to be heard of."""

OFFER_NS = 6 * SECOND
DELIVERY_NS = 20 * SECOND
LOOK_AGAIN_NS = SECOND

FAILURES_MAX = 3
"""A shard that fails this often, on whatever nodes, fails its job."""

DELIVERIES_MAX = 3

Word: TypeAlias = Accept | Decline | Said | Finished | Stored | Unfetched
"""What a holder or a sink says of one shard."""


class Book:
    """Every promise is persisted before it is made; every shard fails and moves alone."""

    def __init__(self, me: NodeId, router: Router, loads: Loads) -> None:
        self._me = me
        self._router = router
        self._loads = loads
        self._mail = Mail(me, "j")
        self._ledger = Ledger(me)

    def view(self) -> tuple[JobView, ...]:
        return tuple(job.view() for job in self._ledger.jobs.values())

    def log(self, name: JobId) -> Log:
        job = self._ledger.jobs.get(name)
        return job.log if job else Log()

    def find(self, name: JobId) -> JobView | None:
        job = self._ledger.jobs.get(name)
        return job.view() if job else None

    # --- what happens ---------------------------------------------------------------------------

    def restore(self, rows: tuple[tuple[str, bytes], ...], now: Instant) -> list[Effect]:
        """Take up again what the store remembers."""
        effects: list[Effect] = []
        for job in self._ledger.restore(rows):
            if job.running:
                job.place_at = now
                for shard, _ in job.watched():
                    job.watches[shard].until = now + RESTORED_NS
                effects += [*self._pin(job), ReportJob(job.name, "restored")]
                effects += self._settle(job, now)
        return effects

    def submit(self, event: JobSubmitted, now: Instant) -> list[Effect]:
        if event.job in self._ledger.jobs:
            return [ReportJob(event.job, "refused", code="job-exists")]
        if sum(job.running for job in self._ledger.jobs.values()) >= JOBS_MAX:
            return [ReportJob(event.job, "refused", code="book-full")]
        effects = self._ledger.forget_oldest()
        job = self._ledger.add(event.job, JobRow(specs.decode(event.spec), now))
        effects += [self._ledger.keep_job(job), ReportJob(job.name, "accepted")]
        return [*effects, *self._pin(job), *self._place(job, now)]

    def cancel(self, name: JobId, now: Instant) -> list[Effect]:
        job = self._ledger.jobs.get(name)
        if job is None or not job.running:
            return []
        return self._end(job, Status.CANCELLED, "cancelled", now)

    def renewed(self, source: NodeId, renew: Renew, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for lease in renew.leases:
            job = self._ledger.jobs.get(lease.job)
            refusal = self._refusal(job, source, lease)
            if job is None or refusal:
                effects.append(self._tell_stale(source, lease, refusal, now))
            elif job.shards[lease.shard].phase is Phase.HELD:
                job.watches[lease.shard].until = now + self._lease_ns(source, now)
        return effects

    def hear(self, source: NodeId, word: Word, now: Instant) -> list[Effect]:
        """A holder's or a sink's word on a shard. What is not its to say is refused with a code."""
        job = self._ledger.jobs.get(word.job)
        refusal = self._refusal(job, source, word)
        if job is None or refusal:
            note = Note(refusal, {"job": word.job, "shard": word.shard, "node": source})
            if isinstance(word, Accept | Finished):
                return [note, self._tell_stale(source, word, refusal, now)]
            return [note]
        match word:
            case Accept():
                return self._held(job, word.shard, source, now)
            case Decline(shard=shard, code=code):
                if job.shards[shard].phase not in (Phase.OFFERED, Phase.HELD):
                    return []
                job.watches[shard].declined += (source,)
                return self._again(job, shard, code, now)
            case Said(shard=shard, text=text):
                job.log.add(now, shard, source, text)
                return [ReportJob(job.name, "said", shard, source)]
            case Finished():
                return self._finished(job, word, now)
            case Stored():
                return self._delivered(job, word, now)
            case Unfetched(shard=shard, code=code):
                if job.shards[shard].phase is not Phase.FINISHED:
                    return []
                return self._again(job, shard, code, now)

    def lost(self, lost: PayloadLost, now: Instant) -> list[Effect]:
        """An offer that cannot arrive goes to another at once; a `Ready` is said again soon."""
        for job in self._ledger.jobs.values():
            shard = job.mail.pop(lost.packet, None)
            if shard is None:
                continue
            row, watch = job.shards[shard], job.watches[shard]
            if row.phase is Phase.OFFERED and row.holder == lost.destination:
                return self._undelivered(job, shard, lost, now)
            if row.phase is Phase.FINISHED and job.sink == lost.destination:
                # The sink is out of reach for now, and the result safe with its holder: each time
                # the holder says so again, so do we.
                watch.ready_again_at = now
                watch.deliveries = max(0, watch.deliveries - 1)
        return []

    def _undelivered(self, job: Job, shard: int, lost: PayloadLost, now: Instant) -> list[Effect]:
        """An offer came back. What this very daemon refused says nothing of the candidate."""
        if lost.code == "payload-too-large":
            return self._end(job, Status.FAILED, "shard-too-large", now)
        if lost.node != self._me:
            self._loads.distrust(lost.destination, now)
        job.watches[shard].declined += (lost.destination,)
        return self._wait(job, shard, lost.code, now)

    def blob_failed(self, failed: BlobFailed, now: Instant) -> list[Effect]:
        """A job whose own files are not in this daemon's store cannot run."""
        effects: list[Effect] = []
        for job in list(self._ledger.jobs.values()):
            if job.running and failed.code == "blob-missing" and failed.cid in job.blobs:
                effects += self._end(job, Status.FAILED, failed.code, now)
        return effects

    def wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for job in [job for job in self._ledger.jobs.values() if job.running]:
            if job.deadline <= now:
                effects += self._end(job, Status.FAILED, "deadline", now)
                continue
            for shard, _ in job.watched():
                if job.watches[shard].until <= now:
                    effects += self._late(job, shard, now)
            if job.place_at is not None and job.place_at <= now:
                if job.starved:  # who was full may have room by now
                    for watch in job.watches:
                        watch.declined = ()
                effects += self._place(job, now)
        return effects

    def next_deadline(self) -> Instant | None:
        jobs = self._ledger.jobs.values()
        return min((job.next_deadline() for job in jobs if job.running), default=None)

    # --- one job --------------------------------------------------------------------------------

    def _pin(self, job: Job) -> list[Effect]:
        lifetime = round(job.row.spec.deadline_s * SECOND)
        return [BlobWanted(cid, self._me, lifetime) for cid in job.blobs]

    def _end(self, job: Job, status: Status, code: str, now: Instant) -> list[Effect]:
        job.row = msgspec.structs.replace(job.row, status=status, code=code, ended_at=now)
        effects: list[Effect] = [self._ledger.keep_job(job)]
        effects.append(ReportJob(job.name, status.value, code=code))
        for shard, _ in job.watched():
            effects += self._release(job, shard, code, now)
        return effects + [BlobUnwanted(cid) for cid in job.blobs]

    def _settle(self, job: Job, now: Instant) -> list[Effect]:
        if all(row.phase is Phase.DELIVERED for row in job.shards):
            return self._end(job, Status.COMPLETED, "", now)
        return []

    def _place(self, job: Job, now: Instant) -> list[Effect]:
        """Offer every waiting shard to where it would finish first."""
        waiting = stages.due(job)
        job.place_at = None
        if not waiting:
            return []
        placed: list[tuple[int, NodeId]] = []
        for work, shards in stages.by_work(job, waiting):
            estimate = round(work.estimate_s * SECOND)
            candidates = self._loads.candidates(work.kind, job.sink, now)
            declined = {i: job.watches[i].declined for i in shards if job.watches[i].declined}
            found = place(shards, estimate, candidates, declined)
            for _, node in found:
                self._loads.sent(node, estimate, now)
            placed += found
        effects = self._starve(job, now) if len(placed) < len(waiting) else []
        job.starved = len(placed) < len(waiting)
        offers: list[Effect] = []
        for shard, node in placed:
            row = job.shards[shard]
            job.shards[shard] = row.to(Phase.OFFERED, epoch=row.epoch + 1, holder=node)
            job.watches[shard].until = now + 2 * self._trip(node, now) + OFFER_NS
            effects.append(self._ledger.keep_shard(job, shard))
            offers += self._offer(job, shard, node, now)
        return effects + offers

    def _starve(self, job: Job, now: Instant) -> list[Effect]:
        """Not enough candidates: look again soon."""
        job.place_at = now + LOOK_AGAIN_NS
        return [] if job.starved else [ReportJob(job.name, "starved", code="no-candidates")]

    # --- one shard ------------------------------------------------------------------------------

    def _offer(self, job: Job, shard: int, node: NodeId, now: Instant) -> list[Effect]:
        sent = self._mail.send(node, stages.offer_of(job, shard, self._me, LEASE_NS), now)
        job.posted(sent.packet, shard)
        return [sent, ReportJob(job.name, "offered", shard, node)]

    def _held(self, job: Job, shard: int, node: NodeId, now: Instant) -> list[Effect]:
        if job.shards[shard].phase is not Phase.OFFERED:
            return []
        job.shards[shard] = job.shards[shard].to(Phase.HELD)
        job.watches[shard].until = now + self._lease_ns(node, now)
        return [ReportJob(job.name, "held", shard, node)]

    def _finished(self, job: Job, word: Finished, now: Instant) -> list[Effect]:
        shard, row = word.shard, job.shards[word.shard]
        if row.phase is Phase.FINISHED:
            return self._ready(job, shard, now)  # said again: a renewal, and maybe the sink's turn
        if row.phase not in (Phase.OFFERED, Phase.HELD):
            return []
        if word.code == "ok" and word.output is not None:
            job.shards[shard] = row.to(
                Phase.FINISHED, output=word.output, wall_ns=word.wall_ns, code="", message=""
            )
            report = ReportJob(job.name, "finished", shard, row.holder)
            if job.takers[shard]:
                kept = self._ledger.keep_shard(job, shard)
                return [kept, *self._place(job, now), report, *self._ready(job, shard, now)]
            return [report, *self._ready(job, shard, now)]
        if word.code in stages.UNFED and job.row.spec.shards[shard].takes:
            return self._unfed(job, shard, word.code, now)
        failures = row.failures + 1
        job.shards[shard] = msgspec.structs.replace(
            row, failures=failures, code=word.code, message=word.message
        )
        if failures < FAILURES_MAX:
            return self._again(job, shard, word.code, now)
        kept = self._ledger.keep_shard(job, shard)
        return [kept, *self._end(job, Status.FAILED, word.code, now)]

    def _ready(self, job: Job, shard: int, now: Instant) -> list[Effect]:
        """The holder has the result and says so: tell the sink, again if it was long ago."""
        row, watch = job.shards[shard], job.watches[shard]
        assert row.output is not None and row.holder is not None
        watch.until = now + self._lease_ns(row.holder, now)
        if job.takers[shard] or now < watch.ready_again_at:
            return []
        if watch.deliveries >= DELIVERIES_MAX:
            return self._again(job, shard, "undelivered", now)
        watch.ready_again_at = now + 2 * self._trip(job.sink, now) + DELIVERY_NS
        watch.deliveries += 1
        name, count = job.row.spec.name, job.view().results
        ready = Ready(job.name, shard, row.epoch, name, count, row.output, row.holder)
        sent = self._mail.send(job.sink, ready, now)
        job.posted(sent.packet, shard)
        return [sent]

    def _delivered(self, job: Job, word: Stored, now: Instant) -> list[Effect]:
        shard, row = word.shard, job.shards[word.shard]
        if row.phase is not Phase.FINISHED:
            return []
        # The sink may hold the result of an earlier epoch: the first that arrived is the result.
        job.shards[shard] = row.to(Phase.DELIVERED, output=word.output)
        over = [shard, *stages.served(job, shard)]
        for served in over[1:]:
            job.shards[served] = job.shards[served].to(Phase.DELIVERED)
        effects: list[Effect] = [self._ledger.keep_shard(job, index) for index in over]
        effects.append(ReportJob(job.name, "delivered", shard, row.holder))
        for index in over:
            effects += self._release(job, index, "delivered", now)
        return [*effects, *self._settle(job, now)]

    def _unfed(self, job: Job, shard: int, code: str, now: Instant) -> list[Effect]:
        """What it takes could not be had. Tried elsewhere; the third time that is made again."""
        effects: list[Effect] = []
        watch, holder = job.watches[shard], job.shards[shard].holder
        watch.declined += () if holder is None else (holder,)
        watch.unfed += 1
        if watch.unfed >= FAILURES_MAX:
            watch.unfed = 0
            for taken in job.row.spec.shards[shard].takes:
                if job.shards[taken].phase is Phase.FINISHED:
                    effects += self._wait(job, taken, code, now)
        return [*effects, *self._again(job, shard, code, now)]

    def _again(self, job: Job, shard: int, code: str, now: Instant) -> list[Effect]:
        """The shard is nobody's again: place it anew, it alone, under a later epoch."""
        effects = self._wait(job, shard, code, now)
        if job.starved:  # nobody has room: the next timed look is soon enough
            job.place_at = job.place_at or now + LOOK_AGAIN_NS
            return effects
        return [*effects, *self._place(job, now)]

    def _wait(self, job: Job, shard: int, code: str, now: Instant) -> list[Effect]:
        """Take a shard back; the next wake-up places it, unless it is done at once."""
        row = job.shards[shard]
        effects = self._release(job, shard, code, now)
        replaced = row.replaced + (row.phase is not Phase.OFFERED)
        job.shards[shard] = row.to(Phase.WAITING, holder=None, output=None, replaced=replaced)
        job.watches[shard].deliveries = job.watches[shard].ready_again_at = 0
        if job.place_at is None:
            job.place_at = now
        return [*effects, ReportJob(job.name, "replaced", shard, row.holder, code)]

    def _late(self, job: Job, shard: int, now: Instant) -> list[Effect]:
        holder = job.shards[shard].holder
        if holder is not None:
            self._loads.distrust(holder, now)
        return self._again(job, shard, "lease-expired", now)

    def _release(self, job: Job, shard: int, code: str, now: Instant) -> list[Effect]:
        row = job.shards[shard]
        if row.holder is None:
            return []
        release = Release(job.name, shard, row.epoch, code)
        return [self._mail.send(row.holder, release, now)]

    # --- small things ---------------------------------------------------------------------------

    @staticmethod
    def _refusal(job: Job | None, source: NodeId, word: Word | Leased) -> str:
        """Why `source` may not say this of the shard now; empty when it may."""
        if job is None:
            return "unknown-job"
        if not job.running:
            return "job-ended"
        if word.shard >= len(job.shards):
            return "unknown-shard"
        row = job.shards[word.shard]
        if word.epoch != row.epoch:
            return "stale-epoch"
        speaker = job.sink if isinstance(word, Stored | Unfetched) else row.holder
        return "" if source == speaker else "not-the-holder"

    def _tell_stale(
        self, node: NodeId, word: Accept | Finished | Leased, code: str, now: Instant
    ) -> Effect:
        """A holder of a lease that is over may stop and forget."""
        return self._mail.send(node, Release(word.job, word.shard, word.epoch, code), now)

    def _trip(self, node: NodeId, now: Instant) -> Duration:
        return self._router.delays_from(self._me, now).get(node, 0)

    def _lease_ns(self, node: NodeId, now: Instant) -> Duration:
        return LEASE_NS + 2 * self._trip(node, now)
