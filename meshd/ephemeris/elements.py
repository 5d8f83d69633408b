"""Mean elements of one satellite, and a catalogue of many."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from protocols.errors import InputError
from protocols.types import Instant

CATALOG_ELEMENTS_MAX = 200_000
"""More element sets than this in one file are refused: ten times all that fly today."""

# WGS-72, the constants SGP4 element sets are fitted with (Spacetrack Report 3).
_MU_KM3_S2 = 398_600.8
_EARTH_RADIUS_KM = 6_378.135
_MEAN_MOTION_MIN = 0.03  # rev/day; the Moon makes 0.037
_MEAN_MOTION_MAX = 18.0  # rev/day; a circular orbit at the surface makes 17.04


@dataclass(frozen=True, slots=True)
class Elements:
    """One mean element set (SGP4's): angles in degrees, mean motion in revolutions a day.

    `ndot` and `nddot` are as in a TLE (half and sixth of the derivatives, rev/day^2 and ^3).
    `line1` and `line2` hold the TLE this was read from, so that SGP4 gets its very digits.
    """

    name: str
    norad_id: int
    epoch: Instant
    inclination_deg: float
    raan_deg: float
    eccentricity: float
    argp_deg: float
    mean_anomaly_deg: float
    mean_motion_rev_day: float
    bstar: float = 0.0
    ndot: float = 0.0
    nddot: float = 0.0
    line1: str = ""
    line2: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was not taken: the line it began on (from 1; 0 for a whole file), and why."""

    line: int
    name: str
    code: str
    reason: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Usable element sets in file order, and those refused.

    `digest` is `digest_of` the elements' prints.
    """

    elements: tuple[Elements, ...]
    refused: tuple[Refused, ...]
    digest: str


def semi_major_axis_km(mean_motion_rev_day: float) -> float:
    """Kepler's third law with WGS-72 mu, for checks; SGP4 does its own, with J2."""
    rate = mean_motion_rev_day * 2 * math.pi / 86_400
    return float((_MU_KM3_S2 / rate**2) ** (1 / 3))


def check_elements(elements: Elements) -> Elements:
    """The same elements, if an orbit can have them.

    Raises InputError "bad-number" (not finite), "bad-elements" (out of range) or "underground"
    (perigee below the surface).
    """
    e = elements
    _check_finite(e)
    if not 0.0 <= e.eccentricity < 1.0:
        raise InputError("bad-elements", f"eccentricity {e.eccentricity} is not in [0, 1)")
    if not 0.0 <= e.inclination_deg <= 180.0:
        raise InputError("bad-elements", f"inclination {e.inclination_deg} is not in [0, 180]")
    if not _MEAN_MOTION_MIN < e.mean_motion_rev_day < _MEAN_MOTION_MAX:
        raise InputError(
            "bad-elements", f"mean motion {e.mean_motion_rev_day} rev/day is no Earth orbit"
        )
    if e.norad_id < 0:
        raise InputError("bad-elements", f"catalogue number {e.norad_id} is negative")
    perigee_km = semi_major_axis_km(e.mean_motion_rev_day) * (1 - e.eccentricity) - _EARTH_RADIUS_KM
    if perigee_km < 0.0:
        raise InputError("underground", f"perigee is {-perigee_km:.0f} km under the surface")
    return elements


def _check_finite(e: Elements) -> None:
    for field, value in (
        ("inclination", e.inclination_deg),
        ("right ascension of the node", e.raan_deg),
        ("eccentricity", e.eccentricity),
        ("argument of perigee", e.argp_deg),
        ("mean anomaly", e.mean_anomaly_deg),
        ("mean motion", e.mean_motion_rev_day),
        ("bstar", e.bstar),
        ("ndot", e.ndot),
        ("nddot", e.nddot),
    ):
        if not math.isfinite(value):
            raise InputError("bad-number", f"{field} is {value}")


def make_catalog(found: Iterable[tuple[int, Elements]], refused: Iterable[Refused] = ()) -> Catalog:
    """A catalogue of (line, elements) in order; of one satellite only the newest epoch is kept.

    Raises InputError "empty-catalog" when nothing is usable and "catalog-too-large" beyond
    CATALOG_ELEMENTS_MAX.
    """
    turned_away = list(refused)
    newest: dict[tuple[int, str], tuple[int, Elements]] = {}
    for line, e in found:
        # Number 0 is what people write for a satellite that has none: its name tells it apart.
        key = (e.norad_id, "" if e.norad_id else e.name)
        held = newest.get(key)
        if held is not None and held[1].epoch >= e.epoch:
            turned_away.append(Refused(line, e.name, "superseded", "a newer set is in this file"))
            continue
        if held is not None:
            turned_away.append(
                Refused(held[0], held[1].name, "superseded", "a newer set is in this file")
            )
        newest[key] = (line, e)
        if len(newest) > CATALOG_ELEMENTS_MAX:
            raise InputError(
                "catalog-too-large", f"more than {CATALOG_ELEMENTS_MAX} satellites in one file"
            )
    if not newest:
        first = f"; line {turned_away[0].line}: {turned_away[0].reason}" if turned_away else ""
        raise InputError("empty-catalog", f"no usable element set in this file{first}")
    elements = tuple(e for _, e in newest.values())
    turned_away.sort(key=lambda item: item.line)
    digest = digest_of(print_of(e) for e in elements)
    return Catalog(elements, tuple(turned_away), digest)


def print_of(e: Elements) -> bytes:
    """sha256 over one element set, without the text it came from."""
    told = (
        f"{e.norad_id}|{e.name}|{e.epoch}|{e.inclination_deg!r}|{e.raan_deg!r}|"
        f"{e.eccentricity!r}|{e.argp_deg!r}|{e.mean_anomaly_deg!r}|{e.mean_motion_rev_day!r}|"
        f"{e.bstar!r}|{e.ndot!r}|{e.nddot!r}"
    )
    return hashlib.sha256(told.encode()).digest()


def digest_of(prints: Iterable[bytes]) -> str:
    """sha256 (hex) over the prints of element sets in order: one that changes costs one print."""
    return hashlib.sha256(b"".join(prints)).hexdigest()
