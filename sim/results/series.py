"""Series: samples over time, whatever their metric: what is not known is drawn all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from meshd.ephemeris import format_time
from sim.outcome import Outcome, Sample
from sim.results.drawing import (
    BLUE,
    ORANGE,
    Axes,
    Clock,
    Plot,
    Size,
    fits,
    legend,
    shades,
)
from sim.results.units import spoken, unit_of

Series: TypeAlias = Mapping[str, Mapping[str, Sequence[Sample]]]
"""Metric, subject, samples in time order."""

SPARSE = ("held", "shards_held")
"""Metrics whose subjects have no sample where they are 0."""

CLAIMED = (
    *("held", "held_max", "known_share", "alive", "links_planned", "links_up", "link_bytes"),
    *("link_utilisation_mean", "link_utilisation_worst", "traffic_bytes_s"),
)
"""Metrics that have figures of their own; all others get one each from here."""

LINES_MAX, ROWS_MAX, MARKS_MAX = 6, 40, 12


def series_of(samples: Iterable[Sample]) -> Series:
    found: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        found.setdefault(sample.metric, {}).setdefault(sample.subject, []).append(sample)
    return found


def series_plots(outcome: Outcome, series: Series, clock: Clock) -> list[Plot]:
    """A figure for every metric that has none of its own, and for what nodes hold, by node."""
    plots = []
    for metric, subjects in series.items():
        named = {subject: rows for subject, rows in subjects.items() if subject}
        if metric in SPARSE:
            if named:
                plots.append(_grid(outcome, metric, named, clock))
            continue
        if metric in CLAIMED:
            continue
        if subjects.get(""):
            plots.append(_whole(outcome, metric, subjects[""], clock))
        if named:
            few = len(named) <= LINES_MAX
            plots.append((_lines if few else _spread)(outcome, metric, named, clock))
    return plots


def line(axes: Axes, clock: Clock, rows: Sequence[Sample], colour: str, label: str = "") -> None:
    """What was sampled, as it was: no value is drawn between two samples that nobody took."""
    x = [clock.after(row.at) for row in rows]
    axes.plot(x, [row.value for row in rows], color=colour, label=label, drawstyle="steps-post")


def timeline(axes: Axes, clock: Clock, outcome: Outcome) -> None:
    """The time axis, and what the timeline did as marks on it."""
    axes.set_xlim(0, clock.after(outcome.finish))
    axes.set_xlabel(f"{clock.word} after {format_time(clock.start)[:19].replace('T', ' ')} UTC")
    shown = outcome.happened[:MARKS_MAX]
    for done in shown:
        axes.axvline(clock.after(done.at), color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
    for done in shown if len(shown) <= 4 else ():
        place = (clock.after(done.at), 1.01)
        where = ("data", "axes fraction")
        axes.annotate(done.what, place, xycoords=where, color=ORANGE, fontsize=8, ha="center")


def _named(metric: str) -> str:
    unit = unit_of(metric)
    return f"{spoken(metric)}, {unit}" if unit else spoken(metric)


def _whole(outcome: Outcome, metric: str, rows: Sequence[Sample], clock: Clock) -> Plot:
    def paint(axes: Axes) -> None:
        line(axes, clock, rows, BLUE)
        axes.set_ylabel(_named(metric))
        timeline(axes, clock, outcome)

    return Plot(metric, spoken(metric), "Of the whole mesh, as sampled.", paint)


def _lines(
    outcome: Outcome, metric: str, named: Mapping[str, Sequence[Sample]], clock: Clock
) -> Plot:
    def paint(axes: Axes) -> None:
        for subject, rows in named.items():
            x = [clock.after(row.at) for row in rows]
            axes.plot(x, [row.value for row in rows], label=subject)
        axes.set_ylabel(_named(metric))
        timeline(axes, clock, outcome)
        legend(axes)

    return Plot(f"{metric}-each", f"{spoken(metric)}, each", "As sampled.", paint)


def _spread(
    outcome: Outcome, metric: str, named: Mapping[str, Sequence[Sample]], clock: Clock
) -> Plot:
    def paint(axes: Axes) -> None:
        at: dict[int, list[float]] = {}
        for rows in named.values():
            for row in rows:
                at.setdefault(row.at, []).append(row.value)
        instants = sorted(at)
        x = [clock.after(instant) for instant in instants]
        cuts = np.array([np.nanpercentile(at[t], (0, 25, 50, 75, 100)) for t in instants]).T
        axes.fill_between(x, cuts[0], cuts[4], color=BLUE, alpha=0.15, linewidth=0, label="all")
        axes.fill_between(x, cuts[1], cuts[3], color=BLUE, alpha=0.3, linewidth=0, label="half")
        axes.plot(x, cuts[2], color=BLUE, label="median")
        axes.set_ylabel(_named(metric))
        timeline(axes, clock, outcome)
        legend(axes)

    caption = f"Over {len(named)}: the median, the middle half, and all between least and most."
    return Plot(f"{metric}-each", f"{spoken(metric)}, spread", caption, paint)


def _grid(
    outcome: Outcome, metric: str, named: Mapping[str, Sequence[Sample]], clock: Clock
) -> Plot:
    """Subjects down, time across, darker for more; the busiest ROWS_MAX of them."""
    total = {subject: sum(row.value for row in rows) for subject, rows in named.items()}
    busiest = sorted(sorted(total, key=lambda name: (-total[name], name))[:ROWS_MAX])
    instants = sorted({row.at for row in outcome.samples})
    column = {at: number for number, at in enumerate(instants)}

    def paint(axes: Axes) -> None:
        cells = np.full((len(busiest), len(instants)), np.nan)
        for number, subject in enumerate(busiest):
            for row in named[subject]:
                cells[number, column[row.at]] = row.value
        edges = [clock.after(at) for at in (*instants, outcome.finish)]
        edges[-1] = max(edges[-1], edges[-2] + 1e-9)
        mesh = axes.pcolormesh(
            edges, range(len(busiest) + 1), cells, cmap=shades(), rasterized=True, vmin=0
        )
        axes.set_yticks([number + 0.5 for number in range(len(busiest))], busiest, fontsize=7.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        if np.nanmax(cells) > 1:
            bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
            bar.outline.set_visible(False)
        timeline(axes, clock, outcome)

    more = f" The {ROWS_MAX} busiest of {len(named)} nodes." if len(named) > ROWS_MAX else ""
    title = {"held": "Packets held, by node", "shards_held": "Shards held, by node"}[metric]
    caption = f"As sampled, the deeper the more; empty is none.{more}"
    return Plot(f"{metric}-each", title, caption, paint, Size(height_in=fits(len(busiest))))
