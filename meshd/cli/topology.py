"""`meshd topology`: the mesh that a policy makes of a sky, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshd.cli.sky import Constellation
from meshd.cli.talk import Json, emit, facts, say, table

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="Elements or ephemerides: files, or a folder."),
]


def topology(
    files: Files = None,
    constellation: Constellation = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="plus-grid, fitted or nearest [what suits].")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="TIME or +20m [when the newest elements are].")
    ] = None,
    duration: Annotated[str, typer.Option("--for", help="How long, as 90s, 20m or 2h.")] = "2h",
    terminals: Annotated[int | None, typer.Option("--terminals", help="A satellite's [4].")] = None,
    stations: Annotated[str, typer.Option("--stations", help="Cities in the sky, A,B,C.")] = "",
    ground: Annotated[
        str | None, typer.Option("--ground", help="all, highest or longest [all].")
    ] = None,
    antennas: Annotated[
        int | None, typer.Option("--antennas", help="A station's, unless it sees all [1].")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the plan to a file.")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="What differs from a saved plan.")
    ] = None,
    json: Json = False,
) -> None:
    """Shells, planes and strays of a sky, its links over a time, and how well they hold together.

    Example: meshd topology starlink.tle --policy fitted --for 2h
    """
    from meshd.cli.mesh_of import Wish, mesh_of  # numpy, scipy and numba: a second

    wish = Wish(policy, terminals, ground, antennas)
    cities = [part.strip() for part in stations.split(",") if part.strip()]
    mesh = mesh_of(files, constellation, wish, (start, duration), cities)
    for line in mesh.warnings:
        say(f"meshd: warning: {line}")
    answer = mesh.answer(against)
    if save is not None:
        mesh.save(save)
    if json:
        emit(answer)
        return
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    table(
        ("SHELL", "INCLINATION", "SATELLITES", "PLANES"),
        [
            (
                f"{shell['altitude_km']:.1f} km",
                f"{shell['inclination_deg']:.2f} deg",
                shell["satellites"],
                shell["planes"],
            )
            for shell in answer["fitted_shells"]
        ],
        "no shells: fewer than 8 satellites share an orbit",
    )
    changed = answer.get("changes")
    facts(
        [
            ("from", answer["from"]),
            ("until", answer["until"]),
            ("policy", answer["policy"]),
            ("satellites", answer["satellites"]),
            ("in shells", f"{answer['satellites'] - answer['strays']}, {answer['strays']} strays"),
            ("planes", answer["planes"]),
            ("hang together", f"{100 * answer['largest_component']:.2f}% at the least"),
            ("links of a satellite", f"{answer['degree']:.3f} on average"),
            (
                "acquisitions",
                f"{answer['acquisitions_per_satellite_hour']:.3f} a satellite an hour",
            ),
            ("contacts", f"{answer['contacts']}, {answer['plan_bytes']} bytes packed"),
            ("worked out in", f"{answer['seconds']:.2f} s"),
            *(
                [("other than saved", f"{changed['gone']} gone, {changed['fresh']} new")]
                if changed
                else []
            ),
        ]
    )
