"""Plots: everything that can be drawn of a run, by name."""

from __future__ import annotations

from protocols.errors import NotFound
from sim.outcome import Outcome
from sim.results.chart import Chart
from sim.results.drawing import Clock, Plot
from sim.results.gantt import job_plots
from sim.results.journeys import journey_plots
from sim.results.map import map_plot
from sim.results.series import series_of, series_plots
from sim.results.state import state_plots
from sim.scenario.errors import nearest


def plots_of(outcome: Outcome, chart: Chart) -> list[Plot]:
    """In the order of a report. A plot is there when there is something to draw."""
    clock = Clock.of(outcome.start, outcome.finish)
    series = series_of(outcome.samples)
    return [
        *map_plot(chart, outcome),
        *journey_plots(outcome, clock),
        *state_plots(outcome, series, clock),
        *series_plots(outcome, series, clock),
        *job_plots(outcome, clock),
    ]


def plot_named(plots: list[Plot], name: str) -> Plot:
    """The plot of this name. Raises NotFound "no-figure" with the nearest."""
    for plot in plots:
        if plot.name == name:
            return plot
    hint = nearest(name, [plot.name for plot in plots])
    raise NotFound("no-figure", f"there is no figure {name!r} here{hint}")
