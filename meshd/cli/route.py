"""`meshd route`: the way between two nodes, from a daemon, a sky or a plan."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshd.cli.sky import Catalog, Constellation, PlanFile, warn
from meshd.cli.talk import NO_ROUTE, Home, Json, emit, facts, ms, say, table
from meshd.cli.talk import size as size_text
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
Size = Annotated[
    str | None,
    typer.Option("--size", help="When 10GB, 64MiB... are there, over contacts that hold them."),
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
    size: Size = None,
    plot: Plot = None,
    constellation: Constellation = None,
    catalog: Catalog = None,
    plan: PlanFile = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """The way between two nodes of a mesh, or, offline, between two places of a sky or plan.

    A daemon answers from its plan and what it knows to be down or away.

    Energy counts 1 for each hop and (range / 2,000 km)^2 for sending over it. A stable path is kept
    while it is open and at most --stay percent longer than the best.

    Example: meshd route London Sydney --constellation starlink-1 --timeline 1h --plot rtt.png

    Example: meshd route Manila Dalian --constellation hypatia:kuiper_630 --timeline 200s --json
    """
    told: dict[str, Any] = {
        "at": at, "timeline": span, "step": step, "by": by, "stay_percent": stay,
        "k": k, "disjoint": disjoint, "explain": explain, "size": size,
    }  # fmt: skip
    if constellation or catalog or plan:
        answer = _offline((source, target), (constellation, catalog, plan), told, plot)
    elif plot:
        message = "--plot draws what is predicted here: add --constellation, --catalog or --plan"
        raise InputError("usage", message)
    else:
        asked = {name: str(value) for name, value in told.items() if value is not None}
        answer = Client(home).get("/v1/route", {"from": source, "to": target, **asked})
    if json:
        emit(answer)
    else:
        _show(answer)
    found = answer.get("path") or answer.get("transfer", {}).get("arrive")
    if "changes" not in answer and not found:
        raise typer.Exit(NO_ROUTE)


def _offline(
    places: tuple[str, str],
    source: tuple[str | None, list[str] | None, str | None],
    told: dict[str, Any],
    plot: str | None,
) -> dict[str, Any]:
    from meshd.cli.setting import Source  # numpy: 150 ms
    from meshd.cli.timeline import route_wish
    from meshd.router.wish import Wish

    return route_wish(places, Source(*source), Wish(**told), plot, warn)


def _show(answer: dict[str, Any]) -> None:
    if "changes" in answer:
        from meshd.cli.timeline import show_timeline

        show_timeline(answer)
        return
    _show_route(answer)
    if "transfer" in answer:
        _show_transfer(answer["transfer"])
    if "alternatives" in answer or "explain" in answer:
        from meshd.cli.timeline import show_more

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


def _show_transfer(transfer: dict[str, Any]) -> None:
    amount = size_text(transfer["size_bytes"])
    if transfer["arrive"] is None:
        say(f"{amount}: {transfer['why']}")
        return
    typer.echo(f"{amount} are there at {transfer['arrive']}, after {transfer['takes_s']:.3f} s:")
    table(
        ("FROM", "TO", "WAITS", "SENDING", "LIGHT", "RATE"),
        [
            (hop["from"], hop["to"], f"{hop['wait_s']:.3f} s", f"{hop['sending_s']:.3f} s",
             ms(hop["light_ms"]), f"{hop['rate_bps'] / 1e9:g} Gb/s")
            for hop in transfer["hops"]
        ],
        "it is there already",
    )  # fmt: skip
