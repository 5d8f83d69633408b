"""Durable: what a node has told anybody is on its disk at that moment."""

from __future__ import annotations

from collections import Counter

from meshd.scheduler.ledger import shard_key
from meshd.scheduler.states import (
    JOB_ROW,
    RESULT_ROW,
    Phase,
    ShardRow,
    Status,
    job_rows,
    result_rows,
    shard_rows,
)
from meshd.seam import Effect, ReportJob
from protocols.record import Verifier
from protocols.types import JobId
from sim.host import Host
from sim.laws.law import Law, require


class Durable(Law):
    """Reads the rows behind every report of a job."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._epochs: dict[tuple[int, JobId, int], int] = {}

    def effect(self, host: Host, effect: Effect) -> None:
        if isinstance(effect, ReportJob):
            self._report(host, effect)

    def _report(self, host: Host, report: ReportJob) -> None:
        job, shard = report.job, report.shard
        row = host.rows.get(JOB_ROW + job)
        known = host.node is not None and host.node.scheduler.book.find(job) is not None
        if not known and report.what != "stored":
            return
        match report.what:
            case "accepted":
                require(row is not None, "an accepted job is on disk", job)
            case "completed" | "failed" | "cancelled":
                status = job_rows.decode(row).status if row is not None else None
                require(status is Status(report.what), "a job's end is on disk", job, status)
            case "delivered":
                assert shard is not None
                kept = self._shard(host, job, shard)
                require(kept.phase is Phase.DELIVERED, "a delivery is on disk", job, shard)
            case "offered":
                assert shard is not None
                self._offered(host, job, shard)
            case "stored":
                kept_result = host.rows.get(f"{RESULT_ROW}{job}/{shard}")
                require(kept_result is not None, "a stored result is on disk", job, shard)
                assert kept_result is not None
                whole = host.blobs.size(result_rows.decode(kept_result).output) is not None
                require(whole, "a stored result is whole", job, shard)

    def _offered(self, host: Host, job: JobId, shard: int) -> None:
        """No epoch is offered twice, nor before it is on disk."""
        epoch, key = self._shard(host, job, shard).epoch, (host.index, job, shard)
        if "jobs" not in host.excused:
            risen = epoch > self._epochs.get(key, 0)
            require(risen, "every offer is of a new epoch, on disk", job, shard, epoch)
        self._epochs[key] = epoch

    @staticmethod
    def _shard(host: Host, job: JobId, shard: int) -> ShardRow:
        row = host.rows.get(shard_key(job, shard))
        return ShardRow() if row is None else shard_rows.decode(row)
