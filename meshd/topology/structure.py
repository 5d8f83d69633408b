"""Shells and planes of a real catalogue, read off its mean elements.

An inclination group is what hangs together by gaps of at most 0.02 degrees. In it a shell is a run
of altitudes that are crowded (8 satellites within 1.5 km either way) with gaps of at most 6 km,
and a plane of a shell is a run of nodes with gaps of at most 0.9 degrees and 3 members or more.
(Fitted to Starlink's and OneWeb's catalogues of 2025-09-23; the figures are in ARCHITECTURE.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.mean import MeanElements
from meshd.topology.trajectory import FloatArray, IntArray

INCLINATION_GAP = math.radians(0.02)
NODE_GAP = math.radians(0.9)
ALTITUDE_GAP_KM, CROWD_KM, CROWD = 6.0, 1.5, 8
PLANE_MEMBERS_MIN = 3
_ALTITUDE_MIN_KM, _ECCENTRICITY_MAX = 200.0, 0.005


@dataclass(frozen=True, slots=True)
class FittedShell:
    """One shell: medians of its members, and how many they are."""

    altitude_km: float
    inclination_deg: float
    satellites: int
    planes: int


@dataclass(frozen=True, slots=True)
class Structure:
    """Which shell and plane each satellite is of, (n,); -1 for none."""

    shells: tuple[FittedShell, ...]
    shell: IntArray
    plane: IntArray

    @property
    def planes(self) -> int:
        return int(self.plane.max(initial=-1)) + 1

    @property
    def strays(self) -> int:
        """Satellites of no shell: on their way up or down, spares, and the lost."""
        return int((self.shell < 0).sum())


def structure_of(mean: MeanElements) -> Structure:
    """The shells and planes of a catalogue, in order of inclination, then altitude."""
    count = mean.altitude_km.size
    shell, plane = np.full(count, -1), np.full(count, -1)
    shells: list[FittedShell] = []
    planes = 0
    with np.errstate(invalid="ignore"):
        sound = (mean.altitude_km > _ALTITUDE_MIN_KM) & (mean.eccentricity < _ECCENTRICITY_MAX)
    for group in _groups(np.flatnonzero(sound), mean.inclination, INCLINATION_GAP):
        for members in _groups(
            _crowded(group, mean.altitude_km), mean.altitude_km, ALTITUDE_GAP_KM
        ):
            if members.size < CROWD:
                continue
            shell[members] = len(shells)
            before = planes
            for ring in _around(members, mean.raan):
                if ring.size >= PLANE_MEMBERS_MIN:
                    plane[ring] = planes
                    planes += 1
            inclination = math.degrees(float(np.median(mean.inclination[members])))
            altitude_km = float(np.median(mean.altitude_km[members]))
            shells.append(FittedShell(altitude_km, inclination, members.size, planes - before))
    return Structure(tuple(shells), shell, plane)


def _groups(members: IntArray, values: FloatArray, gap: float) -> list[IntArray]:
    """Members in order of value, parted where a gap is wider."""
    if not members.size:
        return []
    order = members[np.argsort(values[members], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(values[order]) > gap) + 1)


def _around(members: IntArray, angles: FloatArray) -> list[IntArray]:
    """Members in order of angle, parted at wide gaps; the turn has no beginning."""
    order = members[np.argsort(angles[members], kind="stable")]
    gaps = np.diff(angles[order], append=angles[order[0]] + 2 * math.pi)
    widest = int(np.argmax(gaps)) + 1
    order, gaps = np.roll(order, -widest), np.roll(gaps, -widest)
    return np.split(order, np.flatnonzero(gaps[:-1] > NODE_GAP) + 1)


def _crowded(members: IntArray, altitude_km: FloatArray) -> IntArray:
    heights = altitude_km[members]
    ladder = np.sort(heights)
    above = np.searchsorted(ladder, heights + CROWD_KM)
    return members[above - np.searchsorted(ladder, heights - CROWD_KM) >= CROWD]
