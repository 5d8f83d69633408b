"""Walker shells: constellations given by a few numbers, by name or by the IETF's code.

Angles are in degrees, altitudes above the equatorial radius of WGS-84. Mean motion is always
derived from altitude, so that the two cannot disagree (a known error of other projects).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from meshd.ephemeris.names import not_found
from meshd.ephemeris.timescale import calendar_instant
from protocols.errors import InputError
from protocols.types import HOUR

Pattern: TypeAlias = Literal["delta", "star"]

SATELLITES_MAX = 1_100_000
WALKER_EPOCH = calendar_instant(2026, 1, 1, 12 * HOUR)
"""When plane 1's ascending node and slot 1 stand at their offsets: the same for every node."""


@dataclass(frozen=True, slots=True)
class Shell:
    """One Walker shell of `planes` x `slots` satellites on circular orbits.

    A delta spreads its ascending nodes over 360 degrees, a star over 180; plane p + 1 leads
    plane p by `phasing` x 360 / total degrees of argument of latitude (Walker's F, after
    J. G. Walker, 1984).
    """

    name: str
    planes: int
    slots: int
    altitude_km: float
    inclination_deg: float
    pattern: Pattern
    phasing: int
    min_elevation_deg: float = 25.0
    source: str = ""
    raan_offset_deg: float = 0.0
    anomaly_offset_deg: float = 0.0

    @property
    def total(self) -> int:
        return self.planes * self.slots

    @property
    def arc_deg(self) -> float:
        return 360.0 if self.pattern == "delta" else 180.0

    def satellite_names(self) -> list[str]:
        """`<shell>-<plane>-<slot>`, both from 1, plane by plane."""
        return [
            f"{self.name}-{plane}-{slot}"
            for plane in range(1, self.planes + 1)
            for slot in range(1, self.slots + 1)
        ]


# name: planes x slots, altitude, inclination, pattern, F, lowest elevation, source.
# Where no source gives F, it is the F with the greatest closest approach between satellites of
# different planes, computed for circular orbits (the figure is beside it).
_ROWS: tuple[tuple[str, int, int, float, float, Pattern, int, float, str], ...] = (
    ("iridium", 6, 11, 780.0, 86.4, "star", 3, 8.2,
     "66 satellites; planes 30 degrees apart (31.6 in space), half-slot phasing: 3 x 360/66"),
    # F = 17 is the IETF constellation code's for this shell: planes lead by 3.9 degrees of the
    # 16.4 between slots, same-slot links stay short, and crossing satellites pass 27 km apart.
    ("starlink-1", 72, 22, 550.0, 53.0, "delta", 17, 25.0,
     "FCC 21-48 shell 1; F of draft-piraux-space-constellation-code"),
    ("starlink-2", 72, 22, 540.0, 53.2, "delta", 3, 25.0, "FCC 21-48 shell 2; F: 61 km"),
    ("starlink-3", 36, 20, 570.0, 70.0, "delta", 35, 25.0, "FCC 21-48 shell 3; F: 76 km"),
    ("starlink-4", 6, 58, 560.0, 97.6, "delta", 3, 25.0, "FCC 21-48 shell 4; F: 51 km"),
    ("starlink-5", 4, 43, 560.0, 97.6, "delta", 2, 25.0, "FCC 21-48 shell 5; F: 71 km"),
    ("kuiper-1", 34, 34, 630.0, 51.9, "delta", 17, 30.0,
     "FCC filing, shell K1; F = 17 is the half-slot stagger of Hypatia's generator"),
    ("kuiper-2", 36, 36, 610.0, 42.0, "delta", 11, 30.0, "FCC filing, shell K2; F: 58 km"),
    ("kuiper-3", 28, 28, 590.0, 33.0, "delta", 17, 30.0, "FCC filing, shell K3; F: 112 km"),
    ("telesat-1", 27, 13, 1015.0, 98.98, "delta", 26, 10.0, "Telesat polar shell; F: 161 km"),
    ("telesat-2", 40, 33, 1325.0, 50.88, "delta", 24, 10.0, "Telesat inclined shell; F: 104 km"),
    ("oneweb", 12, 49, 1200.0, 87.9, "star", 6, 25.0,
     "OneWeb phase 1, FCC DA 23-362 section 6; half-slot phasing: 6 x 360/588"),
    ("uniform-1600", 40, 40, 550.0, 53.0, "delta", 21, 25.0,
     "Bhattacherjee and Singla, CoNEXT 2019: 40 x 40"),
)  # fmt: skip

