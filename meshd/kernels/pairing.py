"""Weighing laser pairs: what lasts around two orbits, and how good it is.

For two circular orbits the cosine between the satellites is A + B cos(2 u + phase), where A and B
follow from one state of each; so their range is known over the whole orbit.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import inner, kernel
from meshd.kernels.visibility import FloatArray, dot

IntArray: TypeAlias = NDArray[np.int64]
ByteArray: TypeAlias = NDArray[np.int8]
KeyArray: TypeAlias = NDArray[np.uint64]

AHEAD, BEHIND, EAST, WEST = 0, 1, 2, 3
"""A satellite's terminals, by the side they look to."""


class Orbits(NamedTuple):
    """Each satellite at one instant: unit vectors (n, 3), radius (km), mean motion (rad/s)."""

    out: FloatArray
    along: FloatArray
    normal: FloatArray
    radius_km: FloatArray
    motion_rad_s: FloatArray


class Wanted(NamedTuple):
    """What a lasting pair is: limits, and what is best within them."""

    grazing_radius_km: float
    range_max_km: float
    range_min_km: float
    mean_range_max_km: float
    sight_margin_km: float
    held_s: float
    """How long before and after its instant a pair must stay in sight."""
    slew_rad_s: float
    ring_km: float
    side_km: float
    bin_km: float
    slow_km_h: float
    quick_km_h: float
    """Pairs that drift apart slower than `slow` come first, then those slower than `quick`."""


class Weighed(NamedTuple):
    """Candidates that will do: their order (least first), and i's side for j."""

    i: IntArray
    j: IntArray
    key: KeyArray
    side: ByteArray


@inner
def mix(i: int, j: int) -> np.uint64:
    """A number for a pair that has nothing to do with where they are: breaks ties fairly.

    Multipliers and shifts of SplitMix64 (Steele et al., 2014).
    """
    x = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(j) * np.uint64(0xC2B2AE3D27D4EB4F)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def hashes(i: IntArray, j: IntArray) -> KeyArray:
    """`mix` of many pairs."""
    found = np.empty(i.size, np.uint64)
    for row in range(i.size):
        found[row] = mix(i[row], j[row])
    return found


@inner
def _row(table: FloatArray, i: int) -> tuple[float, float, float]:
    return table[i, 0], table[i, 1], table[i, 2]


@inner
def _angles(orbits: Orbits, i: int, j: int) -> tuple[float, float, float, float, float]:
    """Mean and swing of the cosine, lead and tilt (rad), and whether j's node lies east of i's."""
    pi, pj = _row(orbits.out, i), _row(orbits.out, j)
    qi, qj = _row(orbits.along, i), _row(orbits.along, j)
    pp, qq, pq, qp = dot(pi, pj), dot(qi, qj), dot(pi, qj), dot(qi, pj)
    swing = math.sqrt((pp - qq) ** 2 + (pq + qp) ** 2) / 2
    a, b = _row(orbits.normal, i), _row(orbits.normal, j)
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return (pp + qq) / 2, swing, (qp - pq) / 2, math.sqrt(x * x + y * y + z * z), z


@inner
def _depth(radius_km: float, grazing_km: float) -> float:
    return math.sqrt(max(radius_km * radius_km - grazing_km * grazing_km, 0.0))


@inner
def _lasts(orbits: Orbits, wanted: Wanted, i: int, j: int) -> bool:
    """Whether a pair keeps in sight, within range and slow enough all around the orbit."""
    mean, swing, _, _, _ = _angles(orbits, i, j)
    ri, rj = orbits.radius_km[i], orbits.radius_km[j]
    squares, product = ri * ri + rj * rj, 2 * ri * rj
    range_km = math.sqrt(max(squares - product * mean, 0.0))
    if range_km > wanted.mean_range_max_km:
        return False
    drift = abs(orbits.motion_rad_s[i] - orbits.motion_rad_s[j]) * ri
    drifted = drift * wanted.held_s
    longest = math.sqrt(squares - product * (mean - swing)) + drifted
    shortest = math.sqrt(max(squares - product * (mean + swing), 0.0)) - drifted
    graze = wanted.grazing_radius_km
    sight = _depth(ri, graze) + _depth(rj, graze) - wanted.sight_margin_km
    if longest >= min(sight, wanted.range_max_km) or shortest <= wanted.range_min_km:
        return False
    # Neighbours approach at no more than the orbital rate times their longest range.
    return bool(orbits.motion_rad_s[i] * longest <= wanted.slew_rad_s * shortest)


