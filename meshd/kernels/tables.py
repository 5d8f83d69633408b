"""Tables of states, joined by polynomials: where a satellite is between two of its nodes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from meshd.kernels import inner, kernel

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
            s = segment_at(nodes, i, instants[k])
            if s < 0:
                positions[k, i, :] = np.nan
                velocities[k, i, :] = np.nan
            else:
                between(nodes, s, instants[k], x, positions[k, i], velocities[k, i])


@kernel
def continued(nodes: Nodes, turns: Any, instants: Any, positions: Any, velocities: Any) -> None:
    """As `table_states`, but where no segment holds the orbit goes on from the nearest end.

    `turns` (satellites, 2) are rad/s: in the orbit's plane, and of the plane about the pole.
    """
    x = np.empty(WINDOW_MAX)
    for i in range(nodes.of.size - 1):
        for k in range(instants.size):
            at = instants[k]
            s, end = nearest_end(nodes, i, at)
            between(nodes, s, end, x, positions[k, i], velocities[k, i])
            if end != at:
                gone_s = (at - end) * 1e-9
                turned(
                    positions[k, i], velocities[k, i], turns[i, 0] * gone_s, turns[i, 1] * gone_s
                )


@inner
def nearest_end(nodes: Nodes, satellite: int, at: int) -> tuple[int, int]:
    """A satellite's segment that holds at an instant, and it; else the nearest end of any."""
    s = segment_at(nodes, satellite, at)
    if s >= 0:
        return s, at
    s = nodes.of[satellite]
    end = nodes.begin[s]
    for other in range(nodes.of[satellite], nodes.of[satellite + 1]):
        for edge in (nodes.begin[other], nodes.finish[other]):
            if abs(edge - at) < abs(end - at):
                s, end = other, edge
    return s, end


@inner
def turned(position: Any, velocity: Any, along: float, about: float) -> None:
    """Turn a state in its own plane, then about the pole, by angles in radians."""
    px, py, pz = position
    vx, vy, vz = velocity
    nx, ny, nz = py * vz - pz * vy, pz * vx - px * vz, px * vy - py * vx
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx / size, ny / size, nz / size
    c, s, ca, sa = math.cos(along), math.sin(along), math.cos(about), math.sin(about)
    for vector in (position, velocity):
        x, y, z = vector
        qx = c * x + s * (ny * z - nz * y)
        qy = c * y + s * (nz * x - nx * z)
        vector[0], vector[1] = ca * qx - sa * qy, sa * qx + ca * qy
        vector[2] = c * z + s * (nx * y - ny * x)


@inner
def between(nodes: Nodes, s: int, at: int, x: Any, position: Any, velocity: Any) -> None:
    """Fill one state from a segment; `x` is room for the times of its nodes."""
    n = nodes.window[s]
    low = window_start(nodes, s, at)
    for j in range(n):
        x[j] = (nodes.instants[low + j] - at) * 1e-9
    rows = nodes.states[low : low + n]
    if nodes.hermite[s]:
        hermite(x[:n], rows, position, velocity)
    else:
        lagrange(x[:n], rows, position, velocity)


@inner
def segment_at(nodes: Nodes, satellite: int, at: int) -> int:
    """The last segment of a satellite that holds at an instant; -1 when none does."""
    for s in range(nodes.of[satellite + 1] - 1, nodes.of[satellite] - 1, -1):
        if nodes.begin[s] <= at <= nodes.finish[s]:
            return s
    return -1


@inner
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


@inner
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


@inner
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


@inner
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


@kernel
def swept(states: Any, angles: Any) -> None:
    """The angle that each row's position stands from the row before, summed up: (rows,) rad.

    Less than half a turn may lie between two rows.
    """
    angles[0] = 0.0
    for j in range(1, angles.size):
        ax, ay, az = states[j - 1, 0], states[j - 1, 1], states[j - 1, 2]
        bx, by, bz = states[j, 0], states[j, 1], states[j, 2]
        cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        across = math.sqrt(cx * cx + cy * cy + cz * cz)
        angles[j] = angles[j - 1] + math.atan2(across, ax * bx + ay * by + az * bz)
