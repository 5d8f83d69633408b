"""Bugs in jobs, leases, results and blobs."""

from __future__ import annotations

from msgspec.structs import replace

from meshd.blobs import fetch as fetching
from meshd.blobs.blobs import Blobs
from meshd.blobs.fetch import Fetch
from meshd.scheduler import book as booking
from meshd.scheduler.book import Book
from meshd.scheduler.holder import Holder
from meshd.scheduler.ledger import Ledger
from meshd.scheduler.sink import Sink
from meshd.scheduler.states import Phase
from meshd.seam import BlobUnwanted, Persist, ReportJob
from protocols.bounds import WANT_BYTES_MAX
from tests.mutants.registry import mutant


@mutant("a job is acknowledged before it is on disk", Book, "submit")
def acknowledge_before_commit(original):
    def submit(self, event, now):
        effects = original(self, event, now)
        return sorted(effects, key=lambda e: not isinstance(e, ReportJob))

    return submit


@mutant("a lease is offered before its epoch is on disk", Book, "_place")
def offer_before_commit(original):
    def place(self, job, now):
        return sorted(original(self, job, now), key=lambda e: isinstance(e, Persist))

    return place


@mutant("a delivery is told and not written", Book, "_delivered")
def delivery_not_persisted(original):
    def delivered(self, job, word, now):
        return [e for e in original(self, job, word, now) if not isinstance(e, Persist)]

    return delivered


@mutant("a result is called stored before its row is on disk", Sink, "blob_stored")
def result_stored_before_persisted(original):
    def stored(self, cid, now):
        return sorted(original(self, cid, now), key=lambda e: isinstance(e, Persist))

    return stored


@mutant("word of an older lease counts", Book, "_refusal")
def no_lease_epoch_check(original):
    def refusal(job, source, word):
        code = original(job, source, word)
        return "" if code == "stale-epoch" else code

    return refusal


@mutant("a restart forgets which epochs were given", Ledger, "restore")
def epochs_forgotten(original):
    def restore(self, rows):
        jobs = original(self, rows)
        for job in jobs:
            job.shards = [
                replace(row, epoch=0) if row.phase is not Phase.DELIVERED else row
                for row in job.shards
            ]
        return jobs

    return restore


@mutant("an ended lease comes back under the same epoch", Book, "_wait")
def epoch_not_raised(original):
    def wait(self, job, shard, code, now):
        effects = original(self, job, shard, code, now)
        job.shards[shard] = replace(job.shards[shard], epoch=max(0, job.shards[shard].epoch - 1))
        return effects

    return wait


@mutant("a holder does not renew its leases", Holder, "_renew")
def lease_not_renewed(original):
    def renew(self, now):
        original(self, now)
        return []

    return renew


@mutant("the sink is told once that a result waits", booking, "DELIVERY_NS")
def ready_said_once(original):
    return 1 << 60


@mutant("a job is complete when one shard is delivered", Book, "_settle")
def complete_too_early(original):
    def settle(self, job, now):
        if any(row.phase is Phase.DELIVERED for row in job.shards):
            return self._end(job, booking.Status.COMPLETED, "", now)
        return []

    return settle


@mutant("a blob goes when the first of those who want it does not", Blobs, "_unwant")
def blob_released_too_early(original):
    def unwant(self, cid):
        if cid in self._wants:
            self._wants[cid] = 1
        return original(self, cid)

    return unwant


@mutant("a holder keeps the files of shards that are over", Holder, "_drop")
def blobs_kept_for_ever(original):
    def drop(self, lease):
        return [e for e in original(self, lease) if not isinstance(e, BlobUnwanted)]

    return drop


@mutant("all pieces of a blob are asked for at once", Fetch, "next")
def no_window(original):
    return lambda self, share: self.gaps.take(WANT_BYTES_MAX) if self.gaps else None


@mutant("a piece that was lost is not asked for again", fetching, "PIECE_MARGIN_NS")
def piece_asked_once(original):
    return 1 << 50


@mutant("a shard is given up without a reason", Book, "_again")
def refusal_without_a_code(original):
    return lambda self, job, shard, code, now: original(self, job, shard, "", now)


@mutant("the fetches do not say when they want to be woken", Blobs, "next_deadline")
def wake_lost(original):
    return lambda self: None
