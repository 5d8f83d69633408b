"""Specification: a job as a person or a program writes it, in TOML, JSON or Python.

    name = "count"
    kind = "wasm"                  # or "onnx", or "command"
    model = "count.wasm"
    input = "text.txt"             # cut between lines into
    shards = 8                     # pieces

Paths are relative to the file. A job of stages names them instead, each with what it waits for:

    [stages.map]
    kind = "wasm"
    model = "count.wasm"
    input = "text.txt"
    shards = 8

    [stages.sum]
    kind = "command"
    command = ["sort", "-m"]
    after = ["map"]
    takes = "all"                  # or "each": shard by shard
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from protocols.bounds import SHARDS_MAX
from protocols.job import VERIFY, Kind, Limits, Priority

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Shards = Annotated[int, Meta(ge=1, le=SHARDS_MAX)]
Bytes = Annotated[int, Meta(ge=0)]
Path_ = Annotated[str, Meta(min_length=1, max_length=4_096)]
Argument = Annotated[str, Meta(max_length=1_024)]

FLOP_PER_S = 10e9
"""What a slot of speed 1 is taken to do: `work_flop` becomes seconds by it."""


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What some shards run and on what: a whole job, or one of its stages."""

    kind: Kind = "onnx"
    model: str = ""
    """The ONNX file, or the module of WebAssembly."""
    input: str = ""
    """One file, cut into `shards` pieces as `split` says."""
    inputs: tuple[Path_, ...] = ()
    """Or a file a shard."""
    range: tuple[int, int] | None = None
    """Or numbers, from the first to before the second: {begin} and {end} of the command."""
    split: Literal["", "rows", "lines", "bytes", "whole"] = ""
    """rows: along the first axis of each array; lines: of a text; whole: all of it to each."""
    shards: Shards | None = None
    command: Annotated[tuple[Argument, ...], Meta(max_length=256)] = ()
    """Arguments; {shard}, {shards}, {begin} and {end} stand for numbers."""
    files: tuple[Path_, ...] = ()
    """Files and folders below the job file's that each shard finds in its folder "files"."""
    estimate_s: Seconds | None = None
    """What a shard takes at speed 1."""
    work_flop: Annotated[float, Meta(gt=0, le=1e18)] | None = None
    """Or the arithmetic of a shard."""
    input_bytes: Bytes | None = None
    """All input together: what is there must have this size."""
    output_bytes: Bytes = 0
    """What a shard is expected to put out."""
    limits: Limits = Limits()

    @property
    def seconds(self) -> float:
        if self.work_flop is not None:
            return max(1e-3, self.work_flop / FLOP_PER_S)
        return 1.0 if self.estimate_s is None else self.estimate_s


class Stage(Work, frozen=True, kw_only=True):
    """Shards that start when those of other stages have finished."""

    after: tuple[str, ...] = ()
    takes: Literal["each", "all"] = "each"
    """each: a shard takes the output of the shard of its number, of every stage it waits for."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Around a place on the ground by name or coordinates, or around a point of the sky."""

    place: str = ""
    latitude_deg: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude_deg: Annotated[float, Meta(ge=-180, le=360)] | None = None
    radius_km: Annotated[float, Meta(gt=0, le=20_040)] = 1_000.0
    sky: bool = False


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions on the nodes that run it."""

    labels: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=32)] = ()
    operator: Annotated[str, Meta(max_length=128)] = ""
    region: Region | None = None
    spread: Literal["", "planes", "operators"] = ""
    sunlit: bool = False


class Job(Work, frozen=True, kw_only=True):
    """A whole job."""

    name: Annotated[str, Meta(max_length=128)] = ""
    sink: str | None = None
    """The node that keeps the results; the one it is submitted to when None."""
    deadline_s: Annotated[float, Meta(gt=0, le=604_800)] = 600.0
    priority: Priority = 5
    placement: Placement = Placement()
    verify: Annotated[str, Meta(max_length=16, pattern=VERIFY)] = "none"
    stages: dict[Annotated[str, Meta(min_length=1, max_length=128)], Stage] = field(
        default_factory=dict
    )

    @property
    def works(self) -> dict[str, Work]:
        """Its stages by name, or itself under the name ""."""
        return dict(self.stages) if self.stages else {"": self}

    def said(self) -> dict[str, Any]:
        """As a document that says what differs from the defaults."""
        plain = msgspec.to_builtins(Job())
        whole = msgspec.to_builtins(self)
        kept = {key: value for key, value in whole.items() if value != plain[key]}
        empty = msgspec.to_builtins(Stage())
        if self.stages:
            kept["stages"] = {
                name: {key: value for key, value in stage.items() if value != empty[key]}
                for name, stage in whole["stages"].items()
            }
        return kept
