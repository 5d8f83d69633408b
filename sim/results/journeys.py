"""Journeys: figures of packets: latency beside its prediction, and the ways they took."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from protocols.types import MICROSECOND, MILLISECOND
from sim.outcome import Outcome, PacketFate
from sim.results.drawing import (
    BLUE,
    GREY,
    INK,
    RED,
    SERIES,
    Axes,
    Clock,
    Plot,
    Size,
    few,
    fits,
    legend,
)
from sim.results.series import timeline

PAIRS_MAX = 24


def journey_plots(outcome: Outcome, clock: Clock) -> list[Plot]:
    """Latency, excess and paths, each when there is a packet to show."""
    found = (_latency(outcome, clock), _excess(outcome, clock), _paths(outcome, clock))
    return [plot for plot in found if plot is not None]


def _latency(outcome: Outcome, clock: Clock) -> Plot | None:
    packets = outcome.packets
    arrived = [packet for packet in packets if packet.latency_ns is not None]
    if not packets:
        return None
    lost = [packet for packet in packets if packet.latency_ns is None and packet.lost]

    def paint(axes: Axes) -> None:
        style = {"linestyle": "none", "rasterized": not few(len(packets))}
        hoped = [packet for packet in packets if packet.predicted_at is not None]
        x, y = _sent(hoped, clock), [_ms((p.predicted_at or 0) - p.sent_at) for p in hoped]
        ring = {"marker": "o", "markersize": 5.5, "markerfacecolor": "none", "color": GREY}
        axes.plot(x, y, label="predicted", markeredgewidth=0.9, **ring, **style)
        y = [_ms(packet.latency_ns or 0) for packet in arrived]
        dot = {"marker": "o", "markersize": 2.8, "color": BLUE, "markeredgewidth": 0}
        axes.plot(_sent(arrived, clock), y, label="measured", **dot, **style)
        if _wide(y):
            axes.set_yscale("log")
        if lost:
            floor = [0.02] * len(lost)
            cross = {"marker": "x", "markersize": 5, "color": RED}
            where = axes.get_xaxis_transform()
            axes.plot(_sent(lost, clock), floor, transform=where, label="lost", **cross, **style)
        axes.set_ylabel("latency, ms")
        timeline(axes, clock, outcome)
        legend(axes)

    caption = (
        f"{len(arrived)} of {len(packets)} packets, by the instant they were sent. A dot within "
        "its ring arrived when its source's router had said it would."
    )
    if any(packet.port == "ping" for packet in packets):
        caption += " A ping counts there and back."
    return Plot("latency", "Latency against prediction", caption, paint)


def _excess(outcome: Outcome, clock: Clock) -> Plot | None:
    rows = [packet for packet in outcome.packets if packet.excess_ns is not None]
    if not rows:
        return None
    excess_us = [(packet.excess_ns or 0) / MICROSECOND for packet in rows]

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=0.8)
        dot = {"marker": "o", "markersize": 2.8, "color": BLUE, "markeredgewidth": 0}
        raster = not few(len(rows))
        axes.plot(_sent(rows, clock), excess_us, linestyle="none", rasterized=raster, **dot)
        if _wide([abs(value) for value in excess_us]):
            axes.set_yscale("symlog", linthresh=1)
        axes.set_ylabel("measured − predicted, µs")
        timeline(axes, clock, outcome)

    caption = (
        "What the prediction leaves out: transmission, queues, handshakes, surprises. The axis is "
        "linear to 1 µs and logarithmic beyond, when values need it."
    )
    return Plot("excess", "Beyond prediction", caption, paint)


def _paths(outcome: Outcome, clock: Clock) -> Plot | None:
    pairs: dict[tuple[str, str], list[PacketFate]] = {}
    for packet in outcome.packets:
        if packet.path:
            pairs.setdefault((packet.source, packet.destination), []).append(packet)
    if not pairs:
        return None
    most = sorted(pairs, key=lambda pair: (-len(pairs[pair]), pair))[:PAIRS_MAX]
    shown = sorted(most)
    changes = sum(len(_changes(rows)) for rows in pairs.values())

    def paint(axes: Axes) -> None:
        for row, pair in enumerate(shown):
            _pair(axes, clock, row, pairs[pair])
        names = [f"{a} – {b}" for a, b in shown]
        axes.set_yticks(range(len(shown)), names, fontsize=7.5)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        timeline(axes, clock, outcome)

    more = f" The {PAIRS_MAX} busiest of {len(pairs)} pairs." if len(pairs) > PAIRS_MAX else ""
    caption = (
        f"A dot is a packet, its colour the path it took, a stroke a change of path: {changes} in "
        f"all.{more}"
    )
    return Plot(
        "paths", "Paths, and when they change", caption, paint, Size(height_in=fits(len(shown)))
    )


def _pair(axes: Axes, clock: Clock, row: int, packets: list[PacketFate]) -> None:
    """One line of the figure: colours in the order in which paths were first taken."""
    known: dict[tuple[str, ...], str] = {}
    for packet in packets:
        known.setdefault(packet.path, SERIES[len(known) % len(SERIES)])
    x = _sent(packets, clock)
    axes.plot(x[:1] + x[-1:], [row, row], color=GREY, linewidth=0.6, alpha=0.6)
    colours = [known[packet.path] for packet in packets]
    axes.scatter(x, [row] * len(x), c=colours, s=13, linewidths=0, rasterized=not few(len(x)))
    stroke = {"linestyle": "none", "marker": "|", "markersize": 10, "color": INK}
    changes = _changes(packets)
    axes.plot(_sent(changes, clock), [row] * len(changes), markeredgewidth=1.1, **stroke)


def _changes(packets: list[PacketFate]) -> list[PacketFate]:
    """Packets of one pair that took another path than the one before."""
    pairs = pairwise(packets)
    return [packet for before, packet in pairs if packet.path != before.path]


def _sent(packets: Iterable[PacketFate], clock: Clock) -> list[float]:
    return [clock.after(packet.sent_at) for packet in packets]


def _ms(ns: int) -> float:
    return ns / MILLISECOND


def _wide(values: list[float]) -> bool:
    """Whether values want a logarithmic axis."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > 30 * min(positive)
