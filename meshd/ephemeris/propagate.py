"""From elements to states: SGP4 for real satellites, and what every propagator can be asked.

All give positions (km) and velocities (km/s) in SGP4's frame: true equator, mean equinox
(TEME). Arrays are (instants, satellites, 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from sgp4.api import SGP4_ERRORS, WGS72, Satrec, SatrecArray

from meshd.ephemeris.elements import Elements, digest_of, print_of
from meshd.ephemeris.timescale import FloatArray, IntArray, julian_date, julian_dates

# WGS-84 (NIMA TR8350.2), and J2 of EGM96.
MU_KM3_S2 = 398_600.4418
EARTH_RADIUS_KM = 6_378.137
J2 = 1.08262668e-3

TROPICAL_YEAR_S = 365.242190 * 86_400

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

    def orbits(self, instants: IntArray) -> States:
        """As `states`, but where a table ends its orbit goes on: to choose by, not to aim at."""
        ...

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        """The satellites that have no state at one of these instants, with the first reason."""
        ...


@dataclass(frozen=True, slots=True)
class Sgp4:
    """SGP4 (AIAA 2006-6753, WGS-72, improved mode) over many real satellites at once."""

    elements: tuple[Elements, ...]
    _records: tuple[Any, ...] = field(repr=False, compare=False)
    _made: dict[str, Any] = field(repr=False, compare=False)
    """Made when first asked for: SGP4's array of all, and columns and prints of the elements."""

    @classmethod
    def of(cls, elements: Sequence[Elements]) -> Sgp4:
        return cls(tuple(elements), tuple(satrec(e) for e in elements), {})

    def changed(self, elements: Mapping[int, Elements]) -> Sgp4:
        """The same satellites, some of them with other elements."""
        every, records, prints = list(self.elements), list(self._records), list(self._prints())
        for satellite, own in elements.items():
            every[satellite], records[satellite] = own, satrec(own)
            prints[satellite] = print_of(own)
        return Sgp4(tuple(every), tuple(records), {"prints": prints})

    def digest(self) -> str:
        """As `Catalog.digest`."""
        return digest_of(self._prints())

    def _prints(self) -> list[bytes]:
        if "prints" not in self._made:
            self._made["prints"] = [print_of(e) for e in self.elements]
        return self._made["prints"]  # type: ignore[no-any-return]

    @property
    def count(self) -> int:
        return len(self.elements)

    def mean_motions_rad_s(self) -> FloatArray:
        if "motions" not in self._made:
            turns = np.array([e.mean_motion_rev_day for e in self.elements])
            self._made["motions"] = turns * (2 * math.pi / 86_400)
        return self._made["motions"]  # type: ignore[no-any-return]

    def epochs(self) -> IntArray | None:
        if "epochs" not in self._made:
            self._made["epochs"] = np.array([e.epoch for e in self.elements], dtype=np.int64)
        return self._made["epochs"]  # type: ignore[no-any-return]

    def states(self, instants: IntArray) -> States:
        errors, positions, velocities = self._run(instants)
        positions[errors != 0] = np.nan
        velocities[errors != 0] = np.nan
        return (
            np.ascontiguousarray(positions.swapaxes(0, 1)),
            np.ascontiguousarray(velocities.swapaxes(0, 1)),
        )

    def orbits(self, instants: IntArray) -> States:
        return self.states(instants)

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
        if "array" not in self._made:
            self._made["array"] = SatrecArray(list(self._records))
        errors, positions, velocities = self._made["array"].sgp4(jd, fraction)
        return errors, positions, velocities

    def orbit(self, satellite: int, instants: IntArray) -> States:
        """Positions and velocities of one satellite, each (instants, 3); NaN where it failed."""
        jd, fraction = julian_dates(np.asarray(instants, dtype=np.int64))
        errors, positions, velocities = self._records[satellite].sgp4_array(jd, fraction)
        positions[errors != 0] = np.nan
        velocities[errors != 0] = np.nan
        return positions, velocities


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
        return _side_by_side([part.states(instants) for part in self.parts])

    def orbits(self, instants: IntArray) -> States:
        return _side_by_side([part.orbits(instants) for part in self.parts])

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        found: list[Failure] = []
        before = 0
        for part in self.parts:
            found += [replace(f, site=f.site + before) for f in part.failures(instants)]
            before += part.count
        return tuple(found)


def _side_by_side(each: Sequence[States]) -> States:
    positions, velocities = zip(*each, strict=True)
    return np.concatenate(positions, axis=1), np.concatenate(velocities, axis=1)


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


class Rates(NamedTuple):
    """How fast an orbit's node, perigee and mean anomaly turn, in rad/s."""

    node: float
    perigee: float
    anomaly: float

    @property
    def latitude(self) -> float:
        """Of the argument of latitude, on a circle."""
        return self.perigee + self.anomaly


def j2_rates_rad_s(altitude_km: float, inclination_deg: float, eccentricity: float = 0.0) -> Rates:
    """Secular rates at a mean altitude (of the semi-major axis), first order in J2.

    Vallado, Fundamentals of Astrodynamics, section 9.6.
    """
    n = mean_motion_rad_s(altitude_km)
    c = math.cos(math.radians(inclination_deg))
    q = 1 - eccentricity**2
    k = 0.75 * n * J2 * (EARTH_RADIUS_KM / ((EARTH_RADIUS_KM + altitude_km) * q)) ** 2
    return Rates(
        node=-2 * k * c,
        perigee=k * (5 * c * c - 1),
        anomaly=n + k * math.sqrt(q) * (3 * c * c - 1),
    )


def sun_synchronous_deg(altitude_km: float) -> float:
    """The inclination at which J2 turns a circular orbit's node once in a tropical year.

    Raises ValueError above 5,980 km, where no inclination does.
    """
    per_cosine = j2_rates_rad_s(altitude_km, 0.0).node
    return math.degrees(math.acos(2 * math.pi / (TROPICAL_YEAR_S * per_cosine)))
