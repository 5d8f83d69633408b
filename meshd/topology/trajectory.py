"""Where all sites are over a window: knots of the propagator, joined by cubic Hermite curves.

With knots 30 s apart the curve is within 2.5 cm of the propagator for low Earth orbits: the error
of the cubic is h^4/384 times the fourth derivative of position, at most n^4 a = 1.1e-8 km/s^4.
2.5 cm is 0.1 ns of light time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.ephemeris.sky import Sky
from protocols.types import SECOND, Duration, Instant, light_time

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Vector: TypeAlias = tuple[float, float, float]
Pair: TypeAlias = tuple[FloatArray, FloatArray]
"""Positions and velocities."""

STEP_NS = 30 * SECOND
_STATES_AT_ONCE = 20_000
"""About 10 ms of SGP4."""


MOVED_MAX = 64
"""So many sites may move otherwise than the states they are kept beside."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """States of all sites at knots `first + k * step_ns`: positions km, velocities km/s, (K, n, 3).

    Answers hold between `start` and `end`, a step beyond the window asked for on either side.
    After `with_site` the states of the others are shared, not copied; one array of all is made
    when it is first asked for.
    """

    first: Instant
    step_ns: Duration
    _states: _States = field(repr=False, compare=False)
    _rows: list[list[tuple[float, ...]] | None] = field(repr=False, compare=False)

    @property
    def positions(self) -> FloatArray:
        """(K, n, 3) km."""
        return self.whole()[0]

    @property
    def velocities(self) -> FloatArray:
        """(K, n, 3) km/s."""
        return self.whole()[1]

    @property
    def moved(self) -> Mapping[int, Pair]:
        """The sites that move otherwise than `unmoved` says: their positions and velocities."""
        return self._states.moved

    def unmoved(self) -> Pair:
        """Positions and velocities of all sites, but for those that have moved."""
        return self._states.base

    def whole(self) -> Pair:
        """Positions and velocities of all sites as they are, each (K, n, 3)."""
        return self._states.whole()

    def states_of(self, sites: IntArray) -> Pair:
        """Positions and velocities of some sites, (K, m, 3)."""
        found = tuple(np.ascontiguousarray(base[:, sites]) for base in self._states.base)
        for place, site in enumerate(sites.tolist()):
            if site in self.moved:
                found[0][:, place], found[1][:, place] = self.moved[site]
        return found[0], found[1]

    def states_at_knot(self, k: int) -> Pair:
        """Positions and velocities of all sites at one knot, (n, 3)."""
        if not self.moved:
            positions, velocities = self._states.base
            return positions[k], velocities[k]
        here = tuple(base[k].copy() for base in self._states.base)
        for site, own in self.moved.items():
            here[0][site], here[1][site] = own[0][k], own[1][k]
        return here[0], here[1]

    @property
    def start(self) -> Instant:
        return self.first

    @property
    def end(self) -> Instant:
        return self.first + self.step_ns * (self._count - 1)

    @property
    def _count(self) -> int:
        return len(self._states.base[0])

    def knots(self) -> IntArray:
        """The instants of the states, (K,)."""
        return self.first + np.arange(self._count, dtype=np.int64) * self.step_ns

    def position_km(self, site: int, at: Instant) -> Vector:
        """Inertial position of one site, in plain floats.

        Raises ValueError outside [start, end].
        """
        rows = self._rows[site]
        if rows is None:
            rows = self._fill(site)
        k, rest = divmod(at - self.first, self.step_ns)
        if not 0 <= k < len(rows):
            raise ValueError(f"{at} is outside the trajectory [{self.start}, {self.end}]")
        u = rest / self.step_ns
        x0, x1, x2, x3, y0, y1, y2, y3, z0, z1, z2, z3 = rows[k]
        return (
            x0 + u * (x1 + u * (x2 + u * x3)),
            y0 + u * (y1 + u * (y2 + u * y3)),
            z0 + u * (z1 + u * (z2 + u * z3)),
        )

    def light_time_ns(self, a: int, b: int, at: Instant) -> Duration:
        """Distance between two sites at one instant, over c, to the nearest nanosecond.

        The root of the sum of squares, as kernels have it (`kernels/light.py`): `math.dist` rounds
        otherwise, and now and then to another nanosecond.
        """
        x, y, z = self.position_km(a, at)
        p, q, r = self.position_km(b, at)
        dx, dy, dz = p - x, q - y, r - z
        return light_time(math.sqrt(dx * dx + dy * dy + dz * dz))

    def positions_km(self, at: Instant) -> FloatArray:
        """Inertial positions of all sites at one instant, (n, 3) km."""
        k, u = self._locate(np.array([at], dtype=np.int64))
        return _hermite(u, self._ends(k[0], slice(None)))

    def site_positions_km(self, sites: Any, instants: IntArray) -> FloatArray:
        """Positions of `sites[m]` at `instants[m]`, (m, 3) km."""
        k, u = self._locate(instants)
        return _hermite(u[:, None], self._ends(k, sites))

    def with_site(self, site: int, positions: FloatArray, velocities: FloatArray) -> Trajectory:
        """The same trajectory, one site moving otherwise: states (K, 3) at the knots."""
        rows = list(self._rows)
        rows[site] = None
        states = self._states.with_site(site, (positions, velocities))
        return Trajectory(self.first, self.step_ns, states, rows)

    def _locate(self, instants: IntArray) -> tuple[IntArray, FloatArray]:
        k, rest = np.divmod(instants - self.first, self.step_ns)
        last = self._count - 1
        if k.size and (int(k.min()) < 0 or int(k.max()) > last):
            raise ValueError(f"outside the trajectory [{self.start}, {self.end}]")
        at_end = k == last
        k = np.where(at_end, last - 1, k)
        u = np.where(at_end, 1.0, rest / self.step_ns)
        return k, u

    def _ends(self, k: Any, sites: Any) -> tuple[FloatArray, ...]:
        h = self.step_ns / SECOND
        return (
            self.positions[k, sites],
            self.positions[k + 1, sites],
            self.velocities[k, sites] * h,
            self.velocities[k + 1, sites] * h,
        )

    def _fill(self, site: int) -> list[tuple[float, ...]]:
        """Polynomial coefficients of one site's every interval, made when first asked for."""
        h = self.step_ns / SECOND
        p, v = self._states.of(site)
        v = v * h
        coefficients = _cubic(p[:-1], p[1:], v[:-1], v[1:])
        # One row an interval: x0 x1 x2 x3 y0 y1 ... z3.
        table = np.stack(coefficients, axis=-1).reshape(-1, 12)
        rows = [tuple(row) for row in table.tolist()]
        rows.append(self._last_row(site))
        self._rows[site] = rows
        return rows

    def _last_row(self, site: int) -> tuple[float, ...]:
        """At `end` itself: the last knot, standing still for an interval of no length."""
        x, y, z = self._states.of(site)[0][-1].tolist()
        return (x, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, z, 0.0, 0.0, 0.0)


