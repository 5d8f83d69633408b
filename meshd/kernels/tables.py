"""Tables of states, joined by polynomials: where a satellite is between two of its nodes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from meshd.kernels import kernel

WINDOW_MAX = 16
"""Nodes of one polynomial at most: beyond, high degrees swing."""


class Nodes(NamedTuple):
    """States of many satellites, segment after segment, and satellite after satellite.

    Segment s has nodes `first[s]` to `first[s + 1]`, holds from `begin[s]` to `finish[s]` (both
    ends belong to it), and joins `window[s]` nodes at a time. Satellite i has segments `of[i]`
    to `of[i + 1]`.
    """

    instants: Any  # (nodes,) int64 ns, rising within a segment
    states: Any  # (nodes, 6) km, km/s
    first: Any  # (segments + 1,) int64
    begin: Any  # (segments,) int64 ns
    finish: Any  # (segments,) int64 ns
    window: Any  # (segments,) int64
    hermite: Any  # (segments,) bool: positions and velocities together, else each by itself
    of: Any  # (satellites + 1,) int64


@kernel
def table_states(nodes: Nodes, instants: Any, positions: Any, velocities: Any) -> None:
    """Fill positions and velocities, each (instants, satellites, 3); NaN where no segment holds."""
    x = np.empty(WINDOW_MAX)
    for i in range(nodes.of.size - 1):
        for k in range(instants.size):
            at = instants[k]
            s = segment_at(nodes, i, at)
            if s < 0:
                positions[k, i, :] = np.nan
                velocities[k, i, :] = np.nan
                continue
            n = nodes.window[s]
            low = window_start(nodes, s, at)
            for j in range(n):
                x[j] = (nodes.instants[low + j] - at) * 1e-9
            rows = nodes.states[low : low + n]
            if nodes.hermite[s]:
                hermite(x[:n], rows, positions[k, i], velocities[k, i])
            else:
                lagrange(x[:n], rows, positions[k, i], velocities[k, i])


@kernel
def segment_at(nodes: Nodes, satellite: int, at: int) -> int:
    """The last segment of a satellite that holds at an instant; -1 when none does."""
    for s in range(nodes.of[satellite + 1] - 1, nodes.of[satellite] - 1, -1):
        if nodes.begin[s] <= at <= nodes.finish[s]:
            return s
    return -1


@kernel
def window_start(nodes: Nodes, s: int, at: int) -> int:
    """The first node of a segment's polynomial for an instant: centred, but inside the segment."""
    low, high = nodes.first[s], nodes.first[s + 1]
    n = nodes.window[s]
    left, right = low, high
    while right - left > 1:  # the last node that is not after `at`
        middle = (left + right) // 2
        if nodes.instants[middle] <= at:
            left = middle
        else:
            right = middle
    return int(max(low, min(left - (n - 1) // 2, high - n)))


@kernel
def lagrange(x: Any, rows: Any, position: Any, velocity: Any) -> None:
    """The polynomial through `rows` at `x` (s from now), at 0: each column by itself."""
    position[:] = 0.0
    velocity[:] = 0.0
    for j in range(x.size):
        weight = 1.0
        for m in range(x.size):
            if m != j:
                weight *= x[m] / (x[m] - x[j])
        for c in range(3):
            position[c] += weight * rows[j, c]
            velocity[c] += weight * rows[j, 3 + c]


@kernel
def hermite(x: Any, rows: Any, position: Any, velocity: Any) -> None:
    """The polynomial that has both positions and velocities of `rows` at `x`, and its slope, at 0.

    Osculating interpolation in Lagrange's basis l_j: p_j has (1 + 2 x_j c_j) l_j^2 and v_j has
    -x_j l_j^2, where c_j is the slope of l_j at its own node.
    """
    position[:] = 0.0
    velocity[:] = 0.0
    for j in range(x.size):
        value, slope, own = basis(x, j)
        a = (1.0 + 2.0 * x[j] * own) * value * value
        b = -x[j] * value * value
        a_slope = -2.0 * own * value * value + (1.0 + 2.0 * x[j] * own) * 2.0 * value * slope
        b_slope = value * value - x[j] * 2.0 * value * slope
        for c in range(3):
            position[c] += a * rows[j, c] + b * rows[j, 3 + c]
            velocity[c] += a_slope * rows[j, c] + b_slope * rows[j, 3 + c]


@kernel
def basis(x: Any, j: int) -> tuple[float, float, float]:
    """Lagrange's l_j: its value and slope at 0, and its slope at x_j."""
    value, slope, own = 1.0, 0.0, 0.0
    for m in range(x.size):
        if m == j:
            continue
        scale = 1.0 / (x[j] - x[m])
        own += scale
        part = scale  # the product rule: this factor's slope times all other factors
        for k in range(x.size):
            if k not in (j, m):
                part *= -x[k] / (x[j] - x[k])
        slope += part
        value *= -x[m] * scale
    return value, slope, own
