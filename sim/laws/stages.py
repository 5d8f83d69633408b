"""Stages: a shard starts when what it takes is there, and takes it from the lease that counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.scheduler.holder import Lease
from meshd.scheduler.ledger import Job
from meshd.scheduler.states import Phase
from meshd.seam import Effect, Event, RunShard, ShardFinished
from protocols import LinkMessage
from protocols.job import Input
from protocols.record import Verifier
from protocols.types import Cid, Instant, NodeId
from sim.host import Host
from sim.laws.law import Law, require


class Stages(Law):
    """Holds what is offered against what workers put out, and where."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._made: dict[tuple[NodeId, str], Cid] = {}
        """What a run on a node has put out."""
        self._due: dict[tuple[NodeId, Lease], tuple[Input, ...]] = {}
        """What the shard of a lease takes, as it was when its scheduler offered it."""
        self._begun: set[tuple[NodeId, Lease]] = set()

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        assert host.node is not None
        if isinstance(event, ShardFinished) and event.output is not None:
            self._made[host.id, event.run] = event.output
        for job in host.node.scheduler.book._ledger.jobs.values():
            if job.staged:
                self._offered(host, job)
        for lease, holding in host.node.scheduler.holder._held.items():
            due = self._due.get((holding.scheduler, lease))
            if due is None or (host.id, lease) in self._begun:
                continue
            self._begun.add((host.id, lease))
            given = holding.offer.inputs[len(holding.offer.inputs) - len(due) :]
            require(given == due, "a shard takes what the lease that counts made", lease, given)

    def _offered(self, host: Host, job: Job) -> None:
        for index, row in enumerate(job.shards):
            key = (host.id, (job.name, index, row.epoch))
            if row.phase is not Phase.OFFERED or key in self._due:
                continue
            takes = job.row.spec.shards[index].takes
            rows = [(taken, job.shards[taken]) for taken in takes]
            for taken, made in rows:
                there = made.holder and self._made.get(
                    (made.holder, f"{job.name}/{taken}/{made.epoch}")
                )
                fed = made.phase is Phase.FINISHED and there == made.output
                require(fed, "a shard starts when what it takes is there", job.name, index, made)
            given = [Input(m.output, m.holder) for _, m in rows if m.output and m.holder]
            self._due[key] = tuple(given)
            self.saw["a shard was fed by others"] += bool(takes)
            again = bool(job.takers[index]) and row.replaced > 0
            self.saw["what other shards take was made again"] += again

    def effect(self, host: Host, effect: Effect) -> None:
        if isinstance(effect, RunShard):
            there = all(host.blobs.size(cid) is not None for cid in effect.cids)
            require(
                there or "disk" in host.excused,
                "a shard starts with all it works on", host.name, effect.run,
            )  # fmt: skip
