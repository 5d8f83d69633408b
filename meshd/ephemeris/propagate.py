"""From elements to states: SGP4 for real satellites, circular orbits with J2 for Walker shells.

Both give positions (km) and velocities (km/s) in SGP4's frame: true equator, mean equinox
(TEME). Arrays are (instants, satellites, 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from sgp4.api import SGP4_ERRORS, WGS72, Satrec, SatrecArray

from meshd.ephemeris.elements import Elements
from meshd.ephemeris.timescale import FloatArray, IntArray, julian_date, julian_dates
from meshd.ephemeris.walker import WALKER_EPOCH, Shell
from protocols.types import SECOND

# WGS-84 (NIMA TR8350.2), and J2 of EGM96.
MU_KM3_S2 = 398_600.4418
EARTH_RADIUS_KM = 6_378.137
J2 = 1.08262668e-3

States: TypeAlias = tuple[FloatArray, FloatArray]
_SGP4_EPOCH_JD = 2_433_281.5  # 1949 December 31, where sgp4init counts days from


@dataclass(frozen=True, slots=True)
class Failure:
    """A satellite that SGP4 could not place: its index, name, SGP4's code and its meaning."""

    site: int
    name: str
    code: int
    reason: str


class Propagator(Protocol):
    """Where some satellites are."""

    @property
    def count(self) -> int: ...

    def mean_motions_rad_s(self) -> FloatArray:
        """How fast each satellite goes round, (satellites,)."""
        ...

    def epochs(self) -> IntArray | None:
        """When each satellite's elements were true, (satellites,); None where that is always."""
        ...

    def states(self, instants: IntArray) -> States:
        """Positions and velocities, each (instants, satellites, 3); NaN where one failed."""
        ...

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        """The satellites that have no state at one of these instants, with the first reason."""
        ...


@dataclass(frozen=True, slots=True)
class Sgp4:
    """SGP4 (AIAA 2006-6753, WGS-72, improved mode) over many real satellites at once."""

    elements: tuple[Elements, ...]
    _array: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls, elements: Sequence[Elements]) -> Sgp4:
        return cls(tuple(elements), SatrecArray([satrec(e) for e in elements]))

    @property
    def count(self) -> int:
        return len(self.elements)

    def mean_motions_rad_s(self) -> FloatArray:
        turns = np.array([e.mean_motion_rev_day for e in self.elements])
        return turns * (2 * math.pi / 86_400)

    def epochs(self) -> IntArray | None:
        return np.array([e.epoch for e in self.elements], dtype=np.int64)

    def states(self, instants: IntArray) -> States:
        errors, positions, velocities = self._run(instants)
        positions[errors != 0] = np.nan
        velocities[errors != 0] = np.nan
        return (
            np.ascontiguousarray(positions.swapaxes(0, 1)),
            np.ascontiguousarray(velocities.swapaxes(0, 1)),
        )

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        errors, _, _ = self._run(instants)
        found = []
        for site in np.flatnonzero(errors.any(axis=1)).tolist():
            row = errors[site]
            code = int(row[np.flatnonzero(row)[0]])
            reason = SGP4_ERRORS.get(code, "unknown SGP4 error")
            found.append(Failure(site, self.elements[site].name, code, reason))
        return tuple(found)

    def _run(self, instants: IntArray) -> tuple[Any, FloatArray, FloatArray]:
        jd, fraction = julian_dates(np.asarray(instants, dtype=np.int64))
        errors, positions, velocities = self._array.sgp4(jd, fraction)
        return errors, positions, velocities


@dataclass(frozen=True, slots=True)
class Joined:
    """Satellites of several propagators, one after another: a mixture is one sky."""

    parts: tuple[Propagator, ...]

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    def mean_motions_rad_s(self) -> FloatArray:
        return np.concatenate([part.mean_motions_rad_s() for part in self.parts])

    def epochs(self) -> IntArray | None:
        known = [part.epochs() for part in self.parts]
        some = [epochs for epochs in known if epochs is not None]
        return np.concatenate(some) if len(some) == len(known) else None

    def states(self, instants: IntArray) -> States:
        each = [part.states(instants) for part in self.parts]
        positions, velocities = zip(*each, strict=True)
        return np.concatenate(positions, axis=1), np.concatenate(velocities, axis=1)

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        found: list[Failure] = []
        before = 0
        for part in self.parts:
            found += [replace(f, site=f.site + before) for f in part.failures(instants)]
            before += part.count
        return tuple(found)


