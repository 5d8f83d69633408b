"""Compare: folders of runs side by side, metric by metric, and whether they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from protocols.errors import InputError
from sim.metrics import METRICS
from sim.results.folder import AS_WRITTEN, RECORD, Record, read_record, slug_of
from sim.results.interval import Interval, difference, interval_of
from sim.results.units import unit_of
from sim.scenario.changes import Change


class Group(NamedTuple):
    """Runs that are compared as one: of one folder, or of one setting of a sweep."""

    label: str
    records: tuple[Record, ...]

    def values(self, metric: str) -> dict[int, float]:
        """By seed. NaN where there was nothing to measure, or no such metric."""
        return {r.seed: r.metrics.get(metric, float("nan")) for r in self.records}


class Cell(msgspec.Struct, frozen=True):
    """One metric of one group. What compares with the first group is None for that itself."""

    value: Interval
    difference: Interval | None = None
    paired: bool = False
    verdict: str = ""
    """`same`, `higher`, `lower`, or `unclear` when the interval holds 0; with one run each
    `differs`, since one run has no interval."""


class Row(msgspec.Struct, frozen=True):
    metric: str
    unit: str
    cells: tuple[Cell, ...]


class Comparison(msgspec.Struct, frozen=True):
    """`met`: of each group (as expected, runs)."""

    groups: tuple[str, ...]
    drivers: tuple[str, ...]
    scenarios: tuple[str, ...]
    met: tuple[tuple[int, int], ...]
    rows: tuple[Row, ...]


def compare(groups: Sequence[Group], everything: bool = False) -> Comparison:
    """Every group beside the first. Counters and notes are left out unless asked for."""
    names = dict.fromkeys(name for g in groups for r in g.records for name in r.metrics)
    found = (_row(name, groups) for name in names if everything or not is_counter(name, groups))
    return Comparison(
        groups=tuple(group.label for group in groups),
        drivers=tuple(", ".join(sorted({r.driver for r in g.records})) for g in groups),
        scenarios=tuple(", ".join(sorted({r.scenario for r in g.records})) for g in groups),
        met=tuple((sum(r.met for r in g.records), len(g.records)) for g in groups),
        rows=tuple(row for row in found if any(cell.value.n for cell in row.cells)),
    )


def is_counter(name: str, groups: Iterable[Group]) -> bool:
    """Whether a metric is neither in `meshsim metrics` nor expected of a script's own."""
    if name in METRICS:
        return False
    asked = {word for g in groups for r in g.records for word in r.asked.expect}
    return not {name, f"{name}_min", f"{name}_max"} & asked


def groups_of(folders: Sequence[Path]) -> list[Group]:
    """A group a folder, or of a sweep a group a setting. InputError "no-run" for an empty one."""
    groups = []
    for folder in folders:
        if (folder / RECORD).is_file():
            groups.append(Group(folder.name, (read_record(folder),)))
            continue
        records = [read_record(path.parent) for path in sorted(folder.glob(f"**/{RECORD}"))]
        if not records:
            read_record(folder)  # says what is missing
        by_change: dict[tuple[Change, ...], list[Record]] = {}
        for record in sorted(records, key=lambda record: record.seed):
            by_change.setdefault(record.changes, []).append(record)
        for changes, runs in by_change.items():
            _check_one_each(folder, runs)
            label = slug_of(changes) or AS_WRITTEN if len(by_change) > 1 else folder.name
            if len(by_change) > 1 and len(folders) > 1:
                label = f"{folder.name}/{label}"
            groups.append(Group(label, tuple(runs)))
    return _told_apart(groups)


def _check_one_each(folder: Path, runs: Sequence[Record]) -> None:
    if len({record.seed for record in runs}) < len(runs):
        said = f"{folder} has several runs of one seed and setting: name the folders one by one"
        raise InputError("mixed-runs", said)


def _told_apart(groups: list[Group]) -> list[Group]:
    labels = [group.label for group in groups]
    if len(set(labels)) == len(labels):
        return groups
    return [group._replace(label=f"{n}: {group.label}") for n, group in enumerate(groups, 1)]


def _row(metric: str, groups: Sequence[Group]) -> Row:
    first = groups[0].values(metric)
    cells = [Cell(interval_of(list(first.values())))]
    for group in groups[1:]:
        values = group.values(metric)
        apart, paired = difference(first, values)
        said = verdict_of(apart, first, values)
        cells.append(Cell(interval_of(list(values.values())), apart, paired, said))
    return Row(metric, unit_of(metric), tuple(cells))


def verdict_of(apart: Interval, ours: dict[int, float], theirs: dict[int, float]) -> str:
    """A word for a difference; "" where one side has no figure."""
    if apart.median is None:
        return ""
    known = [sorted(v for v in side.values() if v == v) for side in (ours, theirs)]
    if known[0] == known[1] and apart.median == 0 and not apart.low and not apart.high:
        return "same"
    if apart.low is None or apart.high is None:
        return "differs"
    if apart.low > 0:
        return "higher"
    return "lower" if apart.high < 0 else "unclear"
