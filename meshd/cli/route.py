"""`meshd route`: the way between two nodes, from a daemon, a sky or a plan."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshd.cli.sky import Catalog, Constellation, PlanFile, warn
from meshd.cli.talk import NO_ROUTE, Home, Json, emit, facts, ms, say
from meshd.client.connection import Client
from protocols.errors import InputError

A = Annotated[str, typer.Argument(metavar="A", help="A node, a site or a city.")]
B = Annotated[str, typer.Argument(metavar="B", help="A node, a site or a city.")]
At = Annotated[str | None, typer.Option("--at", help="TIME or +20m [now].")]
Span = Annotated[
    str | None, typer.Option("--timeline", help="Every change of the path over 200s, 1h...")
]
Step = Annotated[
    str | None, typer.Option("--step", help="With --timeline: as seen every 100ms, 1s...")
]
By = Annotated[
    str, typer.Option("--by", help="Best by delay, hops or energy; over time also stable.")
]
Stay = Annotated[
    float, typer.Option("--stay", help="--by stable: a kept path may be so many % longer.")
]
Count = Annotated[int, typer.Option("--k", help="So many ways that share nothing.")]
Disjoint = Annotated[
    str, typer.Option("--disjoint", help="What the ways do not share: nodes or links.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Contacts, waits, the next best, and why not.")
]
Plot = Annotated[
    str | None, typer.Option("--plot", help="Draw round trips over the timeline: out.png.")
]


def route(
    source: A,
    target: B,
    at: At = None,
    span: Span = None,
    step: Step = None,
    by: By = "delay",
    stay: Stay = 10.0,
    k: Count = 1,
    disjoint: Disjoint = "nodes",
    explain: Explain = False,
    plot: Plot = None,
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
    more = bool(span or step or plot or explain or k > 1 or by != "delay")
    if constellation or catalog or plan:
        from meshd.cli.setting import Source  # numpy: 150 ms
        from meshd.cli.timeline import Wish, route_wish

        where = Source(constellation, catalog, plan)
        wish = Wish(where, at, span, step, by, stay, k, disjoint, explain, plot)
        answer = route_wish((source, target), wish, warn)
    elif more:
        message = "a daemon tells the best way at one instant; for more name what to predict from"
        raise InputError("usage", f"{message}: --constellation, --catalog or --plan")
    else:
        answer = Client(home).get("/v1/route", {"from": source, "to": target, "at": at})
    if json:
        emit(answer)
    else:
        _show(answer, more)
    if "changes" not in answer and not answer["path"]:
        raise typer.Exit(NO_ROUTE)


def _show(answer: dict[str, Any], more: bool) -> None:
    if more:
        from meshd.cli.timeline import show_more, show_timeline

        if "changes" in answer:
            show_timeline(answer)
            return
    _show_route(answer)
    if more:
        show_more(answer)


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
