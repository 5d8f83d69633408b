"""Orbits whose planes and perigees turn steadily under J2: circular shells, and ellipses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from meshd.kernels import inner, kernel

TURN = 2.0 * math.pi
DAY_NS = 86_400_000_000_000
KEPLER_STEPS_MAX = 50


class Planes(NamedTuple):
    """Circular orbits, plane by plane: one entry a plane, whatever number of satellites it has.

    The satellites of plane p are those from `first[p]` to `first[p + 1]`, evenly round it. Their
    angles from the plane's first are in `cosine` and `sine` from `angles[p]` on, shared by planes
    of as many satellites.
    """

    first: Any  # (planes + 1,) int64
    radius_km: Any
    node: Any  # rad, at the epoch
    latitude: Any  # rad, argument of latitude of the plane's first satellite, at the epoch
    cos_i: Any
    sin_i: Any
    node_rate: Any  # rad/s
    latitude_rate: Any  # rad/s
    angles: Any  # (planes,) int64
    cosine: Any
    sine: Any


class Ellipses(NamedTuple):
    """Mean elements at the epoch, one entry a satellite: km, radians, and rates in rad/s."""

    axis_km: Any
    eccentricity: Any
    cos_i: Any
    sin_i: Any
    node: Any
    perigee: Any
    anomaly: Any
    node_rate: Any
    perigee_rate: Any
    anomaly_rate: Any


@kernel
def circular_states(planes: Planes, since: Any, positions: Any, velocities: Any) -> None:
    """Fill positions (km) and velocities (km/s), each (instants, satellites, 3).

    `since` are nanoseconds from the epoch. The velocity is the exact derivative of the position. An
    angle's sine and cosine are those of the plane's first satellite turned by a tabled angle,
    which rounds as little as asking for them does: 2e-16.
    """
    for k in range(since.size):
        for p in range(planes.radius_km.size):
            plane_states(planes, p, since[k], positions[k], velocities[k])


@inner
def plane_states(planes: Planes, p: int, since: int, positions: Any, velocities: Any) -> None:
    """Fill one plane's rows at one time."""
    node = planes.node[p] + turned(planes.node_rate[p], since)
    start = planes.latitude[p] + turned(planes.latitude_rate[p], since)
    cn, sn, ci, si = math.cos(node), math.sin(node), planes.cos_i[p], planes.sin_i[p]
    cb, sb = math.cos(start), math.sin(start)
    r, turning = planes.radius_km[p], planes.node_rate[p]
    speed = r * planes.latitude_rate[p]
    table = planes.angles[p] - planes.first[p]
    for i in range(planes.first[p], planes.first[p + 1]):
        cs, ss = planes.cosine[table + i], planes.sine[table + i]
        cu, su = cb * cs - sb * ss, sb * cs + cb * ss
        x, y = r * (cn * cu - sn * su * ci), r * (sn * cu + cn * su * ci)
        positions[i, 0], positions[i, 1], positions[i, 2] = x, y, r * (su * si)
        velocities[i, 0] = speed * (-cn * su - sn * cu * ci) - turning * y
        velocities[i, 1] = speed * (-sn * su + cn * cu * ci) + turning * x
        velocities[i, 2] = speed * (cu * si)


@inner
def turned(rate: float, since: int) -> float:
    """The angle a steady rate (rad/s) makes in some nanoseconds, less whole turns of whole days.

    Taken by the day it rounds to 1e-14 rad from one instant to the next; in one product of years
    it would be 1e-12, which is felt in differences.
    """
    day = since // DAY_NS
    rest_s = (since - day * DAY_NS) * 1e-9
    return ((rate * 86_400.0) % TURN * day) % TURN + rate * rest_s


@kernel
def elliptic_states(orbits: Ellipses, since: Any, positions: Any, velocities: Any) -> None:
    """As `circular_states`, for ellipses whose perigee turns too; velocity is the derivative."""
    for i in range(orbits.axis_km.size):
        a, e = orbits.axis_km[i], orbits.eccentricity[i]
        ci, si = orbits.cos_i[i], orbits.sin_i[i]
        b = a * math.sqrt(1.0 - e * e)
        for k in range(since.size):
            node = orbits.node[i] + turned(orbits.node_rate[i], since[k])
            perigee = orbits.perigee[i] + turned(orbits.perigee_rate[i], since[k])
            mean = (orbits.anomaly[i] + turned(orbits.anomaly_rate[i], since[k])) % TURN
            anomaly = kepler(mean, e)
            ca, sa = math.cos(anomaly), math.sin(anomaly)
            rate = orbits.anomaly_rate[i] / (1.0 - e * ca)
            turn = orbits.perigee_rate[i]
            cw, sw = math.cos(perigee), math.sin(perigee)
            cn, sn = math.cos(node), math.sin(node)
            # In the orbit's plane, from the node: p along it, q a quarter turn ahead.
            x, y = a * (ca - e), b * sa
            p, q = cw * x - sw * y, sw * x + cw * y
            vx, vy = -a * sa * rate, b * ca * rate
            vp, vq = cw * vx - sw * vy - turn * q, sw * vx + cw * vy + turn * p
            positions[k, i, 0] = cn * p - sn * ci * q
            positions[k, i, 1] = sn * p + cn * ci * q
            positions[k, i, 2] = si * q
            velocities[k, i, 0] = cn * vp - sn * ci * vq - orbits.node_rate[i] * positions[k, i, 1]
            velocities[k, i, 1] = sn * vp + cn * ci * vq + orbits.node_rate[i] * positions[k, i, 0]
            velocities[k, i, 2] = si * vq


@inner
def kepler(mean: float, e: float) -> float:
    """The eccentric anomaly of a mean anomaly in [0, 2 pi): Newton's steps, to 1e-14 rad."""
    anomaly = mean + (e if mean < math.pi else -e)
    for _ in range(KEPLER_STEPS_MAX):
        step = (anomaly - e * math.sin(anomaly) - mean) / (1.0 - e * math.cos(anomaly))
        anomaly -= step
        if abs(step) < 1e-14:
            break
    return anomaly
