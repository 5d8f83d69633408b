"""Hypatia's own constellations, number for number, so that its results can be had from here.

Its generator (satgenpy, MIT) writes elements with four decimals, so positions follow from the
rounded text: the same text is made here and read back. Epoch is 2000-01-01T00:00:00Z; satellite
n of plane p is node p * S + n, city g node P * S + g.

`hypatia:` presets see a satellite wherever the straight line to it is no longer than that of a
flat Earth's cone. At Telesat's 10 degrees this is 5,845 km where 2,792 km are right: 65.4% of its
ground links at the epoch pass through the Earth. `honest:` presets have the same satellites,
lasers and cities, and ask for the stated elevation above the true horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from meshd.ephemeris.elements import Catalog
from meshd.ephemeris.hypatia import HypatiaFolder
from meshd.ephemeris.hypatia_cities import HYPATIA_CITIES
from meshd.ephemeris.names import not_found
from meshd.ephemeris.stations import GroundStation
from meshd.ephemeris.timescale import calendar_instant
from meshd.ephemeris.tle import checksum, parse_tle

HYPATIA_EPOCH = calendar_instant(2000, 1, 1)

_EARTH_RADIUS_KM = 6_378.135
_GRAZING_KM = 80.0


@dataclass(frozen=True, slots=True)
class HypatiaShell:
    """One of the three shells of Hypatia's paper (Kassing et al., IMC 2020).

    `cone_km` is the radius on a flat Earth of what a satellite serves; where it is None it
    follows from the elevation.
    """

    title: str
    planes: int
    slots: int
    altitude_km: float
    inclination_deg: float
    mean_motion_rev_day: float
    min_elevation_deg: float
    cone_km: float | None = None

    @property
    def total(self) -> int:
        return self.planes * self.slots

    @property
    def ground_range_max_km(self) -> float:
        """The longest ground link under Hypatia's rule."""
        cone = self.cone_km
        if cone is None:
            cone = self.altitude_km / math.tan(math.radians(self.min_elevation_deg))
        return math.hypot(cone, self.altitude_km)

    @property
    def isl_range_max_km(self) -> float:
        """The longest laser: it grazes the sphere 80 km over the Earth."""
        radius = _EARTH_RADIUS_KM + self.altitude_km
        return 2 * math.sqrt(radius**2 - (_EARTH_RADIUS_KM + _GRAZING_KM) ** 2)


HYPATIA_SHELLS: dict[str, HypatiaShell] = {
    "kuiper_630": HypatiaShell("Kuiper-630", 34, 34, 630.0, 51.9, 14.80, 30.0),
    "starlink_550": HypatiaShell("Starlink-550", 72, 22, 550.0, 53.0, 15.19, 25.0, 940.7),
    "telesat_1015": HypatiaShell("Telesat-1015", 27, 13, 1015.0, 98.98, 13.66, 10.0),
}

HYPATIA_RULES = ("hypatia:", "honest:")

HYPATIA_PRESETS: dict[str, HypatiaShell] = {
    rule + name: shell for rule in HYPATIA_RULES for name, shell in HYPATIA_SHELLS.items()
}


def preset_folder(name: str) -> HypatiaFolder:
    """The folder that Hypatia would write for a preset of HYPATIA_PRESETS.

    An `honest:` one has no limit to its ground links but the lowest elevation. Raises NotFound
    "unknown-constellation" with the nearest names.
    """
    shell = HYPATIA_PRESETS.get(name)
    if shell is None:
        raise not_found("unknown-constellation", "constellation", name, HYPATIA_PRESETS)
    limits = [("max_isl_length_m", shell.isl_range_max_km * 1e3)]
    if name.startswith("hypatia:"):
        limits.insert(0, ("max_gsl_length_m", shell.ground_range_max_km * 1e3))
    return HypatiaFolder(
        catalog=_catalog(shell),
        planes=shell.planes,
        slots=shell.slots,
        stations=hypatia_stations(),
        isls=tuple(plus_grid(shell.planes, shell.slots)),
        limits=tuple(limits),
        min_elevation_deg=shell.min_elevation_deg,
    )


def hypatia_stations() -> tuple[GroundStation, ...]:
    """Hypatia's 100 cities in its order, at sea level."""
    return tuple(GroundStation(*row) for row in HYPATIA_CITIES)


def plus_grid(planes: int, slots: int) -> list[tuple[int, int]]:
    """Hypatia's lasers: a ring in each plane, and same slots of neighbouring planes, all round.

    There is no seam, even where the last plane and the first fly in opposite directions.
    """
    pairs = []
    for plane in range(planes):
        for slot in range(slots):
            here = plane * slots + slot
            ahead = plane * slots + (slot + 1) % slots
            beside = (plane + 1) % planes * slots + slot
            pairs += [_ordered(here, ahead), _ordered(here, beside)]
    return pairs


def shell_tle(shell: HypatiaShell) -> str:
    """The shell as satgenpy writes it, without the first line of its file."""
    lines = []
    for node in range(shell.total):
        plane, slot = divmod(node, shell.slots)
        stagger = 360.0 / (shell.slots * 2.0) if plane % 2 else 0.0
        first = f"1 {node + 1:05d}U 00000ABC 00001.00000000  .00000000  00000-0  00000+0 0    0"
        second = (
            f"2 {node + 1:05d} {shell.inclination_deg:8.4f} {plane * 360.0 / shell.planes:8.4f} "
            f"0000001 {0.0:8.4f} {stagger + slot * 360 / shell.slots:8.4f} "
            f"{shell.mean_motion_rev_day:11.8f}    0"
        )
        lines.append(f"{shell.title} {node}")
        lines += [f"{line}{checksum(line)}" for line in (first, second)]
    return "\n".join(lines) + "\n"


@cache
def _catalog(shell: HypatiaShell) -> Catalog:
    return parse_tle(shell_tle(shell))


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