@inner
def _rank(orbits: Orbits, wanted: Wanted, i: int, j: int) -> tuple[int, int]:
    """A pair's place before ties (drift class, then how far from best), and i's side for j."""
    mean, _, lead, tilt, east = _angles(orbits, i, j)
    ri, rj = orbits.radius_km[i], orbits.radius_km[j]
    range_km = math.sqrt(max(ri * ri + rj * rj - 2 * ri * rj * mean, 0.0))
    aside = tilt > abs(lead)
    if aside:
        side, off = EAST if east > 0 else WEST, abs(range_km - wanted.side_km) + abs(lead) * ri
    else:
        side, off = AHEAD if lead > 0 else BEHIND, abs(range_km - wanted.ring_km) + tilt * ri
    km_h = abs(orbits.motion_rad_s[i] - orbits.motion_rad_s[j]) * ri * 3_600
    grade = 0 if km_h < wanted.slow_km_h else 1 if km_h < wanted.quick_km_h else 2
    return (grade << 16) + int(off / wanted.bin_km), side


@kernel
def _at(references: Orbits, phase: int) -> Orbits:
    return Orbits(
        references.out[phase], references.along[phase], references.normal[phase],
        references.radius_km[phase], references.motion_rad_s,
    )  # fmt: skip


@kernel
def weigh(orbits: Orbits, references: Orbits, wanted: Wanted, i: IntArray, j: IntArray) -> Weighed:
    """The candidates (i < j) that last, with their keys: rank, then a hash of the two.

    `references` has a leading axis of phases. A pair is ranked by the phase that its hash says.
    """
    phases = references.out.shape[0]
    count = i.size
    found = Weighed(
        np.empty(count, np.int64), np.empty(count, np.int64),
        np.empty(count, np.uint64), np.empty(count, np.int8),
    )  # fmt: skip
    kept = 0
    for row in range(count):
        if _lasts(orbits, wanted, i[row], j[row]):
            tie = mix(i[row], j[row])
            phase = int(tie % np.uint64(phases))
            rank, side = _rank(_at(references, phase), wanted, i[row], j[row])
            found.i[kept], found.j[kept], found.side[kept] = i[row], j[row], side
            found.key[kept] = (np.uint64(rank) << np.uint64(40)) | (tie >> np.uint64(24))
            kept += 1
    return Weighed(found.i[:kept], found.j[:kept], found.key[:kept], found.side[:kept])


@kernel
def replaced(old: Weighed, satellite: int, new: Weighed) -> Weighed:
    """Candidates in order of (key, i, j), with new ones for all that have to do with a satellite.

    `new` is in that order too.
    """
    size = old.i.size + new.i.size
    found = Weighed(
        np.empty(size, np.int64), np.empty(size, np.int64),
        np.empty(size, np.uint64), np.empty(size, np.int8),
    )  # fmt: skip
    kept, at = 0, 0
    for row in range(old.i.size + 1):
        last = row == old.i.size
        if not last and (old.i[row] == satellite or old.j[row] == satellite):
            continue
        while at < new.i.size and (last or _before(new, at, old, row)):
            _copy(found, kept, new, at)
            kept, at = kept + 1, at + 1
        if not last:
            _copy(found, kept, old, row)
            kept += 1
    return Weighed(found.i[:kept], found.j[:kept], found.key[:kept], found.side[:kept])


@inner
def _before(one: Weighed, a: int, other: Weighed, b: int) -> bool:
    if one.key[a] != other.key[b]:
        return bool(one.key[a] < other.key[b])
    return bool((one.i[a], one.j[a]) < (other.i[b], other.j[b]))


@inner
def _copy(found: Weighed, to: int, source: Weighed, row: int) -> None:
    found.i[to], found.j[to] = source.i[row], source.j[row]
    found.key[to], found.side[to] = source.key[row], source.side[row]