def make_trajectory(
    sky: Sky,
    start: Instant,
    end: Instant,
    step_ns: Duration = STEP_NS,
    known: Trajectory | None = None,
) -> Trajectory:
    """The trajectory of every site of a sky over [start, end], with one step of margin each side.

    Knots fall on multiples of the step, so windows that overlap share them to the last bit: those
    of a `known` trajectory of the same sky are not worked out again. A few at a time, since SGP4
    holds the interpreter meanwhile.
    """
    first = (start // step_ns - 1) * step_ns
    count = -(-(end - first) // step_ns) + 2
    knots = first + np.arange(count, dtype=np.int64) * step_ns
    positions = np.empty((count, sky.n_sites, 3))
    velocities = np.empty_like(positions)
    missing = np.arange(count)
    if known is not None and known.step_ns == step_ns:
        theirs = (knots - known.first) // step_ns
        held = (theirs >= 0) & (theirs < len(known.positions))
        positions[held], velocities[held] = (
            known.positions[theirs[held]],
            known.velocities[theirs[held]],
        )
        missing = np.flatnonzero(~held)
    few = max(1, _STATES_AT_ONCE // max(1, sky.n_satellites))
    for begin in range(0, missing.size, few):
        rows = missing[begin : begin + few]
        positions[rows], velocities[rows] = sky.states_at(knots[rows])
    return trajectory_of(first, step_ns, (positions, velocities))


def trajectory_of(first: Instant, step_ns: Duration, states: Pair) -> Trajectory:
    """The trajectory of positions and velocities, each (K, n, 3), at knots from `first` on."""
    return Trajectory(first, step_ns, _States(states, {}), [None] * states[0].shape[1])


class _States:
    """Positions and velocities of all sites, but for a few of whom newer ones are beside them."""

    def __init__(self, base: Pair, moved: Mapping[int, Pair]) -> None:
        self.base = base
        self.moved = moved
        self._whole: Pair | None = None if moved else base

    def whole(self) -> Pair:
        """All in one array each. Made once; two threads that make it make the same."""
        if self._whole is None:
            positions, velocities = (base.copy() for base in self.base)
            for site, own in self.moved.items():
                positions[:, site], velocities[:, site] = own
            self._whole = positions, velocities
        return self._whole

    def of(self, site: int) -> Pair:
        if site in self.moved:
            return self.moved[site]
        positions, velocities = self.base
        return positions[:, site], velocities[:, site]

    def with_site(self, site: int, own: Pair) -> _States:
        if self._whole is not None or len(self.moved) >= MOVED_MAX:
            return _States(self.whole(), {site: own})
        return _States(self.base, {**self.moved, site: own})


def _cubic(p0: FloatArray, p1: FloatArray, m0: FloatArray, m1: FloatArray) -> tuple[Any, ...]:
    """Power-basis coefficients of the cubic with these end points and scaled end slopes."""
    d = p1 - p0
    return p0, m0, 3 * d - 2 * m0 - m1, m0 + m1 - 2 * d


def _hermite(u: FloatArray, ends: tuple[FloatArray, ...]) -> FloatArray:
    c0, c1, c2, c3 = _cubic(*ends)
    return np.asarray(c0 + u * (c1 + u * (c2 + u * c3)), dtype=np.float64)
