"""Map: the constellation when the run starts, over the land it flies over."""

from __future__ import annotations

import json
import math
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from matplotlib.collections import LineCollection, PolyCollection

from meshd.ephemeris import format_time
from sim.outcome import Outcome
from sim.results.chart import Chart, Place
from sim.results.drawing import BLUE, GREEN, INK, LAND, ORANGE, RED, Axes, Plot, Size, few

LAND_FILE = Path(__file__).with_name("land.json")
"""Natural Earth's land at 1:110 million (public domain), simplified; the file says how far."""

NAMES_MAX = 60

Point: TypeAlias = tuple[float, float]
"""Longitude and latitude in degrees."""


@cache
def land() -> tuple[tuple[Point, ...], ...]:
    """The outlines of the continents and large islands."""
    rings = json.loads(LAND_FILE.read_text(encoding="utf-8"))["rings"]
    return tuple(
        tuple((ring[i] / 5, ring[i + 1] / 5) for i in range(0, len(ring), 2)) for ring in rings
    )


def map_plot(chart: Chart, outcome: Outcome) -> list[Plot]:
    """A world map, or a ring of members where nobody has an orbit."""
    if not chart.places:
        return []
    flying = sum(place.kind == "satellite" for place in chart.places)
    if not chart.has_orbits:
        caption = f"{len(chart.places)} members in a ring, and the links planned at the start."
        return [Plot("map", "The mesh", caption, lambda axes: _ring(axes, chart))]
    way = _way(outcome)
    caption = (
        f"{flying} satellites and {len(chart.places) - flying} stations at "
        f"{format_time(chart.at)[:19].replace('T', ' ')} UTC, with the {len(chart.links)} links "
        "planned then."
    )
    if way:
        caption += f" In red the way of the first packet, {way[0]} to {way[-1]}, drawn where its "
        caption += "nodes were at the start."

    def paint(axes: Axes) -> None:
        _world(axes, chart, way)

    return [Plot("map", "The constellation", caption, paint, Size(8.6, 4.4), wide=True)]


def _way(outcome: Outcome) -> tuple[str, ...]:
    """The path of the first packet that arrived over at least one other node."""
    return next((packet.path for packet in outcome.packets if len(packet.path) > 2), ())


def _world(axes: Axes, chart: Chart, way: tuple[str, ...]) -> None:
    axes.add_collection(PolyCollection(land(), facecolors=LAND, edgecolors="none", zorder=0))
    axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal")
    axes.set_xticks(range(-180, 181, 60), [_degrees(x, "EW") for x in range(-180, 181, 60)])
    axes.set_yticks(range(-90, 91, 30), [_degrees(y, "NS") for y in range(-90, 91, 30)])
    places = [place for place in chart.places if place.latitude_deg is not None]
    where = {place.name: _point(place) for place in places}
    kind = {place.name: place.kind for place in places}
    between: list[list[Point]] = []
    down: list[list[Point]] = []
    for a, b in chart.links:
        one, other = chart.places[a].name, chart.places[b].name
        if one in where and other in where:
            ground = "ground" in (kind[one], kind[other])
            (down if ground else between).extend(stretches(where[one], where[other]))
    raster = not few(len(between))
    lines = {"linewidths": 0.7, "zorder": 2, "rasterized": raster}
    axes.add_collection(LineCollection(between, colors=BLUE, alpha=0.55, **lines))
    axes.add_collection(LineCollection(down, colors=ORANGE, alpha=0.8, **lines))
    hops = [
        s
        for a, b in pairwise(way)
        if a in where and b in where
        for s in stretches(where[a], where[b])
    ]
    axes.add_collection(LineCollection(hops, colors=RED, linewidths=1.6, zorder=3))
    _dots(axes, places)


def _dots(axes: Axes, places: list[Place]) -> None:
    sats = [_point(place) for place in places if place.kind == "satellite"]
    raster = not few(len(sats))
    size = 16 if len(sats) < 300 else 5
    axes.scatter(*_columns(sats), s=size, c=BLUE, linewidths=0, zorder=4, rasterized=raster)
    stations = [place for place in places if place.kind != "satellite"]
    points = [_point(place) for place in stations]
    axes.scatter(*_columns(points), s=20, c=GREEN, marker="^", linewidths=0, zorder=5)
    for place in stations[:NAMES_MAX] if len(stations) <= NAMES_MAX else ():
        x, y = _point(place)
        right = x > 150
        axes.annotate(
            place.name,
            (x, y),
            xytext=(-4 if right else 4, 4),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            color=INK,
            zorder=6,
        )


def stretches(a: Point, b: Point) -> list[list[Point]]:
    """The straight line of the map between two points, the short way; two where it meets 180°."""
    (x, y), (u, v) = a, b
    if abs(u - x) <= 180:
        return [[a, b]]
    if x > u:
        (x, y), (u, v) = b, a
    # From x westwards over -180, into the map again at 180, on to u.
    share = (x + 180) / (x + 180 + 180 - u)
    middle = y + share * (v - y)
    return [[(x, y), (-180.0, middle)], [(180.0, middle), (u, v)]]


def _ring(axes: Axes, chart: Chart) -> None:
    count = len(chart.places)
    turn = [math.tau * number / count for number in range(count)]
    points = [(math.sin(angle), math.cos(angle)) for angle in turn]
    lines = [[points[a], points[b]] for a, b in chart.links]
    axes.add_collection(LineCollection(lines, colors=BLUE, alpha=0.6, linewidths=0.9))
    axes.scatter(*_columns(points), s=26, c=GREEN, zorder=3, linewidths=0)
    for place, (x, y) in zip(chart.places, points, strict=True):
        if count <= NAMES_MAX:
            side = "left" if x > 0.05 else "right" if x < -0.05 else "center"
            axes.annotate(
                place.name, (1.1 * x, 1.12 * y), ha=side, va="center", fontsize=8, color=INK
            )
    axes.set(xlim=(-2.2, 2.2), ylim=(-1.3, 1.3), aspect="equal")
    axes.axis("off")


def _columns(points: list[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _point(place: Place) -> Point:
    return (((place.longitude_deg or 0.0) + 180) % 360 - 180, place.latitude_deg or 0.0)


def _degrees(value: int, letters: str) -> str:
    if value == 0:
        return "0°"
    return f"{abs(value)}° {letters[0 if value > 0 else 1]}"
