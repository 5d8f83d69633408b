"""Checks: what the fields of a job cannot say of each other by their types; every fault at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from protocols.job import JobSpec, Placement, ShardSpec, Stage

FAULTS_MAX = 20
"""Faults told of one job: 10,000 shards may all have the same."""


def faults(spec: JobSpec) -> list[str]:
    """Everything that makes it no job, shard by shard; empty if it can be done."""
    found = [*_of_stages(spec)]
    for index, shard in enumerate(spec.shards):
        if len(found) > FAULTS_MAX:
            return [*found[:FAULTS_MAX], "and more"]
        found += [f"shard {index} {fault}" for fault in _of_shard(spec, index, shard)]
    return found


def not_supported(spec: JobSpec) -> tuple[str, str] | None:
    """The code and reason of a condition that this mesh cannot keep yet; None for none."""
    asked, plain = spec.placement, Placement()
    unkept = [name for name in Placement.__struct_fields__
              if getattr(asked, name) != getattr(plain, name)]  # fmt: skip
    if unkept:
        message = f"no node can promise placement by {', '.join(unkept)} yet; leave it out"
        return "placement-not-supported", message
    if spec.verify != "none":
        message = f"results are not verified by {spec.verify!r} yet; say none, or leave it out"
        return "verify-not-supported", message
    return None


def _of_stages(spec: JobSpec) -> Iterator[str]:
    works: list[JobSpec | Stage] = [spec, *spec.stages]
    for number, work in enumerate(works):
        name = f"stage {number}" if spec.stages else "the job"
        if work.kind in ("onnx", "wasm") and work.model is None:
            what = "model" if work.kind == "onnx" else "module"
            yield f"{name} is of kind {work.kind} and needs a model: the blob of its {what}"
        if work.limits.fuel and work.kind != "wasm":
            yield f"{name} has a limit of fuel, which only wasm burns"
        paths = Counter(file.path for file in work.files)
        yield from (f"{name} has two files {path!r}" for path, n in paths.items() if n > 1)
        inside = [path for path in paths if any(other.startswith(path + "/") for other in paths)]
        yield from (f"{name} has {path!r} as a file and as a folder" for path in inside)


def _of_shard(spec: JobSpec, index: int, shard: ShardSpec) -> Iterator[str]:
    if shard.stage > len(spec.stages):
        yield f"is of stage {shard.stage}; the job has {len(spec.stages)} beside its first"
        return
    work = spec.work(shard)
    if any(taken >= index for taken in shard.takes):
        yield "takes the output of itself or of a later shard: shards stand in order of stages"
    if len(set(shard.takes)) < len(shard.takes):
        yield "takes one output twice"
    if work.kind == "onnx" and shard.input is None and not shard.takes:
        yield "is of kind onnx and needs an input"
    if work.kind == "command" and not shard.command:
        yield "is of kind command and needs a command"
