"""Reading: a job file, checked whole. What is wrong with it is said all at once, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from meshd.jobs.bundle import bundle
from meshd.jobs.document import Document, Place, parse_document
from meshd.jobs.shape import Fault, shape_faults, without
from meshd.jobs.specification import Job, Stage, Work
from meshd.jobs.stagelist import stage_faults
from protocols.bounds import BLOB_BYTES_MAX
from protocols.errors import InputError, MeshError

FAULTS_MAX = 50


@dataclass(frozen=True, slots=True)
class Written:
    """A job that can be cut and submitted, and the folder its paths are relative to."""

    job: Job
    folder: Path


def read_job(path: Path) -> Written:
    """Read and check a job file and what it names.

    Raises InputError "unreadable-file", or "bad-job-file" with every fault, its line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        message = f"{path}: it is not UTF-8 text; a job file is TOML or JSON"
        raise InputError("bad-job-file", message) from None
    name = path.name.removesuffix(".toml").removesuffix(".json").removesuffix(".job")
    return check_job(parse_document(text, str(path)), path.parent, str(path), name)


def check_job(document: Document, folder: Path, where: str, name: str) -> Written:
    """A document as a job. Raises InputError "bad-job-file" with every fault."""
    said = document.said
    found = shape_faults(said, Job)
    job = None
    if isinstance(said, dict):
        job = msgspec.convert(without(said, found), Job)
        known = {fault.place for fault in found}
        found += [fault for fault in _faults(job, said, folder) if fault.place not in known]
    if found or job is None:
        codes = {fault.code for fault in found}
        code = codes.pop() if len(codes) == 1 else "bad-job-file"
        raise InputError(code, _told(found, document, where))
    return Written(msgspec.structs.replace(job, name=job.name or name), folder)


def _told(faults: list[Fault], document: Document, where: str) -> str:
    placed = [(document.line(fault.place), fault.message) for fault in faults]
    placed.sort(key=lambda one: one[0] or 0)  # stable: those of no line first, as found
    lines = [
        f"{where}, line {line}: {message}" if line else f"{where}: {message}"
        for line, message in placed[:FAULTS_MAX]
    ]
    more = [f"and {len(placed) - FAULTS_MAX} more"] if len(placed) > FAULTS_MAX else []
    return "\n".join([*lines, *more])


def _faults(job: Job, said: dict[str, Any], folder: Path) -> Iterator[Fault]:
    if job.stages or "stages" in said:
        own = set(Work.__struct_fields__)
        for key in said:
            if key in own:
                message = f"{key!r} belongs to a stage: this job has stages, and they alone run"
                yield Fault((key,), message)
        if not job.stages:
            yield Fault(("stages",), "there is no stage that could be run")
        yield from stage_faults(job.stages)
    for name, work in job.works.items():
        place: Place = ("stages", name) if job.stages else ()
        label = f"stage {name!r}" if job.stages else f"a job of kind {work.kind}"
        for key, message in _work_faults(work, label):
            yield Fault((*place, key), message)
        for key, name in _missing_files(work, folder):
            message = f"cannot read the {key.rstrip('s')} {folder / name}: there is no such file"
            yield Fault((*place, key), message, "missing-file")
        for key, message in _file_faults(work, folder):
            yield Fault((*place, key), message)
    yield from _region_faults(job)


def _work_faults(work: Work, label: str) -> Iterator[tuple[str, str]]:
    """Key and message of what does not fit together in one job or stage."""
    feeds = [key for key in ("input", "inputs", "range") if getattr(work, key)]
    if len(feeds) > 1:
        yield feeds[1], f"{' and '.join(map(repr, feeds))}: shards are made from one of them"
    if work.kind in ("onnx", "wasm"):
        if not work.model:
            yield "model", f"{label} needs 'model'"
    elif work.model:
        yield "model", "'model' is for kinds onnx and wasm; a command has its arguments"
    if work.kind == "command" and not work.command:
        yield "command", f"{label} needs 'command', a list of arguments"
    if work.kind == "onnx":
        waits = isinstance(work, Stage) and work.after
        if work.command:
            yield "command", 'a model has no \'command\'; say kind = "command" or "wasm"'
        if not work.input and not work.inputs and not waits:
            yield "input", f"{label} needs 'input'"
    legal = {"onnx": ("rows", "whole")}.get(work.kind, ("lines", "bytes", "whole"))
    if work.split and work.split not in legal:
        yield "split", f"split = {work.split!r} is not for kind {work.kind}: {' or '.join(legal)}"
    if work.limits.fuel and work.kind != "wasm":
        yield "limits", "limits.fuel is for kind wasm alone"
    if work.estimate_s is not None and work.work_flop is not None:
        yield "work_flop", "'estimate_s' and 'work_flop' say the same thing twice: give one"
    yield from _count_faults(work)


def _count_faults(work: Work) -> Iterator[tuple[str, str]]:
    if work.range is not None:
        begin, end = work.range
        if end <= begin:
            yield "range", f"range ends at {end}, not after its begin {begin}"
        elif (work.shards or 1) > end - begin:
            yield "shards", f"{work.shards} shards for a range of {end - begin} numbers"
        if abs(begin) > 1 << 62 or abs(end) > 1 << 62:
            yield "range", "numbers of a range are within 2^62"
    if work.inputs and work.shards not in (None, len(work.inputs)):
        yield "shards", f"{work.shards} shards for {len(work.inputs)} inputs: each is one shard"


def _named_files(work: Work) -> Iterator[tuple[str, str]]:
    for key, names in (("model", (work.model,)), ("input", (work.input,)), ("inputs", work.inputs)):
        yield from ((key, name) for name in names if name)


def _missing_files(work: Work, folder: Path) -> Iterator[tuple[str, str]]:
    yield from ((key, name) for key, name in _named_files(work) if not (folder / name).is_file())


def _file_faults(work: Work, folder: Path) -> Iterator[tuple[str, str]]:
    sizes: dict[str, list[int]] = {}
    for key, name in _named_files(work):
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        sizes.setdefault(key, []).append(size)
        cut = key == "input" and work.split != "whole"
        part = -(-size // (work.shards or 1)) if cut else size
        if part > BLOB_BYTES_MAX:
            what = "a shard of it would be" if cut else "it is"
            yield key, f"{path}: {what} {part} bytes; a blob has at most {BLOB_BYTES_MAX}"
    given = sum(sizes.get("input", []) + sizes.get("inputs", []))
    if work.input_bytes is not None and given != work.input_bytes:
        yield "input_bytes", f"the input has {given} bytes, not {work.input_bytes} as declared"
    if work.output_bytes > work.limits.output_mb << 20:
        message = f"{work.output_bytes} bytes are beyond limits.output_mb = {work.limits.output_mb}"
        yield "output_bytes", message
    for fault in bundle(folder, work.files)[1]:
        yield "files", fault


def _region_faults(job: Job) -> Iterator[Fault]:
    region = job.placement.region
    if region is None:
        return
    place = ("placement", "region")
    point = region.latitude_deg is not None and region.longitude_deg is not None
    half = (region.latitude_deg is None) != (region.longitude_deg is None)
    if half or bool(region.place) == point:
        message = "a region is around a place, or around latitude_deg and longitude_deg"
        yield Fault(place, message)
    if region.place and region.sky:
        yield Fault(
            (*place, "sky"), "a place is on the ground; a region of the sky has coordinates"
        )
    if region.place:
        from meshd.ephemeris.cities import find_city  # with numpy: only for who names a place

        try:
            find_city(region.place)
        except MeshError as error:
            yield Fault((*place, "place"), error.message)
