"""Fixed candidate pairs of the +Grid: who may link to whom, before any geometry."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.walker import Shell
from meshd.topology.trajectory import IntArray


class Pairs(NamedTuple):
    """Candidate pairs as columns: site indices a < b, and whether a link crosses planes."""

    a: IntArray
    b: IntArray
    cross: np.ndarray[tuple[int], np.dtype[np.bool_]]


def grid_pairs(shells: tuple[Shell, ...]) -> Pairs:
    """The +Grid of every shell: a ring in each plane, and one link to each neighbouring plane.

    A star has no link between its last plane and its first: there the satellites fly in
    opposite directions. Shells are not joined to each other. Sorted by (a, b), each pair once.
    """
    columns: list[tuple[IntArray, IntArray, bool]] = []
    base = 0
    for shell in shells:
        planes, slots = shell.planes, shell.slots
        site = base + np.arange(planes * slots, dtype=np.int64).reshape(planes, slots)
        columns.append((site, np.roll(site, -1, axis=1), False))
        shift = slot_shift(shell)
        columns.append((site[:-1], np.roll(site[1:], -shift, axis=1), True))
        if shell.pattern == "delta" and planes > 2:
            # Once around, the lead of a plane over the next has added up to F whole slots.
            columns.append((site[-1:], np.roll(site[:1], -(shift + shell.phasing), axis=1), True))
        base += planes * slots
    a = np.concatenate([np.minimum(p, q).ravel() for p, q, _ in columns])
    b = np.concatenate([np.maximum(p, q).ravel() for p, q, _ in columns])
    cross = np.concatenate([np.full(p.size, flag) for p, _, flag in columns])
    key, first = np.unique(a * base + b, return_index=True)
    keep = first[a[first] != b[first]]
    assert key.size >= keep.size
    return Pairs(a[keep], b[keep], cross[keep])


def listed_pairs(pairs: tuple[tuple[int, int], ...]) -> Pairs:
    """Pairs that came with a sky, in order, each once."""
    rows = np.array(sorted({(min(p), max(p)) for p in pairs}), dtype=np.int64).reshape(-1, 2)
    return Pairs(rows[:, 0], rows[:, 1], np.ones(len(rows), dtype=bool))


def slot_shift(shell: Shell) -> int:
    """How many slots ahead the partner in the next plane sits, for the shortest longest link.

    The longest distance over an orbit is compared for every shift; equal ones (to 1 km) go to
    the shift nearest 0, then the lower.
    """
    lead = np.radians(shell.phasing * 360.0 / shell.total)
    node = np.radians(shell.arc_deg / shell.planes)
    inclination = np.radians(shell.inclination_deg)
    u = np.radians(np.arange(0.0, 360.0, 1.0))
    shifts = sorted(range(-(shell.slots // 2), shell.slots - shell.slots // 2), key=_near_zero)
    best = (np.inf, 0, 0)
    for order, shift in enumerate(shifts):
        v = u + lead + np.radians(shift * 360.0 / shell.slots)
        cosine = (
            np.cos(node) * np.cos(u) * np.cos(v)
            + np.cos(inclination) * np.sin(node) * (np.sin(u) * np.cos(v) - np.cos(u) * np.sin(v))
            + (np.cos(inclination) ** 2 * np.cos(node) + np.sin(inclination) ** 2)
            * np.sin(u) * np.sin(v)
        )  # fmt: skip
        longest = (EARTH_RADIUS_KM + shell.altitude_km) * np.sqrt(2 - 2 * float(cosine.min()))
        best = min(best, (round(longest), order, shift))
    return best[2]


def _near_zero(shift: int) -> tuple[int, int]:
    return abs(shift), shift