PRESETS: dict[str, Shell] = {row[0]: Shell(*row) for row in _ROWS}

_CODE = re.compile(
    r"(?P<pattern>[DS])(?:/(?P<raan>[^:/]+))?:(?P<orbit>[^:]+):(?P<inclination>[^:]+)"
    r":(?P<total>\d+)/(?P<planes>\d+)/(?P<phasing>\d+)(?:/(?P<anomaly>[^/]+))?",
    re.ASCII | re.IGNORECASE,
)


def shells_of(name_or_code: str) -> tuple[Shell, ...]:
    """The shells of a preset name (`iridium`), or of a constellation code (`D:550:53:1584/72/17`).

    Raises NotFound "unknown-constellation" with the nearest presets, InputError "bad-code".
    """
    word = name_or_code.strip()
    if ":" in word:
        return parse_code(word)
    shell = PRESETS.get(word.lower())
    if shell is None:
        raise not_found("unknown-constellation", "constellation", word, PRESETS)
    return (shell,)


def parse_code(code: str) -> tuple[Shell, ...]:
    """The shells of an IETF constellation code, joined by `+`; satellites are named s1, s2...

    `D` or `S`[`/raan`] `:` altitude km `:` inclination `:` T/P/F[`/anomaly`]
    (draft-piraux-space-constellation-code). Elliptical shells are refused. Raises InputError
    "bad-code".
    """
    shells = []
    parts = code.strip().split("+")
    for place, part in enumerate(parts, start=1):
        match = _CODE.fullmatch(part.strip())
        if match is None:
            raise InputError(
                "bad-code", f"not a constellation code: {part!r}; write D:550:53.0:1584/72/17"
            )
        if "/" in match["orbit"]:
            raise InputError("bad-code", f"{part!r} is elliptical; only circular shells are known")
        shells.append(_shell("s" if len(parts) == 1 else f"s{place}", part, match))
    return tuple(shells)


def _shell(name: str, part: str, match: re.Match[str]) -> Shell:
    total, planes = int(match["total"]), int(match["planes"])
    if planes == 0 or total == 0 or total % planes:
        raise InputError("bad-code", f"{total} satellites do not fill {planes} planes evenly")
    return check_shell(
        Shell(
            name=name,
            planes=planes,
            slots=total // planes,
            altitude_km=_number(match["orbit"]),
            inclination_deg=_number(match["inclination"]),
            pattern="delta" if match["pattern"].upper() == "D" else "star",
            phasing=int(match["phasing"]),
            source=part.strip(),
            raan_offset_deg=_number(match["raan"] or "0"),
            anomaly_offset_deg=_number(match["anomaly"] or "0"),
        )
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError("bad-code", f"{text!r} is no number") from None


def check_shell(shell: Shell) -> Shell:
    """The same shell, if it can be flown; raises InputError "bad-shell"."""
    checks = (
        (shell.planes >= 1 and shell.slots >= 1, "planes and slots are at least 1"),
        (shell.total <= SATELLITES_MAX, f"at most {SATELLITES_MAX} satellites"),
        (120.0 <= shell.altitude_km <= 50_000.0, "altitude is 120 to 50,000 km"),
        (0.0 <= shell.inclination_deg <= 180.0, "inclination is 0 to 180 degrees"),
        (0 <= shell.phasing < shell.planes, "phasing F is 0 to planes - 1"),
        (-360.0 <= shell.raan_offset_deg <= 360.0, "the RAAN offset is within a turn"),
        (-360.0 <= shell.anomaly_offset_deg <= 360.0, "the anomaly offset is within a turn"),
    )
    for holds, law in checks:
        if not holds:
            raise InputError("bad-shell", f"shell {shell.name!r}: {law}")
    return shell


def code_of(shell: Shell) -> str:
    """The IETF constellation code of a shell; `parse_code` reads it back."""
    raan = f"/{shell.raan_offset_deg:g}" if shell.raan_offset_deg else ""
    anomaly = f"/{shell.anomaly_offset_deg:g}" if shell.anomaly_offset_deg else ""
    letter = "D" if shell.pattern == "delta" else "S"
    return (
        f"{letter}{raan}:{shell.altitude_km!r}:{shell.inclination_deg!r}"
        f":{shell.total}/{shell.planes}/{shell.phasing}{anomaly}"
    )