def satrec(e: Elements) -> Any:
    """SGP4's own record of elements: from the TLE's digits when they are at hand."""
    if e.line1:
        return Satrec.twoline2rv(e.line1, e.line2, WGS72)
    record = Satrec()
    jd, fraction = julian_date(e.epoch)
    minutes_per_day, radians = 1_440.0, math.pi / 180
    rate = 2 * math.pi / minutes_per_day  # rad/min in one rev/day
    record.sgp4init(
        WGS72, "i", e.norad_id % 340_000, (jd - _SGP4_EPOCH_JD) + fraction, e.bstar,
        e.ndot * rate / minutes_per_day, e.nddot * rate / minutes_per_day**2,
        e.eccentricity, e.argp_deg * radians, e.inclination_deg * radians,
        e.mean_anomaly_deg * radians, e.mean_motion_rev_day * rate, e.raan_deg * radians,
    )  # fmt: skip
    return record


def mean_motion_rad_s(altitude_km: float) -> float:
    """Two-body mean motion of a circular orbit at an altitude above the equatorial radius."""
    return math.sqrt(MU_KM3_S2 / (EARTH_RADIUS_KM + altitude_km) ** 3)


def j2_rates_rad_s(altitude_km: float, inclination_deg: float) -> tuple[float, float]:
    """Secular rates (of the node, of argument of latitude) on a circular orbit, rad/s.

    First order in J2: Vallado, Fundamentals of Astrodynamics, section 9.6, with e = 0.
    """
    n = mean_motion_rad_s(altitude_km)
    c = math.cos(math.radians(inclination_deg))
    k = 1.5 * J2 * (EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km)) ** 2
    return -k * n * c, n * (1 + k * (4 * c * c - 1))


@dataclass(frozen=True, slots=True)
class CircularJ2:
    """Walker shells on circular orbits whose node and argument of latitude drift with J2.

    Columns have one entry a satellite. Velocity is the exact derivative of position.
    """

    radius_km: FloatArray
    node_rad: FloatArray
    latitude_rad: FloatArray
    cos_i: FloatArray
    sin_i: FloatArray
    node_rate: FloatArray
    latitude_rate: FloatArray

    @classmethod
    def of(cls, shells: Sequence[Shell]) -> CircularJ2:
        columns = [np.concatenate(parts) for parts in zip(*map(_columns, shells), strict=True)]
        return cls(*columns)

    @property
    def count(self) -> int:
        return len(self.radius_km)

    def mean_motions_rad_s(self) -> FloatArray:
        return self.latitude_rate

    def epochs(self) -> IntArray | None:
        return None

    def states(self, instants: IntArray) -> States:
        t = ((np.asarray(instants, dtype=np.int64) - WALKER_EPOCH) / SECOND)[:, None]
        node = self.node_rad + self.node_rate * t
        u = self.latitude_rad + self.latitude_rate * t
        cn, sn, cu, su = np.cos(node), np.sin(node), np.cos(u), np.sin(u)
        ci, si = self.cos_i, self.sin_i
        positions = np.empty((*u.shape, 3))
        positions[..., 0] = self.radius_km * (cn * cu - sn * su * ci)
        positions[..., 1] = self.radius_km * (sn * cu + cn * su * ci)
        positions[..., 2] = self.radius_km * (su * si)
        speed = self.radius_km * self.latitude_rate
        velocities = np.empty_like(positions)
        velocities[..., 0] = speed * (-cn * su - sn * cu * ci) - self.node_rate * positions[..., 1]
        velocities[..., 1] = speed * (-sn * su + cn * cu * ci) + self.node_rate * positions[..., 0]
        velocities[..., 2] = speed * (cu * si)
        return positions, velocities

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        return ()


def _columns(shell: Shell) -> tuple[FloatArray, ...]:
    plane = np.repeat(np.arange(shell.planes), shell.slots)
    slot = np.tile(np.arange(shell.slots), shell.planes)
    node = shell.raan_offset_deg + plane * (shell.arc_deg / shell.planes)
    latitude = (
        shell.anomaly_offset_deg
        + slot * (360.0 / shell.slots)
        + plane * (shell.phasing * 360.0 / shell.total)
    )
    node_rate, latitude_rate = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg)
    inclination = math.radians(shell.inclination_deg)
    constants = (math.cos(inclination), math.sin(inclination), node_rate, latitude_rate)
    return (
        np.full(shell.total, EARTH_RADIUS_KM + shell.altitude_km),
        np.radians(node),
        np.radians(latitude),
        *(np.full(shell.total, value) for value in constants),
    )
