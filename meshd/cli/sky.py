"""`meshd route`, `links` and `constellations`: from a daemon, or from a sky alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshd.cli.client import Client
from meshd.cli.talk import NO_ROUTE, Home, Json, emit, facts, ms, say, table
from protocols.errors import InputError

Constellation = Annotated[
    str | None, typer.Option("--constellation", help="Offline: a preset or a code.")
]
Catalog = Annotated[
    list[str] | None,
    typer.Option(
        "--catalog", help="Offline: a file of elements or ephemerides, or a folder; repeatable."
    ),
]


PlanFile = Annotated[
    str | None, typer.Option("--plan", help="Offline: a contact plan of ION's; no orbits needed.")
]


def route(
    source: Annotated[str, typer.Argument(metavar="A", help="A node, a site or a city.")],
    target: Annotated[str, typer.Argument(metavar="B", help="A node, a site or a city.")],
    at: Annotated[str | None, typer.Option("--at", help="TIME or +20m [now].")] = None,
    span: Annotated[
        str | None, typer.Option("--timeline", help="Every change of the path over 200s, 1h...")
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", help="With --timeline: as seen every 100ms, 1s...")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="Best by delay, hops or energy; over time also stable.")
    ] = "delay",
    stay: Annotated[
        float, typer.Option("--stay", help="--by stable: a kept path may be so many % longer.")
    ] = 10.0,
    k: Annotated[int, typer.Option("--k", help="So many ways that share nothing.")] = 1,
    disjoint: Annotated[
        str, typer.Option("--disjoint", help="What the ways do not share: nodes or links.")
    ] = "nodes",
    explain: Annotated[
        bool, typer.Option("--explain", help="Contacts, waits, the next best, and why not.")
    ] = False,
    plot: Annotated[
        str | None, typer.Option("--plot", help="Draw round trips over the timeline: out.png.")
    ] = None,
    constellation: Constellation = None,
    catalog: Catalog = None,
    plan: PlanFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """The way between two nodes, or, offline, between two places of a sky or plan.

    Energy counts 1 for each hop and (range / 2,000 km)^2 for sending over it. A stable path is kept
    while it is open and at most --stay percent longer than the best.

    Example: meshd route London Sydney --constellation starlink-1 --timeline 1h --plot rtt.png

    Example: meshd route Manila Dalian --constellation hypatia:kuiper_630 --timeline 200s --json
    """
    more = span or step or plot or explain or k > 1 or by != "delay"
    if constellation or catalog or plan:
        from meshd.cli.setting import Source  # numpy: 150 ms
        from meshd.cli.timeline import Wish, route_wish, show_more, show_timeline

        where = Source(constellation, catalog, plan)
        wish = Wish(where, at, span, step, by, stay, k, disjoint, explain, plot)
        answer = route_wish((source, target), wish, _warn)
        if "changes" in answer:
            emit(answer) if json else show_timeline(answer)
            return
    elif more:
        raise InputError(
            "usage",
            "a daemon tells the best way at one instant; for more name what to predict from: "
            "--constellation, --catalog or --plan",
        )
    else:
        answer = Client(home).get("/v1/route", {"from": source, "to": target, "at": at})
    if json:
        emit(answer)
    else:
        _show_route(answer)
        if more:
            show_more(answer)
    if not answer["path"]:
        raise typer.Exit(NO_ROUTE)


def _show_route(answer: dict[str, Any]) -> None:
    if not answer["path"]:
        say(answer["why"])
        return
    over = answer.get("great_circle_rtt_ms")
    rows: list[tuple[str, object]] = [
        ("path", " > ".join(answer["path"])),
        ("hops", answer["hops"]),
        ("at", answer["at"]),
        ("one way", ms(answer["one_way_ms"])),
        ("round trip", ms(answer["rtt_ms"])),
        ("holds until", answer["valid_until"] or "beyond what was looked at"),
    ]
    if over is not None:
        rows.append(("light over ground", f"{ms(over)} round trip, along the great circle"))
    facts(rows)


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
            node, span, stations or "", Source(constellation, catalog, plan), _warn
        )
    else:
        query = {"node": node, "from": start, "for": duration}
        answer = Client(home).get("/v1/links", query)
    if json:
        emit(answer)
        return
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


def _warn(line: str) -> None:
    say(f"meshd: warning: {line}")


def _now(row: dict[str, Any]) -> str:
    if not row["open"]:
        return "-"
    return "open" if row["up"] is None else "up" if row["up"] else "not up"


def constellations(json: Json = False) -> None:
    """The constellations that have a name.

    Example: meshd constellations
    """
    rows = [*_walker_rows(), *_hypatia_rows()]
    if json:
        emit(rows)
        return
    head = ("NAME", "PLANES", "SATELLITES", "ALTITUDE", "INCLINATION", "CODE")
    table(
        head,
        [
            (
                row["name"],
                f"{row['planes']} x {row['satellites'] // row['planes']}",
                row["satellites"],
                f"{row['altitude_km']:g} km",
                f"{row['inclination_deg']:g} deg",
                row["code"],
            )
            for row in rows
        ],
        "none",
    )


def _walker_rows() -> list[dict[str, Any]]:
    from meshd.ephemeris.walker import PRESETS, code_of

    return [
        {
            "name": shell.name,
            "satellites": shell.total,
            "planes": shell.planes,
            "altitude_km": shell.altitude_km,
            "inclination_deg": shell.inclination_deg,
            "code": code_of(shell),
            "source": shell.source,
        }
        for shell in PRESETS.values()
    ]


def _hypatia_rows() -> list[dict[str, Any]]:
    """Not Walker shells: they have no code."""
    from meshd.ephemeris.hypatia_presets import HYPATIA_PRESETS

    sources = {
        "hypatia": "Hypatia's shell, cities and ground links, which see through the Earth",
        "honest": "the same above the true horizon",
    }
    return [
        {
            "name": name,
            "satellites": shell.total,
            "planes": shell.planes,
            "altitude_km": shell.altitude_km,
            "inclination_deg": shell.inclination_deg,
            "code": None,
            "source": sources[name.partition(":")[0]],
        }
        for name, shell in HYPATIA_PRESETS.items()
    ]
