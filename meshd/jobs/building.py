"""Building: a written job as the daemon takes it, every file given to its store as a blob."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from meshd.jobs.bundle import bundle
from meshd.jobs.cutting import command_of, inputs_of, read_file
from meshd.jobs.reading import Written
from meshd.jobs.specification import Job, Stage, Work
from meshd.jobs.stagelist import ordered, widths
from protocols.errors import InputError

Put = Callable[[bytes], str]
"""Keeps a blob; its name."""


def build(written: Written, put: Put, stages: int = 1) -> dict[str, Any]:
    """The job as `JobSpec` of builtin types; its model cut into so many stages.

    Raises InputError where a file cannot be cut.
    """
    job, folder = written.job, written.folder
    if stages > 1:
        return _pipeline(job, folder, put, stages)
    order, _ = ordered(job.stages)
    counts = widths(job.stages, order) if order else {"": job.shards or len(job.inputs) or 1}
    first: dict[str, int] = {}
    shards: list[dict[str, Any]] = []
    works = []
    for number, (name, count) in enumerate(counts.items()):
        work = job.stages[name] if name else job
        first[name] = len(shards)
        works.append({"name": name, **_work(work, folder, put)})
        for shard, data in enumerate(inputs_of(work, count, folder)):
            shards.append(
                {
                    "input": None if data is None else put(data),
                    "command": list(command_of(work, shard, count)),
                    "stage": number,
                    "takes": _takes(work, shard, first, counts),
                }
            )
    return _whole(job, works, shards)


def _whole(job: Job, works: list[dict[str, Any]], shards: list[dict[str, Any]]) -> dict[str, Any]:
    own, *others = works
    return {
        **own,
        "name": job.name,
        "stage": own["name"],
        "stages": others,
        "shards": shards,
        "sink": job.sink,
        "deadline_s": job.deadline_s,
        "priority": job.priority,
        "placement": _placement(job),
        "verify": job.verify,
    }


def _pipeline(job: Job, folder: Path, put: Put, count: int) -> dict[str, Any]:
    """Each stage a row of shards, one for each piece of the input."""
    from meshd.jobs.pipeline import split_model  # with onnx: only for who splits

    if job.stages or job.kind != "onnx":
        message = "a model is split into stages in a job of kind onnx that has none of its own"
        raise InputError("usage", message)
    width = job.shards or len(job.inputs) or 1
    parts = split_model(read_file(folder / job.model, "model"), count)
    whole = sum(part.flop for part in parts)
    inputs = [put(data) for data in inputs_of(job, width, folder) if data is not None]
    works, shards = [], []
    for stage, part in enumerate(parts):
        share = job.seconds * (part.flop / whole if whole else 1 / count)
        work = {"name": f"{stage + 1}/{count}", **_work(job, folder, put)}
        works.append({**work, "model": put(part.model), "estimate_s": max(1e-3, share)})
        for shard, cid in enumerate(inputs):
            takes = [taken * width + shard for taken in part.takes]
            own = cid if part.reads_input else None
            shards.append({"input": own, "command": [], "stage": stage, "takes": takes})
    return _whole(job, works, shards)


def _work(work: Work, folder: Path, put: Put) -> dict[str, Any]:
    files, _ = bundle(folder, work.files)
    return {
        "kind": work.kind,
        "model": put(read_file(folder / work.model, "model")) if work.model else None,
        "files": [{"path": path, "cid": put(file.read_bytes())} for path, file in files.items()],
        "estimate_s": work.seconds,
        "output_bytes": work.output_bytes,
        "limits": msgspec.to_builtins(work.limits),
    }


def _takes(work: Work, shard: int, first: dict[str, int], counts: dict[str, int]) -> list[int]:
    if not isinstance(work, Stage):
        return []
    if work.takes == "each":
        return [first[before] + shard for before in work.after]
    return [first[name] + index for name in work.after for index in range(counts[name])]


def _placement(job: Job) -> dict[str, Any]:
    asked = msgspec.to_builtins(job.placement)
    region = job.placement.region
    if region is not None and region.place:
        from meshd.ephemeris.cities import find_city  # with numpy: only for who names a place

        city = find_city(region.place)
        asked["region"] |= {"latitude_deg": city.latitude_deg, "longitude_deg": city.longitude_deg}
    if region is not None:
        del asked["region"]["place"]
    return dict(asked)
