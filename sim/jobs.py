"""Jobs of a scenario: their files and specs, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from meshd.scheduler.states import JobView, Phase
from protocols.job import JobSpec, Limits, ShardSpec, Stage
from protocols.types import Cid, NodeId
from sim.chance import stream
from sim.outcome import JobFate, ShardFate
from sim.scenario.actions import Submit

UNFINISHED = (Phase.OFFERED, Phase.HELD)


def files_of(seed: int, submit: Submit, number: int) -> tuple[list[bytes], bytes]:
    """The input files of a job's shards, and its model: no two files alike."""
    inputs = [_file(seed, submit.input_bytes, number, shard) for shard in range(submit.shards)]
    return inputs, _file(seed, submit.model_bytes, number, "model")


def _file(seed: int, size: int, *key: int | str) -> bytes:
    """A file's bytes: the same eight over and over, and no other file's."""
    head = stream(seed, "file", *key).randbytes(8)
    return (head * (size // 8 + 1))[:size]


def modelled_job(submit: Submit, sink: NodeId, inputs: list[Cid], model: Cid) -> JobSpec:
    """A job whose shards take what they are estimated to take."""
    stage = Stage("next", "onnx", model, estimate_s=submit.estimate_s, limits=_limits(submit))
    return JobSpec(
        name=submit.name,
        kind="onnx",
        shards=_shards(submit, inputs),
        stages=() if submit.stages == 1 and not submit.gather else (stage,),
        sink=sink,
        model=model,
        deadline_s=submit.deadline_s,
        estimate_s=submit.estimate_s,
        limits=_limits(submit),
    )


def _limits(submit: Submit) -> Limits:
    return Limits(wall_s=max(60.0, 10 * submit.estimate_s))


def _shards(submit: Submit, inputs: list[Cid]) -> tuple[ShardSpec, ...]:
    width = submit.shards
    shards = [ShardSpec(cid) for cid in inputs]
    for index in range(width, width * submit.stages):
        # What it is called makes its output another than that of the shard before it.
        shards.append(ShardSpec(command=(str(index),), stage=1, takes=(index - width,)))
    if submit.gather:
        last = tuple(range(width * (submit.stages - 1), width * submit.stages))
        shards.append(ShardSpec(command=("all",), stage=1, takes=last))
    return tuple(shards)


def busiest(jobs: Iterable[JobView], name_of: Callable[[NodeId], str]) -> str:
    """The node that holds the most unfinished shards, ties by name; "" when none holds any."""
    held: Counter[str] = Counter()
    for job in jobs:
        for shard in job.shards:
            if shard.row.phase in UNFINISHED and shard.row.holder is not None:
                held[name_of(shard.row.holder)] += 1
    return min(held, key=lambda name: (-held[name], name), default="")


def as_booked(fate: JobFate, view: JobView, name_of: Callable[[NodeId], str]) -> JobFate:
    """The same job, as the book of its daemon has it now."""
    shards = tuple(
        ShardFate(
            shard.index,
            shard.row.phase.value,
            name_of(shard.row.holder) if shard.row.holder else "",
            shard.row.epoch,
        )
        for shard in view.shards
    )
    return msgspec.structs.replace(
        fate,
        status=view.row.status.value,
        code=view.row.code,
        ended_at=view.row.ended_at or None,
        shards=shards,
        replaced=view.replaced,
    )
