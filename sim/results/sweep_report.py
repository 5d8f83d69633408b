"""Sweep report: a sweep as one page: each metric against what was set, medians and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from protocols.errors import InputError
from sim.metrics import METRICS
from sim.results import page
from sim.results.compare import Group, groups_of, is_counter
from sim.results.drawing import BLUE, SERIES, Axes, Plot, legend
from sim.results.folder import Record
from sim.results.interval import interval_of
from sim.results.page import Raw
from sim.results.sweep import Plan, read_plan
from sim.results.units import figure, spoken, unit_of
from sim.scenario.changes import Change

PLOTS_MAX, LINES_MAX = 40, 9
Changes = tuple[Change, ...]


class Swept(NamedTuple):
    """A sweep's runs by what was set."""

    plan: Plan
    groups: Mapping[Changes, Group]

    @property
    def records(self) -> list[Record]:
        return [record for group in self.groups.values() for record in group.records]


def read_swept(place: Path) -> Swept:
    """The runs of a sweep's folder that are of its plan. InputError "no-sweep" or "no-run"."""
    plan, groups = read_plan(place), {}
    wanted = set(plan.seeds)
    values = dict(plan.axes)
    for group in groups_of([place]):
        changes = group.records[0].changes
        if [path for path, _ in changes] != list(values):
            continue
        runs = tuple(record for record in group.records if record.seed in wanted)
        if runs and all(value in values[path] for path, value in changes):
            groups[changes] = Group(group.label, runs)
    if not groups:
        raise InputError("no-run", f"no run of the sweep in {place} is finished")
    order = [(path, {value: n for n, value in enumerate(vs)}) for path, vs in plan.axes]
    rank = {c: [order[n][1][value] for n, (_, value) in enumerate(c)] for c in groups}
    return Swept(
        plan, {changes: groups[changes] for changes in sorted(groups, key=rank.__getitem__)}
    )


def write_sweep_report(path: Path, swept: Swept) -> None:
    path.write_text(sweep_report_of(swept), encoding="utf-8")


def sweep_report_of(swept: Swept) -> str:
    plan, records = swept.plan, swept.records
    met = sum(record.met for record in records)
    facts = f"{plan.driver} driver · {len(swept.groups)} settings · {len(plan.seeds)} seeds"
    said = page.verdict(
        met == len(records),
        f"{met} of {len(records)} runs as expected",
        f"{met} of {len(records)} runs as expected",
    )
    return page.page(
        f"{plan.scenario}, sweep",
        f'<header><h1>{escape(plan.scenario)}, swept</h1><p class="facts">{escape(facts)}</p>'
        f'<p class="verdict">{said}</p></header>',
        page.asked(plan.asked.question, plan.asked.method, plan.asked.expectation),
        page.section("Settings", _settings(swept)),
        page.section("Figures", page.figures(sweep_plots(swept))),
        page.section("Medians", _medians(swept)),
        page.section(
            "Run it again",
            f"<pre>{escape(plan.command)}</pre>",
            page.paragraph(
                "What is finished is not run again. Intervals are 95 % of 10,000 bootstrap medians "
                "from a fixed seed; with fewer than eight seeds they are coarse. Beside this page: "
                "sweep.csv (one row a run and metric), summary.json, and a folder for each run, "
                "whose own page `meshsim plot` draws."
            ),
        ),
        "<footer>Times are UTC.</footer>",
    )


def sweep_plots(swept: Swept) -> list[Plot]:
    """A figure for each metric that is not the same in every run."""
    groups = list(swept.groups.values())
    names = dict.fromkeys(name for record in swept.records for name in record.metrics)
    found = []
    for name in names:
        values = {v for g in groups for v in g.values(name).values() if v == v}
        if len(values) > 1 and not is_counter(name, groups):
            found.append(_plot(swept, name))
    return found[:PLOTS_MAX]


