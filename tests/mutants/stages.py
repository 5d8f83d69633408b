"""Bugs in jobs whose shards work on each other's outputs."""

from __future__ import annotations

from meshd.scheduler import stages
from meshd.scheduler.states import Phase
from tests.mutants.registry import mutant


@mutant("a shard is offered before what it takes is there", stages, "_fed")
def started_unfed(original):
    return lambda job, shard: True


@mutant("an output once taken is taken for ever, though its lease is over", stages, "inputs")
def stale_output_fed(original):
    known = {}

    def inputs(job, shard, home):
        found = original(job, shard, home)
        for taken, given in zip(job.row.spec.shards[shard].takes[::-1], found[::-1], strict=False):
            known.setdefault((id(job), taken), given)
        own = found[: len(found) - len(job.row.spec.shards[shard].takes)]
        return own + tuple(known[id(job), taken] for taken in job.row.spec.shards[shard].takes)

    return inputs


@mutant("an output is given up when one of those who take it is done", stages, "served")
def served_too_early(original):
    def served(job, shard):
        takes = job.row.spec.shards[shard].takes
        return [taken for taken in takes if job.shards[taken].phase is not Phase.DELIVERED]

    return served


@mutant("a shard that others take is not made again when it is lost", stages, "due")
def lost_output_not_made_again(original):
    def due(job):
        return [i for i in original(job) if not (job.takers[i] and job.shards[i].replaced)]

    return due
