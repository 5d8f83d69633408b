"""Shapes: small drawn meshes: lines, rings, stars and grids of cables and of contacts with gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from sim.faults.registry import seconds
from sim.scenario.schema import Cable, Window

Edge: TypeAlias = tuple[int, int]


def _line(count: int) -> list[Edge]:
    return [(k, k + 1) for k in range(count - 1)]


def _ring(count: int) -> list[Edge]:
    return [*_line(count), (0, count - 1)]


def _star(count: int) -> list[Edge]:
    return [(0, k) for k in range(1, count)]


def _grid(count: int) -> list[Edge]:
    """Rows of three."""
    across = [(k, k + 1) for k in range(count - 1) if k % 3 != 2]
    return [*across, *((k, k + 3) for k in range(count - 3))]


SHAPES: dict[str, Callable[[int], list[Edge]]] = {
    "line": _line,
    "ring": _ring,
    "star": _star,
    "grid": _grid,
}


@dataclass(frozen=True, slots=True)
class Mesh:
    """Members and what joins them, as a scenario has it."""

    shape: str
    members: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    cables: tuple[Cable, ...]
    contacts: tuple[Window, ...]


def draw_mesh(rng: Random, lasts_s: int) -> Mesh:
    """3 to 12 nodes; every edge a cable, or contacts with gaps that go on to the end."""
    shape = rng.choice(sorted(SHAPES))
    count = rng.choice((3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 12))
    members = tuple(f"n{k}" for k in range(count))
    planned = rng.choice((0.0, 0.0, 0.5, 1.0))
    edges, cables, contacts = [], [], []
    for low, high in SHAPES[shape](count):
        ends = (members[low], members[high])
        ends = ends if rng.random() < 0.5 else ends[::-1]
        edges.append(ends)
        if rng.random() < planned:
            contacts += _windows(rng, ends, lasts_s)
        else:
            cables.append(Cable(ends, f"{rng.choice((1, 3, 5, 12, 120))}ms"))
    return Mesh(shape, members, tuple(edges), tuple(cables), tuple(contacts))


def _windows(rng: Random, ends: tuple[str, str], lasts_s: int) -> list[Window]:
    """Contacts of one pair: some stand from the start to the end, most have gaps."""
    if rng.random() < 0.3:
        return [Window(ends, "0s", f"{lasts_s}s")]
    found, at = [], rng.uniform(0.0, 8.0)
    while at < lasts_s:
        length, gap = rng.uniform(8.0, 60.0), rng.uniform(1.0, 20.0)
        found.append(Window(ends, seconds(at), seconds(at + length)))
        at += length + gap
    return found