def _plot(swept: Swept, metric: str) -> Plot:
    axes_of_plan = swept.plan.axes
    unit = unit_of(metric)

    def paint(axes: Axes) -> None:
        if axes_of_plan:
            _against(axes, swept, metric)
        else:
            _by_seed(axes, swept, metric)
        axes.set_ylabel(unit or "count")

    what = METRICS[metric][0] if metric in METRICS else "measured by the script"
    return Plot(metric, spoken(metric), f"{what[:1].upper()}{what[1:]}.", paint)


def _against(axes: Axes, swept: Swept, metric: str) -> None:
    """The first axis across; a line for each combination of the others."""
    path, values = swept.plan.axes[0]
    numbers = [_number(value) for value in values]
    known = [number for number in numbers if number is not None]
    places = known if len(known) == len(values) else [float(n) for n in range(len(values))]
    where = dict(zip(values, places, strict=True))
    lines: dict[Changes, list[tuple[float, Group]]] = {}
    for changes, group in swept.groups.items():
        lines.setdefault(changes[1:], []).append((where[changes[0][1]], group))
    for number, (others, points) in enumerate(list(lines.items())[:LINES_MAX]):
        _line(axes, metric, points, SERIES[number % len(SERIES)], _label(others))
    if known != places:
        axes.set_xticks(places, [value[:18] for value in values])
    axes.set_xlabel(path)
    if len(lines) > 1:
        legend(axes, 2)


def _line(
    axes: Axes, metric: str, points: Sequence[tuple[float, Group]], colour: str, label: str
) -> None:
    for place, group in points:
        runs = list(group.values(metric).values())
        axes.plot([place] * len(runs), runs, ".", color=colour, alpha=0.3, markersize=4)
    spans = [(x, interval_of(list(group.values(metric).values()))) for x, group in points]
    known = [(x, span, span.median) for x, span in spans if span.median is not None]
    x, y = [x for x, _, _ in known], [median for _, _, median in known]
    low = [median - (m if (m := span.low) is not None else median) for _, span, median in known]
    high = [(m if (m := span.high) is not None else median) - median for _, span, median in known]
    style = {"capsize": 3, "markersize": 5, "color": colour, "label": label}
    axes.errorbar(x, y, yerr=[low, high], fmt="o-", **style)


def _by_seed(axes: Axes, swept: Swept, metric: str) -> None:
    for group in swept.groups.values():
        values = group.values(metric)
        axes.plot(list(values), list(values.values()), "o", color=BLUE, markersize=4)
        span = interval_of(list(values.values()))
        if span.median is not None:
            axes.axhline(span.median, color=BLUE, linewidth=1)
        if span.low is not None and span.high is not None:
            axes.axhspan(span.low, span.high, color=BLUE, alpha=0.14, linewidth=0)
    axes.set_xlabel("seed (the line is the median, the band its interval)")


def _settings(swept: Swept) -> str:
    rows = []
    for changes, group in swept.groups.items():
        met = sum(record.met for record in group.records)
        of = f"{met} of {len(group.records)}"
        same = met == len(group.records)
        rows.append((_label(changes) or "as written", page.verdict(same, of, of)))
    return page.table(("set", "runs as expected"), rows)


def _medians(swept: Swept) -> str:
    groups = list(swept.groups.values())
    names = dict.fromkeys(name for record in swept.records for name in record.metrics)
    header = ("metric", "unit", *(_label(changes) or "as written" for changes in swept.groups))
    rows = []
    for name in names:
        if is_counter(name, groups):
            continue
        spans = [interval_of(list(group.values(name).values())) for group in groups]
        if any(span.n for span in spans):
            cells = [_span(span.median, span.low, span.high) for span in spans]
            rows.append((Raw(f"<code>{escape(name)}</code>"), unit_of(name), *cells))
    return page.table(header, rows)


def _span(median: float | None, low: float | None, high: float | None) -> str:
    if median is None:
        return "none"
    if low is None or high is None or low == high:
        return figure(median)
    return f"{figure(median)} ({figure(low)} to {figure(high)})"


def _label(changes: Changes) -> str:
    return ", ".join(f"{path} = {value}" for path, value in changes)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
