"""Leases: jobs and shards move along legal edges only, and an epoch belongs to one holder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.scheduler.holder import Lease
from meshd.scheduler.states import Phase, ShardRow, Status
from meshd.seam import Effect, Event, Note, ReportJob
from protocols import LinkMessage
from protocols.record import Verifier
from protocols.types import Instant, JobId, NodeId
from sim.host import Host
from sim.laws.law import Law, require

ORDER = (Phase.WAITING, Phase.OFFERED, Phase.HELD, Phase.FINISHED, Phase.DELIVERED)
"""Within one epoch a shard only moves forward, or back to where it waits for the next."""

RANK = {phase: rank for rank, phase in enumerate(ORDER)}

SAID = {
    "replaced": "a lease was replaced",
    "starved": "a job found no candidates",
    "restored": "a job was taken up again after a restart",
    "failed": "a job failed",
}


class Leases(Law):
    """Compares the shards of a touched node with what they were."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._shards: dict[tuple[int, JobId], list[ShardRow]] = {}
        self._status: dict[tuple[int, JobId], Status] = {}
        self._taken: set[tuple[NodeId, Lease]] = set()
        """Every lease that a holder has taken on."""

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        assert host.node is not None
        for lease in host.node.scheduler.holder._held:
            self._taken.add((host.id, lease))
        for name, job in host.node.scheduler.book._ledger.jobs.items():
            key = (host.index, name)
            before = self._shards.get(key)
            if before == job.shards and self._status[key] is job.row.status:
                continue
            rows = zip(before or [ShardRow() for _ in job.shards], job.shards, strict=True)
            for index, (was, row) in enumerate(rows):
                _moved(host, name, was, row)
                self._held(name, index, row)
            status = self._status.get(key, Status.RUNNING)
            ended = status is not Status.RUNNING
            require(not ended or job.row.status is status, "an ended job stays so", name, status)
            self._shards[key], self._status[key] = list(job.shards), job.row.status

    def _held(self, name: JobId, index: int, row: ShardRow) -> None:
        """Whoever is said to hold an epoch has taken on that very epoch."""
        if row.holder is None or row.phase not in (Phase.HELD, Phase.FINISHED):
            return
        taken = (row.holder, (name, index, row.epoch)) in self._taken
        require(taken, "a lease is with whom it is said to be", name, index, row)

    def effect(self, host: Host, effect: Effect) -> None:
        match effect:
            case ReportJob(what=what, code=code):
                if what in SAID:
                    self.saw[SAID[what]] += 1
                self.saw["a holder was silent and its lease ended"] += code == "lease-expired"
                self.saw["a shard failed and was placed again"] += (
                    what == "replaced" and code in ("store-full", "fetch-timeout", "blob-missing")
                )  # fmt: skip
            case Note(code="stale-epoch" | "not-the-holder"):
                self.saw["word of a lease that was over was refused"] += 1

    def killed(self, host: Host) -> None:
        """Memory is gone: what counts is on disk, and `Durable` looks at that."""
        for key in [key for key in self._shards if key[0] == host.index]:
            del self._shards[key], self._status[key]


def _moved(host: Host, name: JobId, was: ShardRow, row: ShardRow) -> None:
    if was is row:
        return
    about = (host.name, name, was, row)
    require(row.epoch >= was.epoch, "a lease's epoch never falls", *about)
    if was.phase is Phase.DELIVERED:
        require(row.phase is Phase.DELIVERED, "a delivered shard stays so", *about)
    if row.epoch == was.epoch:
        forward = RANK[row.phase] >= RANK[was.phase] or row.phase is Phase.WAITING
        require(forward, "a shard moves along legal edges", *about)
        same = row.holder in (was.holder, None) or (was.holder is None and was.epoch == 0)
        require(same, "one epoch has one holder", *about)
