"""Sink: results that end their journey here, fetched from their holders and kept."""

from __future__ import annotations

import msgspec

from meshd.scheduler.mail import Mail
from meshd.scheduler.states import RESULT_ROW, ResultRow, result_rows
from meshd.seam import BlobUnwanted, BlobWanted, Effect, Note, Persist, ReportJob
from protocols.job import Ready, Stored, Unfetched
from protocols.types import SECOND, Cid, Instant, JobId, NodeId

FETCH_NS = 60 * SECOND
RESULTS_MAX = 100_000


class Sink:
    """A result counts once it is whole, matches its hash and is on disk."""

    def __init__(self, me: NodeId) -> None:
        self._mail = Mail(me, "s")
        self._rows: dict[tuple[JobId, int], ResultRow] = {}
        self._expected: dict[tuple[JobId, int], tuple[NodeId, Ready]] = {}

    def view(self) -> dict[JobId, dict[int, ResultRow]]:
        """Results here, by job and shard."""
        jobs: dict[JobId, dict[int, ResultRow]] = {}
        for (job, shard), row in sorted(self._rows.items()):
            jobs.setdefault(job, {})[shard] = row
        return jobs

    def restore(self, rows: tuple[tuple[str, bytes], ...], me: NodeId) -> list[Effect]:
        effects: list[Effect] = []
        for key, value in rows:
            if key.startswith(RESULT_ROW):
                job, shard = key[len(RESULT_ROW) :].rsplit("/", 1)
                row = result_rows.decode(value)
                self._rows[JobId(job), int(shard)] = row
                effects.append(BlobWanted(row.output, me, FETCH_NS))
        return effects

    def ready(self, scheduler: NodeId, ready: Ready, now: Instant) -> list[Effect]:
        key = (ready.job, ready.shard)
        kept = self._rows.get(key)
        if kept is not None and kept.scheduler == scheduler:
            # Another run may have made other bytes: one result, the first.
            return [self._stored(scheduler, ready, kept.output, now)]
        if kept is not None:
            return [self._unfetched(scheduler, ready, "already-settled", now)]
        if len(self._rows) + len(self._expected) >= RESULTS_MAX:
            return [self._unfetched(scheduler, ready, "sink-full", now)]
        before = self._expected.get(key)
        if before is not None and before[1].epoch >= ready.epoch:
            return []
        self._expected[key] = (scheduler, ready)
        wanted: list[Effect] = [BlobWanted(ready.output, ready.holder, FETCH_NS)]
        # A later epoch means another holder: what was asked of the old one may never come.
        return wanted if before is None else [*wanted, BlobUnwanted(before[1].output)]

    def blob_stored(self, cid: Cid, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for key, (scheduler, ready) in list(self._expected.items()):
            if ready.output != cid:
                continue
            del self._expected[key]
            row = ResultRow(cid, ready.name, ready.shards, scheduler)
            self._rows[key] = row
            name = f"{RESULT_ROW}{ready.job}/{ready.shard}"
            effects.append(Persist(name, msgspec.msgpack.encode(row)))
            effects.append(ReportJob(ready.job, "stored", ready.shard, ready.holder))
            effects.append(self._stored(scheduler, ready, cid, now))
        return effects

    def blob_failed(self, cid: Cid, code: str, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for key, (scheduler, ready) in list(self._expected.items()):
            if ready.output == cid:
                del self._expected[key]
                effects.append(Note("result-unfetched", {"job": ready.job, "code": code}))
                effects.append(self._unfetched(scheduler, ready, code, now))
        return effects

    def _stored(self, scheduler: NodeId, ready: Ready, kept: Cid, now: Instant) -> Effect:
        word = Stored(ready.job, ready.shard, ready.epoch, kept)
        return self._mail.send(scheduler, word, now)

    def _unfetched(self, scheduler: NodeId, ready: Ready, code: str, now: Instant) -> Effect:
        word = Unfetched(ready.job, ready.shard, ready.epoch, code)
        return self._mail.send(scheduler, word, now)
