"""State: figures of the mesh as a whole: links, queues, and what nodes know of each other."""

from __future__ import annotations

from sim.outcome import Outcome
from sim.results.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    Axes,
    Clock,
    Plot,
    Size,
    fits,
    legend,
)
from sim.results.series import Series, line, timeline

LINKS_SHOWN = 12


def state_plots(outcome: Outcome, series: Series, clock: Clock) -> list[Plot]:
    """Of these, the figures that there are samples for."""
    made = (_gossip, _utilisation, _busiest, _queue, _links)
    found = (make(outcome, series, clock) for make in made)
    return [plot for plot in found if plot is not None]


def _gossip(outcome: Outcome, series: Series, clock: Clock) -> Plot | None:
    known, alive = (series.get(metric, {}).get("") for metric in ("known_share", "alive"))
    if not known:
        return None

    def paint(axes: Axes) -> None:
        x = [clock.after(row.at) for row in known]
        axes.plot(
            x,
            [100 * row.value for row in known],
            color=GREEN,
            drawstyle="steps-post",
            label="known",
        )
        if alive:
            share = [100 * row.value / len(outcome.nodes) for row in alive]
            axes.plot(x[: len(share)], share, color=GREY, drawstyle="steps-post", label="alive")
        axes.set_ylim(-3, 104)
        axes.set_ylabel("%")
        timeline(axes, clock, outcome)
        legend(axes)

    caption = (
        "Known: of all pairs of living nodes, those where the first has heard of the second. "
        "Alive: of all nodes, those that run."
    )
    return Plot("gossip", "Gossip convergence", caption, paint)


def _utilisation(outcome: Outcome, series: Series, clock: Clock) -> Plot | None:
    worst = series.get("link_utilisation_worst", {}).get("")
    mean = series.get("link_utilisation_mean", {}).get("", ())
    if not worst:
        return None

    def paint(axes: Axes) -> None:
        for rows, colour, label in ((worst, ORANGE, "fullest link"), (mean, BLUE, "mean of links")):
            x = [clock.after(row.at) for row in rows]
            y = [max(100 * row.value, 1e-7) for row in rows]
            axes.plot(x, y, color=colour, drawstyle="steps-pre", label=label)
        axes.set_yscale("log")
        axes.set_ylabel("of what the link can carry, %")
        timeline(axes, clock, outcome)
        legend(axes)

    caption = (
        "Sent between two samples over what could have been, of the fuller way of each link that "
        "is up. The axis is logarithmic."
    )
    return Plot("utilisation", "Link utilisation", caption, paint)


def _busiest(outcome: Outcome, series: Series, clock: Clock) -> Plot | None:
    totals = [rows[-1] for rows in series.get("link_bytes", {}).values()][:LINKS_SHOWN]
    if not totals:
        return None

    def paint(axes: Axes) -> None:
        names = [row.subject.replace("|", " – ") for row in totals]
        axes.barh(range(len(totals)), [row.value / 1e6 for row in totals], color=BLUE, height=0.62)
        axes.set_yticks(range(len(totals)), names, fontsize=8)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("both ways, MB")

    size = Size(height_in=fits(len(totals)))
    return Plot("busiest", "Busiest links", "Bytes over the whole run.", paint, size)


def _queue(outcome: Outcome, series: Series, clock: Clock) -> Plot | None:
    held, most = (series.get(metric, {}).get("") for metric in ("held", "held_max"))
    if not held:
        return None

    def paint(axes: Axes) -> None:
        line(axes, clock, held, BLUE, "all nodes")
        line(axes, clock, most or (), ORANGE, "the fullest node")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("packets in custody")
        timeline(axes, clock, outcome)
        legend(axes)

    caption = "Packets that nodes hold until the next hop accepts them, or a contact begins."
    return Plot("queue", "Queue depth", caption, paint)


def _links(outcome: Outcome, series: Series, clock: Clock) -> Plot | None:
    planned, up = (series.get(metric, {}).get("") for metric in ("links_planned", "links_up"))
    if not planned or not any(row.value for row in planned):
        return None

    def paint(axes: Axes) -> None:
        line(axes, clock, planned, GREY, "planned between living nodes")
        line(axes, clock, up or (), PURPLE, "of those, up at both ends")
        axes.set_ylabel("links")
        timeline(axes, clock, outcome)
        legend(axes, 2)

    return Plot("links", "Links, planned and up", "As sampled.", paint)
