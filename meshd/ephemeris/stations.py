"""Places on the ground, and where the turning Earth carries them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.timescale import EARTH_ROTATION_RAD_S, FloatArray, IntArray, gmst_rad
from protocols.errors import InputError

# WGS-84 ellipsoid (NIMA TR8350.2).
_A_KM = 6_378.137
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)
EARTH_MEAN_RADIUS_KM = 6_371.0088
"""IUGG mean radius, for great circles."""


@dataclass(frozen=True, slots=True)
class GroundStation:
    """A named place: geodetic latitude and longitude (east) in degrees, height in km (WGS-84)."""

    name: str
    latitude_deg: float
    longitude_deg: float
    altitude_km: float = 0.0


def check_station(station: GroundStation) -> GroundStation:
    """The same station, if it is on the Earth; raises InputError "bad-station"."""
    s = station
    if not (
        s.name
        and -90.0 <= s.latitude_deg <= 90.0
        and -180.0 <= s.longitude_deg <= 360.0
        and -1.0 <= s.altitude_km <= 50.0
    ):
        raise InputError("bad-station", f"not a place on the ground: {s}")
    return station


def ecef_km(stations: Sequence[GroundStation]) -> FloatArray:
    """Earth-fixed positions, (stations, 3) km: geodetic to Cartesian on WGS-84."""
    latitude = np.radians([s.latitude_deg for s in stations])
    longitude = np.radians([s.longitude_deg for s in stations])
    height = np.array([s.altitude_km for s in stations])
    prime_vertical = _A_KM / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    return np.stack(
        [
            (prime_vertical + height) * np.cos(latitude) * np.cos(longitude),
            (prime_vertical + height) * np.cos(latitude) * np.sin(longitude),
            (prime_vertical * (1 - _E2) + height) * np.sin(latitude),
        ],
        axis=-1,
    ).reshape(-1, 3)


def zenith(stations: Sequence[GroundStation]) -> FloatArray:
    """Earth-fixed unit vectors straight up (normal to the ellipsoid), (stations, 3)."""
    latitude = np.radians([s.latitude_deg for s in stations])
    longitude = np.radians([s.longitude_deg for s in stations])
    return np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        axis=-1,
    ).reshape(-1, 3)


def to_inertial(fixed: FloatArray, instants: IntArray) -> FloatArray:
    """Earth-fixed vectors (n, 3) turned by GMST at instants (K,): (K, n, 3).

    Polar motion (about 10 m) is left out.
    """
    angle = gmst_rad(instants)[:, None]
    c, s = np.cos(angle), np.sin(angle)
    return np.stack(
        [
            c * fixed[:, 0] - s * fixed[:, 1],
            s * fixed[:, 0] + c * fixed[:, 1],
            np.broadcast_to(fixed[:, 2], (angle.shape[0], fixed.shape[0])),
        ],
        axis=-1,
    )


def to_fixed(inertial: FloatArray, instants: IntArray) -> FloatArray:
    """Inertial vectors (K, n, 3) at instants (K,) turned into the Earth-fixed frame."""
    angle = gmst_rad(instants)[:, None]
    c, s = np.cos(angle), np.sin(angle)
    x, y = inertial[..., 0], inertial[..., 1]
    return np.stack([c * x + s * y, c * y - s * x, inertial[..., 2]], axis=-1)


def station_states(fixed: FloatArray, instants: IntArray) -> tuple[FloatArray, FloatArray]:
    """Inertial positions (km) and velocities (km/s) of Earth-fixed points, each (K, n, 3)."""
    positions = to_inertial(fixed, instants)
    velocities = np.zeros_like(positions)
    velocities[..., 0] = -EARTH_ROTATION_RAD_S * positions[..., 1]
    velocities[..., 1] = EARTH_ROTATION_RAD_S * positions[..., 0]
    return positions, velocities


def geodetic(fixed: FloatArray) -> tuple[float, float, float]:
    """(latitude deg, longitude deg, height km) on WGS-84 of one Earth-fixed position in km.

    Bowring's iteration, to 1e-9 degrees above the surface.
    """
    x, y, z = (float(value) for value in fixed)
    p = math.hypot(x, y)
    latitude = math.atan2(z, p * (1 - _E2))
    for _ in range(8):
        n = _A_KM / math.sqrt(1 - _E2 * math.sin(latitude) ** 2)
        latitude = math.atan2(z + _E2 * n * math.sin(latitude), p)
    n = _A_KM / math.sqrt(1 - _E2 * math.sin(latitude) ** 2)
    height = p * math.cos(latitude) + z * math.sin(latitude) - _A_KM**2 / n
    return math.degrees(latitude), math.degrees(math.atan2(y, x)), height


def great_circle_km(a: GroundStation, b: GroundStation) -> float:
    """Length of the great circle between two stations on the mean sphere (haversine)."""
    lat_a, lat_b = math.radians(a.latitude_deg), math.radians(b.latitude_deg)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians(b.longitude_deg - a.longitude_deg) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_MEAN_RADIUS_KM * math.asin(math.sqrt(min(1.0, h)))
