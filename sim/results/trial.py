"""Trial: one run of a sweep, which any process with the same program can carry out."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path, PurePath

import msgspec

from protocols.errors import MeshError
from sim.checkers import Violation
from sim.experiment import DriverName, prepare, run_experiment
from sim.outcome import Outcome
from sim.results.chart import Chart, chart_of
from sim.results.folder import AS_WRITTEN, Record, digest_of, slug_of
from sim.scenario.changes import Change, changed
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import Document
from sim.scenario.schema import Scenario

TRIALS_MAX = 100_000

Axis = tuple[str, tuple[str, ...]]
"""A path into the scenario, and the values it takes."""


class Trial(msgspec.Struct, frozen=True):
    """What to run. `files` are the scenario's script and catalogue: they travel with it."""

    scenario: Scenario
    changes: tuple[Change, ...]
    driver: DriverName
    seed: int
    digest: str
    files: dict[str, bytes]

    @property
    def place(self) -> PurePath:
        """Where its results are within the sweep's folder."""
        return PurePath(slug_of(self.changes) or AS_WRITTEN, f"seed-{self.seed}")

    def is_done(self, record: Record) -> bool:
        """Whether this record is of the very run: same scenario, seed, driver and version."""
        return (record.digest, record.seed, record.driver, record.versions.get("meshd")) == (
            *(self.digest, self.seed, self.driver),
            version("meshd"),
        )


class Finished(msgspec.Struct, frozen=True):
    """What came of a trial: an outcome, or the code and words of what went wrong."""

    wall_seconds: float
    outcome: Outcome | None = None
    chart: Chart | None = None
    code: str = ""
    message: str = ""


def trials_of(
    document: Document, axes: Sequence[Axis], driver: DriverName, seeds: Iterable[int]
) -> list[Trial]:
    """Every combination of values under every seed. Raises ScenarioError for a bad one."""
    choices = [[(path, value) for value in values] for path, values in axes]
    files = _files(document)
    trials: list[Trial] = []
    wanted = tuple(dict.fromkeys(seeds))
    for changes in itertools.product(*choices):
        one = replace(document, scenario=changed(document.scenario, changes))
        digest = digest_of(one)
        if len(trials) + len(wanted) > TRIALS_MAX:
            raise ScenarioError(f"a sweep has at most {TRIALS_MAX} runs")
        for seed in wanted:
            trials.append(Trial(one.scenario, changes, driver, seed, digest, files))
    return trials


def carry_out(trial: Trial) -> bytes:
    """Run it: a `Finished` as msgpack. What is wrong with the run is told, not raised."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="meshsim-") as folder:
        for name, data in trial.files.items():
            (Path(folder) / Path(name).name).write_bytes(data)
        document = Document(Path(folder) / "scenario.toml", "", _beside(trial.scenario))
        try:
            setting = prepare(document)
            outcome = run_experiment(document, trial.driver, trial.seed, setting=setting)
        except MeshError as error:
            done = Finished(time.perf_counter() - began, None, None, error.code, error.message)
        except Violation as violation:
            took_s = time.perf_counter() - began
            done = Finished(took_s, None, None, "invariant-broken", str(violation))
        else:
            chart = chart_of(setting, trial.scenario.start)
            done = Finished(time.perf_counter() - began, outcome, chart)
    return msgspec.msgpack.encode(done)


def finished_of(data: bytes) -> Finished:
    return msgspec.msgpack.decode(data, type=Finished)


def _beside(scenario: Scenario) -> Scenario:
    """Its files are in its own folder now, whatever path they had."""
    names = {"script": Path(scenario.script).name, "catalog": Path(scenario.catalog).name}
    return msgspec.structs.replace(scenario, **names)


def _files(document: Document) -> dict[str, bytes]:
    names = (document.scenario.script, document.scenario.catalog)
    paths = (document.folder / name for name in names if name)
    return {path.name: path.read_bytes() for path in paths if path.is_file()}
