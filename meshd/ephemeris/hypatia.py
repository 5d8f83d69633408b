"""Hypatia's folders as a sky: satellites, ground stations, and the links it was given.

The files are satgenpy's: `tles.txt` opens with the numbers of planes and of satellites in each;
`isls.txt` has one pair of satellites a line; `ground_stations.basic.txt`, or without `.basic`
(extended), has one station a line. What links and routes mean there is for others to know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from meshd.ephemeris import presets
from meshd.ephemeris.elements import Catalog, semi_major_axis_km
from meshd.ephemeris.stations import GroundStation, check_station
from meshd.ephemeris.tle import parse_tle
from meshd.ephemeris.walker import Shell
from protocols.errors import InputError

T = TypeVar("T")

SATELLITES = "tles.txt"
LINKS = "isls.txt"
STATIONS = ("ground_stations.basic.txt", "ground_stations.txt")
_RADIUS_KM = 6_378.135
"""WGS-72, as in Hypatia."""

_ALTITUDES_APART_KM = 20.0

LIMITS = "description.txt"
FILES = (SATELLITES, LINKS, *STATIONS, LIMITS)


@dataclass(frozen=True, slots=True)
class Wiring:
    """Links that come with a sky instead of a rule: these pairs of satellites and no others.

    Ground links are as long as `ground_range_max_km` allows, whatever the horizon, or where that
    is None as `min_elevation_deg` does.
    """

    planes: int
    slots: int
    pairs: tuple[tuple[int, int], ...]
    isl_range_max_km: float | None = None
    ground_range_max_km: float | None = None
    min_elevation_deg: float = 25.0


@dataclass(frozen=True, slots=True)
class HypatiaFolder:
    """A folder as it stands: node numbers are satellites in order, then stations in order.

    `isls` are pairs of satellites; `limits` are description.txt's lengths in metres, such as
    `max_gsl_length_m`. `min_elevation_deg` is ours: it holds where that limit is not given.
    """

    catalog: Catalog
    planes: int
    slots: int
    stations: tuple[GroundStation, ...] = ()
    isls: tuple[tuple[int, int], ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    min_elevation_deg: float = 25.0

    @property
    def wiring(self) -> Wiring:
        """The links it prescribes."""
        limits = dict(self.limits)
        return Wiring(
            planes=self.planes,
            slots=self.slots,
            pairs=self.isls,
            isl_range_max_km=_km(limits.get("max_isl_length_m")),
            ground_range_max_km=_km(limits.get("max_gsl_length_m")),
            min_elevation_deg=self.min_elevation_deg,
        )


def _km(length_m: float | None) -> float | None:
    return None if length_m is None else length_m / 1e3


def read_folder(texts: Mapping[str, str]) -> HypatiaFolder:
    """The folder whose files have these texts, by file name; all but tles.txt may be missing.

    Raises InputError "bad-hypatia" with file and line: numbers are places here, so a satellite
    that is refused would move all that follow.
    """
    planes, slots, catalog = _satellites(texts[SATELLITES])
    stations = next((texts[name] for name in STATIONS if name in texts), "")
    count = planes * slots
    return HypatiaFolder(
        catalog=catalog,
        planes=planes,
        slots=slots,
        stations=tuple(_rows(stations, "ground_stations", _station)),
        isls=tuple(_rows(texts.get(LINKS, ""), LINKS, lambda line: _pair(line, count))),
        limits=tuple(_rows(texts.get(LIMITS, ""), LIMITS, _limit)),
    )


def doubts(folder: HypatiaFolder) -> list[str]:
    """What contradicts itself in a folder, a line each: altitudes, planes and satellites."""
    first = folder.catalog.elements[0]
    flown_km = semi_major_axis_km(first.mean_motion_rev_day) - _RADIUS_KM
    shell = Shell(
        "folder", folder.planes, folder.slots, flown_km, first.inclination_deg, "delta", 0
    )
    found = presets.doubts((shell,))
    for told, altitude_km in _altitudes_told(folder):
        if abs(altitude_km - flown_km) > _ALTITUDES_APART_KM:
            found.append(
                f"mean motion {first.mean_motion_rev_day:g} rev/day is an orbit at "
                f"{flown_km:.0f} km, but {told} one at {altitude_km:.0f} km"
            )
    nodes = [e.raan_deg for e in folder.catalog.elements[: folder.slots + 1]]
    if len({*nodes[: folder.slots]}) > 1 or (folder.planes > 1 and nodes[-1] == nodes[0]):
        found.append(
            f"{SATELLITES} says {folder.planes} planes of {folder.slots}, but its first plane has "
            "another number: are the two numbers exchanged?"
        )
    return found


def _altitudes_told(folder: HypatiaFolder) -> Iterator[tuple[str, float]]:
    """Altitudes that a folder implies beside its mean motion."""
    limits = dict(folder.limits)
    if half_m := limits.get("max_isl_length_m", 0.0) / 2:
        # Hypatia's longest laser grazes the atmosphere at 80 km.
        reach_km = math.hypot(half_m / 1_000, _RADIUS_KM + 80.0) - _RADIUS_KM
        yield "the longest laser of description.txt is of", reach_km
    if match := re.search(r"-(\d{3,4}) ", folder.catalog.elements[0].name):
        yield f"the name {folder.catalog.elements[0].name!r} is of", float(match[1])


def _satellites(text: str) -> tuple[int, int, Catalog]:
    head, _, rest = text.partition("\n")
    words = head.split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise InputError("bad-hypatia", f"{SATELLITES} line 1: not planes and slots: {head!r}")
    planes, slots = int(words[0]), int(words[1])
    catalog = parse_tle(rest)
    if catalog.refused:
        first = catalog.refused[0]
        raise InputError("bad-hypatia", f"{SATELLITES} line {first.line + 1}: {first.reason}")
    if len(catalog.elements) != planes * slots:
        found = len(catalog.elements)
        raise InputError("bad-hypatia", f"{SATELLITES}: {found} satellites, not {planes} x {slots}")
    return planes, slots, catalog


def _rows(text: str, file: str, read: Callable[[str], T]) -> list[T]:
    """Each line that is not blank, read; errors get the file and line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                found.append(read(line.strip()))
            except (ValueError, IndexError):
                message = f"{file} line {number}: cannot be read: {line.strip()[:80]!r}"
                raise InputError("bad-hypatia", message) from None
            except InputError as error:
                message = f"{file} line {number}: {error.message}"
                raise InputError("bad-hypatia", message) from None
    return found


def _pair(line: str, count: int) -> tuple[int, int]:
    a, b = map(int, line.split())
    if not (0 <= a < count and 0 <= b < count and a != b):
        raise InputError("bad-hypatia", f"{line!r} is no pair of {count} satellites")
    return a, b


def _station(line: str) -> GroundStation:
    """`0,Tokyo,35.6895,139.69171,0`, and in the extended file Cartesian metres after it."""
    words = line.split(",")
    _, name, latitude, longitude, height_m = words[:5]
    height_km = float(height_m) / 1_000
    return check_station(GroundStation(name, float(latitude), float(longitude), height_km))


def _limit(line: str) -> tuple[str, float]:
    key, value = line.split("=")
    return key.strip(), float(value)
