"""Sweep: one scenario under many seeds and settings; what was run before is not run again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from protocols.errors import InputError
from sim.result import result_of
from sim.results import tables
from sim.results.compare import Group, is_counter
from sim.results.folder import RUNS, Record, Run, read_record, word_of, write
from sim.results.interval import Interval, interval_of
from sim.results.trial import Axis, Finished, Trial
from sim.results.workers import Workers
from sim.scenario.changes import Change, parse_change
from sim.scenario.errors import ScenarioError
from sim.scenario.reading import Document
from sim.scenario.schema import Scenario

PLAN, TABLE, SUMMARY = "sweep.json", "sweep.csv", "summary.json"

_SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?")
_SEED_RANGE_MAX = 100_000


class Plan(msgspec.Struct, frozen=True):
    """`sweep.json`: what a sweep's folder is of."""

    scenario: str
    driver: str
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    command: str
    asked: Scenario
    """As written, before anything was set otherwise."""


class Failure(msgspec.Struct, frozen=True):
    """A run that came to no result: it is run again the next time."""

    changes: tuple[Change, ...]
    seed: int
    code: str
    message: str


class Setting(msgspec.Struct, frozen=True):
    """What came of all seeds under one setting."""

    changes: tuple[Change, ...]
    runs: int
    met: int
    metrics: dict[str, Interval]


class Summary(msgspec.Struct, frozen=True):
    """`summary.json`."""

    scenario: str
    driver: str
    runs: int
    met: int
    settings: tuple[Setting, ...]
    failed: tuple[Failure, ...]


class Progress(NamedTuple):
    """How far a sweep is, and what ended last; None before the first."""

    done: int
    total: int
    last: Trial | None = None
    trouble: str = ""


Tell: TypeAlias = Callable[[Progress], None]


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0..31`, `1,2,5` or both: in order, none twice. Raises InputError "bad-seeds"."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        found = _SEEDS.fullmatch(part.strip())
        begin = int(found[1]) if found else 0
        end = int(found[2]) if found and found[2] else begin
        if found is None or not begin <= end < begin + _SEED_RANGE_MAX:
            raise InputError("bad-seeds", f"write seeds as 0..31 or 1,2,5, not {text!r}")
        seeds |= dict.fromkeys(range(begin, end + 1))
    return tuple(seeds)


def parse_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """`link.loss=0,0.01` as a path and its values. Raises ScenarioError."""
    axes = tuple(map(parse_change, texts))
    paths = [path for path, _ in axes]
    for path in paths:
        if paths.count(path) > 1:
            raise ScenarioError("set twice: give all its values in one --set", path)
    return axes


def default_place(scenario: str, driver: str) -> Path:
    return RUNS / f"{word_of(scenario)}-{driver}-sweep"


class Sweep(NamedTuple):
    """What is swept, and the folder that keeps it."""

    place: Path
    plan: Plan
    document: Document
    trials: Sequence[Trial]


def carry(sweep: Sweep, workers: Workers, tell: Tell) -> Summary:
    """Run what has not been run, each into its own folder, and sum up. May be interrupted at any
    time and called again. Raises InputError "folder-in-use"."""
    place, trials = sweep.place, sweep.trials
    claim(place, sweep.plan)
    todo = [trial for trial in trials if record_of(place, trial) is None]
    done, failed = len(trials) - len(todo), []
    tell(Progress(done, len(trials)))
    if todo:
        with closing(workers.run(todo)) as results:
            for trial, finished in results:
                done += 1
                if finished.outcome is None:
                    about = (trial.changes, trial.seed, finished.code, finished.message)
                    failed.append(Failure(*about))
                else:
                    _keep(sweep, trial, finished)
                tell(Progress(done, len(trials), trial, finished.code))
    return _sum_up(sweep, failed)


def _sum_up(sweep: Sweep, failed: Sequence[Failure]) -> Summary:
    """Write the table and the summary of what there is."""
    place, plan, _, trials = sweep
    kept = [(trial, record_of(place, trial)) for trial in trials]
    done = [(trial, record) for trial, record in kept if record is not None]
    _write_table(place, plan, done)
    groups: dict[tuple[Change, ...], list[Record]] = {}
    for trial, record in done:
        groups.setdefault(trial.changes, []).append(record)
    order = {trial.changes: number for number, trial in enumerate(trials)}
    summary = Summary(
        scenario=plan.scenario,
        driver=plan.driver,
        runs=len(done),
        met=sum(record.met for _, record in done),
        settings=tuple(_setting(changes, records) for changes, records in groups.items()),
        failed=tuple(sorted(failed, key=lambda one: (order[one.changes], one.seed))),
    )
    text = msgspec.json.format(msgspec.json.encode(summary))
    _replace(place / SUMMARY, text + b"\n")
    return summary


def record_of(place: Path, trial: Trial) -> Record | None:
    """The record of a trial that was finished; None while it was not, or of another scenario."""
    try:
        record = read_record(place / trial.place)
    except InputError:
        return None
    return record if trial.is_done(record) else None


def read_plan(place: Path) -> Plan:
    """Raises InputError "no-sweep"."""
    try:
        return msgspec.json.decode((place / PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError):
        said = f"{place} holds no sweep; `meshsim sweep` makes them"
        raise InputError("no-sweep", said) from None


def claim(place: Path, plan: Plan) -> None:
    """Take a free folder, or one of an earlier sweep of the same scenario and driver."""
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        try:
            there = read_plan(place)
        except InputError:
            said = f"{place} holds something else; give --out"
            raise InputError("folder-in-use", said) from None
        if (there.scenario, there.driver) != (plan.scenario, plan.driver):
            said = f"{place} holds a sweep of {there.scenario} under {there.driver}; give --out"
            raise InputError("folder-in-use", said)
    place.mkdir(parents=True, exist_ok=True)
    _replace(place / PLAN, msgspec.json.format(msgspec.json.encode(plan)) + b"\n")


def _keep(sweep: Sweep, trial: Trial, finished: Finished) -> None:
    assert finished.outcome is not None and finished.chart is not None
    one = replace(sweep.document, scenario=trial.scenario)
    result = result_of(trial.scenario, finished.outcome, finished.wall_seconds)
    run = Run(one, trial.changes, result, finished.outcome, finished.chart)
    write(sweep.place / trial.place, run, report=False)


def _setting(changes: tuple[Change, ...], records: Sequence[Record]) -> Setting:
    groups = [Group("", tuple(records))]
    names = dict.fromkeys(name for record in records for name in record.metrics)
    metrics = {
        name: interval_of(list(groups[0].values(name).values()))
        for name in names
        if not is_counter(name, groups)
    }
    return Setting(changes, len(records), sum(record.met for record in records), metrics)


def _write_table(place: Path, plan: Plan, done: Sequence[tuple[Trial, Record]]) -> None:
    """One row a run and metric. No wall time in it: the same runs give the same bytes."""
    paths = [path for path, _ in plan.axes]

    def rows() -> Iterator[tuple[object, ...]]:
        for trial, record in done:
            values = dict(trial.changes)
            about = (trial.driver, *(values[path] for path in paths), trial.seed)
            yield (*about, "as_expected", int(record.met))
            for name, value in record.metrics.items():
                yield (*about, name, "" if value != value else value)

    fresh = place / f".{TABLE}.part"
    tables.write_rows(fresh, ("driver", *paths, "seed", "metric", "value"), rows())
    fresh.replace(place / TABLE)


def _replace(path: Path, text: bytes) -> None:
    fresh = path.with_name(f".{path.name}.part-{os.getpid()}")
    fresh.write_bytes(text)
    fresh.replace(path)
