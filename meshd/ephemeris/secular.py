"""Walker shells in flight: orbits that only J2's steady drift disturbs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from meshd.ephemeris.propagate import (
    EARTH_RADIUS_KM,
    Failure,
    Joined,
    Propagator,
    States,
    j2_rates_rad_s,
)
from meshd.ephemeris.timescale import FloatArray, IntArray
from meshd.ephemeris.walker import WALKER_EPOCH, Shell

# Kernels are imported where they are called: numba takes 0.3 s.
if TYPE_CHECKING:
    from meshd.kernels.orbits import Ellipses, Planes


def fly(shells: Sequence[Shell]) -> Propagator:
    """The propagator of shells in order: circular ones by the plane, ellipses one by one."""
    parts: list[Propagator] = []
    for circular, run in groupby(shells, key=lambda shell: shell.ellipse is None):
        alike = tuple(run)
        parts.append(CircularJ2.of(alike) if circular else EllipticJ2.of(alike))
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))


class _Steady(ABC):
    """Orbits that are known at all times: they neither age nor fail."""

    __slots__ = ()

    @property
    @abstractmethod
    def count(self) -> int: ...

    @abstractmethod
    def _place(self, since: IntArray, positions: FloatArray, velocities: FloatArray) -> None:
        """Fill in the states at instants counted from WALKER_EPOCH, (instants, satellites, 3)."""

    def epochs(self) -> IntArray | None:
        return None

    def states(self, instants: IntArray) -> States:
        since = np.ascontiguousarray(instants, dtype=np.int64) - WALKER_EPOCH
        positions = np.empty((since.size, self.count, 3))
        velocities = np.empty_like(positions)
        self._place(since, positions, velocities)
        return positions, velocities

    def orbits(self, instants: IntArray) -> States:
        return self.states(instants)

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class CircularJ2(_Steady):
    """Circular orbits whose nodes and arguments of latitude drift with J2, a million and more.

    What is kept grows with planes, not satellites.
    """

    planes: Planes = field(repr=False, compare=False)

    @classmethod
    def of(cls, shells: Sequence[Shell]) -> CircularJ2:
        radius, node, latitude, cos_i, sin_i, node_rate, latitude_rate = (
            np.concatenate(part) for part in zip(*map(_columns, shells), strict=True)
        )
        slots = np.repeat([shell.slots for shell in shells], [shell.planes for shell in shells])
        from meshd.kernels.orbits import Planes

        first = np.concatenate([[0], np.cumsum(slots)]).astype(np.int64)
        tables: dict[int, int] = {}
        angles: list[FloatArray] = []
        for count in slots.tolist():
            if count not in tables:
                tables[count] = sum(part.size for part in angles)
                angles.append(np.arange(count) * (2 * math.pi / count))
        turns = np.concatenate(angles)
        place = np.array([tables[count] for count in slots.tolist()], dtype=np.int64)
        return cls(
            Planes(
                first, radius, node, latitude, cos_i, sin_i, node_rate, latitude_rate,
                place, np.cos(turns), np.sin(turns),
            )
        )  # fmt: skip

    @property
    def count(self) -> int:
        return int(self.planes.first[-1])

    def mean_motions_rad_s(self) -> FloatArray:
        return np.repeat(self.planes.latitude_rate, np.diff(self.planes.first))

    def _place(self, since: IntArray, positions: FloatArray, velocities: FloatArray) -> None:
        from meshd.kernels.orbits import circular_states

        circular_states(self.planes, since, positions, velocities)


@dataclass(frozen=True, slots=True)
class EllipticJ2(_Steady):
    """Ellipses whose nodes, perigees and mean anomalies drift with J2."""

    ellipses: Ellipses = field(repr=False, compare=False)

    @classmethod
    def of(cls, shells: Sequence[Shell]) -> EllipticJ2:
        from meshd.kernels.orbits import Ellipses

        columns = [np.concatenate(part) for part in zip(*map(_ellipses, shells), strict=True)]
        return cls(Ellipses(*columns))

    @property
    def count(self) -> int:
        return int(self.ellipses.axis_km.size)

    def mean_motions_rad_s(self) -> FloatArray:
        return np.asarray(self.ellipses.anomaly_rate)

    def _place(self, since: IntArray, positions: FloatArray, velocities: FloatArray) -> None:
        from meshd.kernels.orbits import elliptic_states

        elliptic_states(self.ellipses, since, positions, velocities)


def _nodes_and_anomalies(shell: Shell) -> tuple[FloatArray, FloatArray]:
    """Of each plane at the epoch, in radians: its node, and where its first satellite is."""
    plane = np.arange(shell.planes)
    node = shell.raan_offset_deg + plane * (shell.arc_deg / shell.planes)
    anomaly = shell.anomaly_offset_deg + plane * (shell.phasing * 360.0 / shell.total)
    return np.radians(node), np.radians(anomaly)


def _columns(shell: Shell) -> tuple[FloatArray, ...]:
    node, latitude = _nodes_and_anomalies(shell)
    rates = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg)
    inclination = math.radians(shell.inclination_deg)
    constants = (math.cos(inclination), math.sin(inclination), rates.node, rates.latitude)
    return (
        np.full(shell.planes, EARTH_RADIUS_KM + shell.altitude_km),
        node,
        latitude,
        *(np.full(shell.planes, value) for value in constants),
    )


def _ellipses(shell: Shell) -> tuple[FloatArray, ...]:
    assert shell.ellipse is not None
    apogee_km, perigee_km, argp_deg = shell.ellipse
    axis_km = EARTH_RADIUS_KM + (apogee_km + perigee_km) / 2
    eccentricity = (apogee_km - perigee_km) / (2 * axis_km)
    node, anomaly = _nodes_and_anomalies(shell)
    slot = np.arange(shell.slots) * (2 * math.pi / shell.slots)
    rates = j2_rates_rad_s(axis_km - EARTH_RADIUS_KM, shell.inclination_deg, eccentricity)
    inclination = math.radians(shell.inclination_deg)

    def same(value: float) -> FloatArray:
        return np.full(shell.total, value)

    return (
        same(axis_km),
        same(eccentricity),
        same(math.cos(inclination)),
        same(math.sin(inclination)),
        np.repeat(node, shell.slots),
        same(math.radians(argp_deg)),
        np.add.outer(anomaly, slot).ravel(),
        same(rates.node),
        same(rates.perigee),
        same(rates.anomaly),
    )
