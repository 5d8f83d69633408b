"""Stages: shards that work on the outputs of others: when they start, and who holds what they need.

An output that others take stays with its holder, under its lease, and is fetched from there; the
scheduler's daemon passes on its name alone. It is given up when all who take it are delivered.
"""

from __future__ import annotations

from meshd.scheduler.ledger import Job
from meshd.scheduler.states import Phase
from protocols.job import Input, JobSpec, Offer, Stage
from protocols.types import SECOND, Duration, NodeId

UNFED = (
    *("blob-missing", "fetch-timeout", "fetches-full"),
    *("size-changed", "piece-length", "hash-mismatch"),
)
"""Codes of a shard that could not get what it was to work on: no fault of its own."""


def due(job: Job) -> list[int]:
    """Waiting shards that can start: their inputs exist, and somebody waits for their output.

    One that was lost when all who take it are at work, with what it made, is not made again yet.
    """
    waiting = [index for index, row in enumerate(job.shards) if row.phase is Phase.WAITING]
    if not job.staged:
        return waiting
    wanted: set[int] = set()
    for index in reversed(waiting):  # who takes an output comes behind it
        takers = job.takers[index]
        if not takers or any(taker in wanted for taker in takers):
            wanted.add(index)
    return [index for index in waiting if index in wanted and _fed(job, index)]


def inputs(job: Job, shard: int, home: NodeId) -> tuple[Input, ...]:
    """What a shard works on, each with the node that has it: its own input at the scheduler's."""
    spec = job.row.spec.shards[shard]
    own = () if spec.input is None else (Input(spec.input, home),)
    made = [job.shards[taken] for taken in spec.takes]
    return own + tuple(Input(row.output, row.holder) for row in made if row.output and row.holder)


def offer_of(job: Job, shard: int, home: NodeId, lease_ns: Duration) -> Offer:
    """A shard as its lease says it, to be held from `home`."""
    spec = job.row.spec
    work = spec.work(spec.shards[shard])
    return Offer(
        job=job.name,
        shard=shard,
        epoch=job.shards[shard].epoch,
        kind=work.kind,
        model=work.model,
        inputs=inputs(job, shard, home),
        files=work.files,
        command=spec.shards[shard].command,
        limits=work.limits,
        estimate_ns=round(work.estimate_s * SECOND),
        lease_ns=lease_ns,
        ends_at=job.deadline,
        priority=spec.priority,
    )


def by_work(job: Job, shards: list[int]) -> list[tuple[JobSpec | Stage, list[int]]]:
    """Shards by what they run, in order of stages."""
    spec = job.row.spec
    groups: dict[int, list[int]] = {}
    for shard in shards:
        groups.setdefault(spec.shards[shard].stage, []).append(shard)
    return [(spec.work(spec.shards[group[0]]), group) for _, group in sorted(groups.items())]


def served(job: Job, shard: int) -> list[int]:
    """Shards whose outputs nobody needs any more, now that this one is delivered."""
    found: list[int] = []
    done = {shard}
    queue = [shard]
    while queue:
        for taken in job.row.spec.shards[queue.pop()].takes:
            if taken in done or job.shards[taken].phase is Phase.DELIVERED:
                continue
            if all(_is_done(job, taker, done) for taker in job.takers[taken]):
                done.add(taken)
                found.append(taken)
                queue.append(taken)
    return found


def _is_done(job: Job, shard: int, done: set[int]) -> bool:
    return shard in done or job.shards[shard].phase is Phase.DELIVERED


def _fed(job: Job, shard: int) -> bool:
    takes = job.row.spec.shards[shard].takes
    return all(job.shards[taken].phase is Phase.FINISHED for taken in takes)
