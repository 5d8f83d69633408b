"""Folder: what a run leaves behind, written whole or not at all, and read back."""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from protocols.errors import InputError
from sim.outcome import Outcome
from sim.result import Result
from sim.results import tables
from sim.results.chart import Chart
from sim.results.tracefile import TraceFile
from sim.scenario.changes import Change
from sim.scenario.reading import EXPERIMENTS, Document
from sim.scenario.schema import Scenario

FORMAT = 1
RECORD, OUTCOME, CHART, REPORT = "result.json", "outcome.msgpack.gz", "map.json", "report.html"
RUNS = Path("runs")
AS_WRITTEN = "as-written"
"""The slug of no change at all, where one is needed."""


class Record(Result, frozen=True, kw_only=True):
    """`result.json`: what a run says, and all that is needed to have it say so again."""

    format: int = FORMAT
    digest: str
    """Of the scenario as it was run, with its script and catalogue."""
    changes: tuple[Change, ...] = ()
    command: str
    """What makes this result again."""
    versions: dict[str, str]
    asked: Scenario
    """The scenario as it was run."""


class Run(NamedTuple):
    """A run that is over, and what was asked."""

    document: Document
    changes: tuple[Change, ...]
    result: Result
    outcome: Outcome
    chart: Chart
    trace: TraceFile | None = None

    @property
    def record(self) -> Record:
        return Record(
            **{field: getattr(self.result, field) for field in Result.__struct_fields__},
            digest=digest_of(self.document),
            changes=self.changes,
            command=command_of(self.document, self.changes, self.result.driver, self.result.seed),
            versions=versions(),
            asked=self.document.scenario,
        )


class Kept(NamedTuple):
    """A folder read back."""

    path: Path
    record: Record
    outcome: Outcome
    chart: Chart


def digest_of(document: Document) -> str:
    """Same digest, same seed, same driver and version: the same run."""
    scenario = document.scenario
    found = hashlib.blake2b(msgspec.json.encode(scenario, order="sorted"), digest_size=16)
    for name in (scenario.script, scenario.catalog):
        path = document.folder / name
        found.update(path.read_bytes() if name and path.is_file() else b"")
        found.update(b"\0")
    return found.hexdigest()


def versions() -> dict[str, str]:
    """What the figures may depend on."""
    named = {name: version(name) for name in ("meshd", "numpy", "msgspec")}
    return {**named, "python": platform.python_version(), "machine": platform.machine()}


def command_of(document: Document, changes: tuple[Change, ...], driver: str, seed: int) -> str:
    """The one command that makes a run again."""
    bundled = document.path.parent == EXPERIMENTS
    word = document.path.stem if bundled else str(document.path)
    words = ["meshsim", "run", word, "--driver", driver, "--seed", str(seed)]
    for path, value in changes:
        words += ["--set", f"{path}={value}"]
    return shlex.join(words)


def slug_of(changes: tuple[Change, ...]) -> str:
    """Changes as a part of a folder's name."""
    text = ",".join(f"{path}={value}" for path, value in changes)
    safe = "".join(c if c.isalnum() or c in "._=,+-[]" else "_" for c in text)
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return safe if safe == text and len(safe) <= 100 else f"{safe[:90]}-{digest}"


def default_folder(scenario: str, changes: tuple[Change, ...], driver: str, seed: int) -> Path:
    """`runs/quickstart-heap-1`, with what was set otherwise at the end."""
    changed = f"-{slug_of(changes)}" if changes else ""
    return RUNS / f"{word_of(scenario)}-{driver}-{seed}{changed}"


def check_free(path: Path, scenario: str, driver: str, seed: int) -> None:
    """Refuse to replace anything but an earlier run of the same. InputError "folder-in-use"."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        there = read_record(path)
    except InputError:
        raise InputError("folder-in-use", f"{path} holds something else; give --out") from None
    if (there.scenario, there.driver, there.seed) != (scenario, driver, seed):
        held = f"{there.scenario} under {there.driver}, seed {there.seed}"
        raise InputError("folder-in-use", f"{path} holds a run of {held}; give --out")


def write(path: Path, run: Run, report: bool = True) -> None:
    """Everything a run leaves, in place at once. Raises InputError "folder-in-use"."""
    record = run.record
    check_free(path, record.scenario, record.driver, record.seed)
    with replacing(path) as fresh:
        (fresh / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        (fresh / CHART).write_bytes(msgspec.json.encode(run.chart))
        packed = gzip.compress(msgspec.msgpack.encode(run.outcome), mtime=0)
        (fresh / OUTCOME).write_bytes(packed)
        tables.write(fresh, run.outcome)
        _keep_texts(fresh, run.document)
        if run.trace is not None:
            run.trace.keep_in(fresh)
        if report:
            from sim.results.report import write_report  # matplotlib: not before it is needed

            write_report(fresh / REPORT, Kept(path, record, run.outcome, run.chart))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path` that takes its place when all went well."""
    fresh = path.with_name(f".{path.name}.part-{os.getpid()}")
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    except OSError as error:
        said = f"cannot write {path}: {error.strerror or error}"
        raise InputError("folder-unwritable", said) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read(path: Path) -> Kept:
    """A run's folder. Raises InputError: "no-run" for what holds none, "bad-run" for a torn one."""
    record, outcome = read_record(path), read_outcome(path)
    try:
        chart = msgspec.json.decode((path / CHART).read_bytes(), type=Chart)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise InputError("bad-run", f"{path} is damaged: {error}; run it again") from None
    return Kept(path, record, outcome, chart)


def read_outcome(path: Path) -> Outcome:
    """The outcome of a run's folder. Raises InputError "no-run" or "bad-run"."""
    if not (path / OUTCOME).is_file():
        raise InputError("no-run", f"{path} holds no run (no {OUTCOME}); `meshsim run` makes them")
    try:
        packed = gzip.decompress((path / OUTCOME).read_bytes())
        return msgspec.msgpack.decode(packed, type=Outcome)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise InputError("bad-run", f"{path} is damaged: {error}; run it again") from None


def read_record(path: Path) -> Record:
    """`result.json` of a run's folder. Raises InputError "no-run" or "bad-run"."""
    try:
        text = (path / RECORD).read_bytes()
    except OSError:
        said = f"{path} holds no run (no {RECORD}); `meshsim run` and `meshsim sweep` make them"
        raise InputError("no-run", said) from None
    try:
        return decode_record(text)
    except msgspec.DecodeError as error:
        raise InputError("bad-run", f"{path / RECORD}: {error}") from None


def decode_record(text: bytes) -> Record:
    """A record from its JSON, where null stands for a figure there was none of."""
    data: dict[str, Any] = msgspec.json.decode(text)
    if isinstance(data, dict):
        metrics = data.get("metrics") or {}
        data["metrics"] = {k: float("nan") if v is None else v for k, v in metrics.items()}
        for clause in data.get("expectations") or ():
            if clause.get("measured") is None:
                clause["measured"] = float("nan")
    return msgspec.convert(data, Record)


def _keep_texts(fresh: Path, document: Document) -> None:
    """The scenario as it was written, and its script."""
    if document.text:
        (fresh / "scenario.toml").write_text(document.text, encoding="utf-8")
    if document.scenario.script:
        script = document.folder / document.scenario.script
        shutil.copyfile(script, fresh / script.name)


def word_of(name: str) -> str:
    """A scenario's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".") or "run"
