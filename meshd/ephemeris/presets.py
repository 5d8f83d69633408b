"""Constellations that have a name: filings and studies, with where their numbers come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial

from meshd.ephemeris.names import not_found
from meshd.ephemeris.propagate import sun_synchronous_deg
from meshd.ephemeris.shellcode import parse_code
from meshd.ephemeris.timescale import gmst
from meshd.ephemeris.walker import WALKER_EPOCH, Pattern, Shell, closest_approach_km

# name: planes x slots, altitude, inclination, pattern, F, lowest elevation, source.
# Where no source gives F, it is the lowest with the greatest closest approach between satellites
# of different planes, to 0.1 km; the figure is beside it, and the tests hold it to that.
_ROWS: tuple[tuple[str, int, int, float, float, Pattern, int, float, str], ...] = (
    ("iridium", 6, 11, 780.0, 86.4, "star", 3, 8.2,
     "66 satellites; planes 30 degrees apart (31.6 in space), half-slot phasing: 3 x 360/66"),
    # F = 39 is an estimate from what flies (Stock, Fraire and Hermanns 2022), and the example of
    # the IETF's draft. Against F = 17, which other tools use: crossing satellites pass at 50 km,
    # not 20; over 20 cities in +Grid, Tokyo to Sydney takes 1.17 times the great circle, not 2.5,
    # and the longest twentieth of ways 1.9 times, not 2.4; the median is 1.21, not 1.18.
    ("starlink-1", 72, 22, 550.0, 53.0, "delta", 39, 25.0,
     "FCC 21-48 shell 1; F of draft-piraux-space-constellation-code-03"),
    ("starlink-2", 72, 22, 540.0, 53.2, "delta", 13, 25.0, "FCC 21-48 shell 2; F: 47.9 km"),
    ("starlink-3", 36, 20, 570.0, 70.0, "delta", 25, 25.0, "FCC 21-48 shell 3; F: 64.7 km"),
    ("starlink-4", 6, 58, 560.0, 97.6, "delta", 1, 25.0, "FCC 21-48 shell 4; F: 49.7 km"),
    ("starlink-5", 4, 43, 560.0, 97.6, "delta", 0, 25.0, "FCC 21-48 shell 5; F: 67.0 km"),
    ("starlink-gen2-1", 28, 120, 525.0, 53.0, "delta", 27, 25.0,
     "first grant of Gen2 (7,500 of these three shells); F: 33.9 km"),
    ("starlink-gen2-2", 28, 120, 530.0, 43.0, "delta", 11, 25.0,
     "first grant of Gen2; F: 37.0 km"),
    ("starlink-gen2-3", 28, 120, 535.0, 33.0, "delta", 15, 25.0,
     "first grant of Gen2; F: 41.7 km"),
    ("kuiper-1", 34, 34, 630.0, 51.9, "delta", 17, 30.0,
     "FCC filing, shell K1; F = 17 is the half-slot stagger of Hypatia's generator"),
    ("kuiper-2", 36, 36, 610.0, 42.0, "delta", 11, 30.0, "FCC filing, shell K2; F: 55.9 km"),
    ("kuiper-3", 28, 28, 590.0, 33.0, "delta", 17, 30.0, "FCC filing, shell K3; F: 109.3 km"),
    ("telesat-1", 27, 13, 1015.0, 98.98, "delta", 26, 10.0, "Telesat polar shell; F: 154.8 km"),
    ("telesat-2", 40, 33, 1325.0, 50.88, "delta", 24, 10.0, "Telesat inclined shell; F: 101.1 km"),
    ("oneweb", 12, 49, 1200.0, 87.9, "star", 10, 25.0,
     "OneWeb phase 1, FCC DA 23-362 section 6 (12 x 49, not 18 x 36); F: 46.2 km"),
    ("oneweb-2-1", 36, 49, 1200.0, 87.9, "star", 10, 25.0,
     "OneWeb phase 2 as filed, polar; F: 14.6 km"),
    ("oneweb-2-2", 32, 72, 1200.0, 40.0, "delta", 15, 25.0,
     "OneWeb phase 2 as filed; F: 51.2 km"),
    ("oneweb-2-3", 32, 72, 1200.0, 55.0, "delta", 3, 25.0,
     "OneWeb phase 2 as filed; F: 28.6 km"),
    ("uniform-1600", 40, 40, 550.0, 53.0, "delta", 27, 25.0,
     "Bhattacherjee and Singla, CoNEXT 2019: 40 x 40; F: 76.4 km"),
    ("starlink-2019", 24, 66, 550.0, 53.0, "delta", 13, 25.0,
     "Bhattacherjee and Singla, CoNEXT 2019: Starlink as filed then, 24 x 66; F: 93.9 km"),
)  # fmt: skip

PRESETS: dict[str, Shell] = {row[0]: Shell(*row) for row in _ROWS}
"""Single shells by name."""


@dataclass(frozen=True, slots=True)
class Constellation:
    """A named constellation; its shells are made when first asked for."""

    name: str
    source: str
    make: Callable[[], tuple[Shell, ...]]

    @property
    def shells(self) -> tuple[Shell, ...]:
        return self.make()


def shells_of(name_or_code: str) -> tuple[Shell, ...]:
    """The shells of a preset name (`iridium`), or of a constellation code (`D:550:53:1584/72/39`).

    Raises NotFound "unknown-constellation" with the nearest presets, InputError "bad-code".
    """
    word = name_or_code.strip()
    if ":" in word:
        return parse_code(word)
    found = CONSTELLATIONS.get(word.lower())
    if found is None:
        raise not_found("unknown-constellation", "constellation", word, CONSTELLATIONS)
    return found.shells


def _together(*names: str) -> Callable[[], tuple[Shell, ...]]:
    return lambda: tuple(PRESETS[name] for name in names)


# --- data centres in orbit ------------------------------------------------------------------------

_LAYERS_KM = tuple(525.0 + 50.0 * layer for layer in range(30))
"""Middles of 30 bands of 50 km, which fill 500 to 2,000 km."""

_DUSK_DEG = (math.degrees(gmst(WALKER_EPOCH)) + 90.0) % 360.0
"""The node that is crossed at 18:00 local mean time: at noon UTC the mean Sun is over Greenwich."""


@cache
def _data_centre(name: str, planes: int, slots: int) -> tuple[Shell, ...]:
    """One shell in each band, 30 degrees and sun-synchronous by turns.

    In a dense one satellites cross at a few km: a real one would spread its planes over the band.
    """
    shells = []
    for layer, altitude_km in enumerate(_LAYERS_KM):
        tilt_deg = round(sun_synchronous_deg(altitude_km), 3) if layer % 2 else 30.0
        shell = Shell(f"{name}-{altitude_km:g}", planes, slots, altitude_km, tilt_deg, "delta", 0)
        shells.append(replace(shell, phasing=best_phasing(shell)))
    return tuple(shells)


@cache
def _rings(name: str, every_10_km: tuple[int, int], slots: int) -> tuple[Shell, ...]:
    """Dawn-dusk planes from one altitude to another: their nodes are crossed at 18:00 all year."""
    lowest_km, highest_km = every_10_km
    return tuple(
        Shell(
            f"{name}-{altitude_km:g}", 1, slots, altitude_km,
            round(sun_synchronous_deg(altitude_km), 3), "delta", 0,
            raan_offset_deg=round(_DUSK_DEG, 3),
        )
        for altitude_km in map(float, range(lowest_km, highest_km + 1, 10))
    )  # fmt: skip


@cache
def _cluster() -> tuple[Shell, ...]:
    """81 satellites that circle each other within 1 km: one, and rings of 8, 16, 24 and 32.

    On an orbit of eccentricity e a satellite circles the mean one on an ellipse of a e by 2 a e;
    all have one plane and one semi-major axis, so J2 turns the whole without tearing it.
    """
    tilt_deg, node_deg = round(sun_synchronous_deg(650.0), 3), round(_DUSK_DEG, 3)
    shells = [Shell("suncatcher", 1, 1, 650.0, tilt_deg, "delta", 0, raan_offset_deg=node_deg)]
    for ring in range(1, 5):
        for place in range(8 * ring):
            perigee_deg = place * 360.0 / (8 * ring)
            apogee_km, perigee_km = 650.0 + 0.125 * ring, 650.0 - 0.125 * ring
            shells.append(
                replace(
                    shells[0],
                    name=f"suncatcher-{ring}-{place + 1}",
                    anomaly_offset_deg=-perigee_deg,
                    ellipse=(apogee_km, perigee_km, perigee_deg),
                )
            )
    return tuple(shells)


def best_phasing(shell: Shell) -> int:
    """The lowest F with the greatest closest approach, to 0.1 km so that all processors agree."""
    every = (replace(shell, phasing=f) for f in range(shell.planes))
    return max(every, key=lambda s: (round(closest_approach_km(s), 1), -s.phasing)).phasing


_ODC = "after FCC SAT-LOA-20260108-00016: 30 degrees and sun-synchronous, 500-2,000 km, shells of"

_GROUPS: tuple[tuple[str, str, Callable[[], tuple[Shell, ...]]], ...] = (
    ("starlink-gen1", "FCC 21-48: five shells, 4,408 satellites",
     _together(*(f"starlink-{n}" for n in range(1, 6)))),
    ("starlink-gen2", "first grant of Gen2: three shells, 7,500 of these 10,080 granted",
     _together(*(f"starlink-gen2-{n}" for n in range(1, 4)))),
    ("kuiper", "FCC filing: three shells, 3,236 satellites",
     _together("kuiper-1", "kuiper-2", "kuiper-3")),
    ("telesat", "Telesat: both shells, 1,671 satellites", _together("telesat-1", "telesat-2")),
    ("oneweb-2", "OneWeb phase 2 as filed: 6,372 satellites",
     _together("oneweb-2-1", "oneweb-2-2", "oneweb-2-3")),
    ("odc-10k", f"{_ODC} 50 km; a hundredth of it", partial(_data_centre, "odc-10k", 12, 28)),
    ("odc-100k", f"{_ODC} 50 km; a tenth of it", partial(_data_centre, "odc-100k", 33, 101)),
    ("odc-1m", f"{_ODC} 50 km; up to a million", partial(_data_centre, "odc-1m", 33, 1_010)),
    ("sunrise", "after Project Sunrise (March 2026): 51,600, planes 10 km apart, 400 in each; "
     "dawn-dusk is assumed", partial(_rings, "sunrise", (500, 1_780), 400)),
    ("starcloud", "after SAT-LOA-20260202-00073: 88,000, dawn-dusk, 600-850 km; 25 planes are "
     "assumed", partial(_rings, "starcloud", (605, 845), 3_520)),
    ("suncatcher", "after arXiv 2511.19468: 81 within 1 km, 650 km, dawn-dusk; its rings are "
     "assumed, and no laser policy joins them yet", _cluster),
)  # fmt: skip

CONSTELLATIONS: dict[str, Constellation] = {
    **{name: Constellation(name, s.source, _together(name)) for name, s in PRESETS.items()},
    **{name: Constellation(name, source, make) for name, source, make in _GROUPS},
}
"""All that have a name: single shells, then groups of them."""


# --- shells that people give ---------------------------------------------------------------------


def doubts(shells: Iterable[Shell]) -> list[str]:
    """What looks wrong about shells that people gave, a line each: planes and slots exchanged."""
    found = []
    for shell in shells:
        for known in PRESETS.values():
            if _exchanged(shell, known):
                found.append(
                    f"{shell.planes} planes of {shell.slots} at {shell.altitude_km:g} km: "
                    f"{known.name} is {known.planes} planes of {known.slots} ({known.source}); "
                    "are planes and satellites exchanged?"
                )
                break
    return found


def _exchanged(shell: Shell, known: Shell) -> bool:
    return (
        (shell.planes, shell.slots) == (known.slots, known.planes)
        and shell.planes != shell.slots
        and abs(shell.altitude_km - known.altitude_km) < 50
        and abs(shell.inclination_deg - known.inclination_deg) < 3
    )
