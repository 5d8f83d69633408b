"""The IETF's constellation code, read and written: shells in one line.

draft-piraux-space-constellation-code-03, with what Tim van der Lee's ConstellationCode, its
origin, adds: an offset of nodes, ellipses, and the anomaly after a slash.
"""

from __future__ import annotations

import re

from meshd.ephemeris.walker import Shell, check_shell
from protocols.errors import InputError

SHELLS_MAX = 4_096

_CODE = re.compile(
    r"(?P<pattern>[DS])(?:/(?P<raan>[^:/]+))?:(?P<orbit>[^:]+):(?P<inclination>[^:]+)"
    r":(?P<total>\d+)/(?P<planes>\d+)/(?P<phasing>\d+)(?:[/:](?P<anomaly>[^/:]+))?",
    re.ASCII | re.IGNORECASE,
)


def parse_code(code: str) -> tuple[Shell, ...]:
    """The shells of a constellation code, joined by `+`; satellites are named s1, s2...

    `D` or `S`[`/raan`] `:` altitude km `:` inclination `:` T/P/F[`:anomaly`]. For an ellipse the
    altitude is apogee/perigee/argument of perigee. Raises InputError "bad-code" or "bad-shell".
    """
    shells = []
    parts = code.strip().split("+")
    if len(parts) > SHELLS_MAX:
        raise InputError("bad-code", f"{len(parts)} shells in one code, at most {SHELLS_MAX}")
    for place, part in enumerate(parts, start=1):
        match = _CODE.fullmatch(part.strip())
        if match is None:
            raise InputError(
                "bad-code", f"not a constellation code: {part!r}; write D:550:53.0:1584/72/39"
            )
        shells.append(_shell("s" if len(parts) == 1 else f"s{place}", part, match))
    return tuple(shells)


def _shell(name: str, part: str, match: re.Match[str]) -> Shell:
    total, planes = int(match["total"]), int(match["planes"])
    if planes == 0 or total == 0 or total % planes:
        raise InputError("bad-code", f"{total} satellites do not fill {planes} planes evenly")
    orbit = [_number(word) for word in match["orbit"].split("/")]
    if len(orbit) not in (1, 3):
        raise InputError(
            "bad-code", f"{match['orbit']!r} is neither an altitude nor apogee/perigee/argument"
        )
    ellipse = (orbit[0], orbit[1], orbit[2]) if len(orbit) == 3 else None
    return check_shell(
        Shell(
            name=name,
            planes=planes,
            slots=total // planes,
            altitude_km=(orbit[0] + orbit[1]) / 2 if ellipse else orbit[0],
            inclination_deg=_number(match["inclination"]),
            pattern="delta" if match["pattern"].upper() == "D" else "star",
            phasing=int(match["phasing"]),
            source=part.strip(),
            raan_offset_deg=_number(match["raan"] or "0"),
            anomaly_offset_deg=_number(match["anomaly"] or "0"),
            ellipse=ellipse,
        )
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError("bad-code", f"{text!r} is no number") from None


def code_of(shell: Shell) -> str:
    """The constellation code of a shell; `parse_code` reads it back."""
    raan = f"/{shell.raan_offset_deg!r}" if shell.raan_offset_deg else ""
    anomaly = f":{shell.anomaly_offset_deg!r}" if shell.anomaly_offset_deg else ""
    letter = "D" if shell.pattern == "delta" else "S"
    orbit = "/".join(map(repr, shell.ellipse)) if shell.ellipse else repr(shell.altitude_km)
    return (
        f"{letter}{raan}:{orbit}:{shell.inclination_deg!r}"
        f":{shell.total}/{shell.planes}/{shell.phasing}{anomaly}"
    )
