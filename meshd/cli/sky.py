"""`meshd links` and `constellations`: from a daemon, or from a sky alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshd.cli.talk import Home, Json, emit, ms, say, table
from meshd.client.connection import Client
from protocols.errors import InputError

if TYPE_CHECKING:
    from meshd.ephemeris.hypatia_presets import HypatiaShell
    from meshd.ephemeris.presets import Constellation as Named
    from meshd.ephemeris.walker import Shell

Constellation = Annotated[
    str | None, typer.Option("--constellation", help="Offline: a preset or a code.")
]
Catalog = Annotated[
    list[str] | None,
    typer.Option(
        "--catalog", help="Offline: TLE, OMM, OEM, operators' ephemerides, a folder; repeatable."
    ),
]


PlanFile = Annotated[
    str | None, typer.Option("--plan", help="Offline: a contact plan of ION's; no orbits needed.")
]


def links(
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="A node or a site [this node].")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="TIME or +20m [now].")] = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="How long, as 90s, 20m or 2h [20m].")
    ] = None,
    stations: Annotated[
        str | None, typer.Option("--stations", help="Offline: cities in the sky, A,B,C.")
    ] = None,
    constellation: Constellation = None,
    catalog: Catalog = None,
    plan: PlanFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Predicted contacts: who can be linked to, when and how far away.

    Example: meshd links --for 2h
    """
    if constellation or catalog or plan:
        from meshd.cli.offline import offline_links
        from meshd.cli.setting import Source

        if node is None:
            raise InputError("usage", "offline, name the satellite or city: meshd links NODE ...")
        span = (start, duration)
        answer = offline_links(
            node, span, stations or "", Source(constellation, catalog, plan), warn
        )
    else:
        query = {"node": node, "from": start, "for": duration}
        answer = Client(home).get("/v1/links", query)
    if json:
        emit(answer)
    else:
        _show_links(answer)


def _show_links(answer: dict[str, Any]) -> None:
    say(f"{answer['node']}, {answer['from']} to {answer['until']}")
    table(
        ("PEER", "BEGIN", "FINISH", "RANGE", "LIGHT", "NOW"),
        [
            (
                row["peer"],
                row["begin"],
                row["finish"],
                f"{row['range_km']:.1f} km",
                ms(row["light_ms"]),
                _now(row),
            )
            for row in answer["links"]
        ],
        "no contact is predicted in that time",
    )


def warn(line: str) -> None:
    say(f"meshd: warning: {line}")


def _now(row: dict[str, Any]) -> str:
    if not row["open"]:
        return "-"
    return "open" if row["up"] is None else "up" if row["up"] else "not up"


def constellations(json: Json = False) -> None:
    """The constellations that have a name, and where their numbers come from.

    Example: meshd constellations
    """
    from meshd.ephemeris.hypatia_presets import HYPATIA_PRESETS
    from meshd.ephemeris.presets import CONSTELLATIONS

    if json:
        named = [_constellation(item) for item in CONSTELLATIONS.values()]
        emit([*named, *(_of_hypatia(name, shell) for name, shell in HYPATIA_PRESETS.items())])
        return
    table(
        ("NAME", "PLANES x SATELLITES", "TOTAL", "ALTITUDE", "INCLINATION", "SOURCE"),
        [
            (
                item.name,
                _planes(item.shells),
                sum(shell.total for shell in item.shells),
                f"{_range([shell.altitude_km for shell in item.shells])} km",
                f"{_range([shell.inclination_deg for shell in item.shells])} deg",
                item.source,
            )
            for item in CONSTELLATIONS.values()
        ]
        + [
            (
                name,
                f"{shell.planes} x {shell.slots}",
                shell.total,
                f"{shell.altitude_km:g} km",
                f"{shell.inclination_deg:g} deg",
                _HYPATIA_SOURCES[name.partition(":")[0]],
            )
            for name, shell in HYPATIA_PRESETS.items()
        ],
        "none",
    )


_HYPATIA_SOURCES = {
    "hypatia": "Hypatia's shell, cities and ground links, which see through the Earth",
    "honest": "the same above the true horizon",
}


def _of_hypatia(name: str, shell: HypatiaShell) -> dict[str, Any]:
    """Not a Walker shell: it has no code."""
    told = {
        "name": name,
        "satellites": shell.total,
        "planes": shell.planes,
        "slots": shell.slots,
        "altitude_km": shell.altitude_km,
        "inclination_deg": shell.inclination_deg,
        "min_elevation_deg": shell.min_elevation_deg,
    }
    source = _HYPATIA_SOURCES[name.partition(":")[0]]
    return {
        "name": name,
        "satellites": shell.total,
        "source": source,
        "code": None,
        "shells": [told],
    }


def _planes(shells: tuple[Shell, ...]) -> str:
    """`72 x 22`; of several shells each once, with how often."""
    alike = Counter(f"{shell.planes} x {shell.slots}" for shell in shells)
    return ", ".join(f"{count} of {told}" if count > 1 else told for told, count in alike.items())


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _constellation(item: Named) -> dict[str, Any]:
    from meshd.ephemeris.shellcode import code_of

    return {
        "name": item.name,
        "satellites": sum(shell.total for shell in item.shells),
        "source": item.source,
        "code": "+".join(map(code_of, item.shells)),
        "shells": [
            {
                "name": shell.name,
                "satellites": shell.total,
                "planes": shell.planes,
                "slots": shell.slots,
                "altitude_km": shell.altitude_km,
                "inclination_deg": shell.inclination_deg,
                "pattern": shell.pattern,
                "phasing": shell.phasing,
                "min_elevation_deg": shell.min_elevation_deg,
                "source": shell.source,
            }
            for shell in item.shells
        ],
    }
