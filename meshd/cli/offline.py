"""Routes and contacts from a sky alone, without a daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from meshd.adapters.clock import MissionClock
from meshd.adapters.skyfiles import load_sky
from meshd.ephemeris import (
    GroundStation,
    format_time,
    parse_time,
)
from meshd.ephemeris.places import first_instant, place_in
from meshd.ephemeris.sources import Loaded, sky_from_constellation
from meshd.ephemeris.staleness import ages
from meshd.router.answers import route_json, why_no_route
from meshd.router.offline import ROUTE_WINDOW_NS, LinkAnswer, links_span, plan_links, route_answer
from meshd.topology import build_plan, policy_for
from protocols.errors import InputError, MeshError
from protocols.types import MILLISECOND, SECOND, Instant, light_time

Warn: TypeAlias = Callable[[str], None]


def offline_route(
    ends: tuple[str, str],
    at: str | None,
    constellation: str | None,
    catalog: list[str] | None,
    warn: Warn,
) -> dict[str, Any]:
    """The route between two satellites or cities. Raises MeshError "no-route" with the reason."""
    loaded, (source, target) = _sky_with(ends, constellation, catalog)
    sky = loaded.sky
    now = first_instant(sky, MissionClock().now())
    when = parse_time(at, now) if at else now
    told = _told(loaded, when, warn)
    plan = build_plan(sky, policy_for(sky), when, when + ROUTE_WINDOW_NS)
    a, b = plan.index_of(source), plan.index_of(target)
    answer = route_answer(plan, a, b, when)
    if answer is None:
        raise MeshError("no-route", f"no route: {why_no_route(plan, a, b, when)}")
    return {"basis": "plan", **route_json(answer), **told}


def offline_links(
    node: str,
    span: tuple[str | None, str | None],
    stations: str,
    constellation: str | None,
    catalog: list[str] | None,
    warn: Warn,
) -> dict[str, Any]:
    """The contacts of a satellite or city over a span (from, for)."""
    length = links_span(span[1])
    cities = [part.strip() for part in stations.split(",") if part.strip()]
    loaded, (name, *_) = _sky_with((node, *cities), constellation, catalog)
    now = first_instant(loaded.sky, MissionClock().now())
    start = parse_time(span[0], now) if span[0] else now
    told = _told(loaded, start, warn)
    rows = plan_links(loaded.sky, policy_for(loaded.sky), name, start, length)
    return {
        "node": name,
        "from": format_time(start),
        "until": format_time(start + length),
        "links": [_link(row, name, format_time(now)) for row in rows],
        **told,
    }


def _sky_with(
    places: tuple[str, ...], constellation: str | None, catalog: list[str] | None
) -> tuple[Loaded, list[str]]:
    """A sky in which all these places are, and their names in it: satellites first, then cities."""
    if constellation and catalog:
        raise InputError("usage", "give either --constellation or --catalog, not both")
    loaded = sky_from_constellation(constellation) if constellation else load_sky(catalog or ())
    sky = loaded.sky
    names, stations = [], dict[str, GroundStation]()
    for place in places:
        found = place_in(sky, place)
        if isinstance(found, int):
            names.append(sky.names[found])
        else:
            stations[found.name] = found
            names.append(found.name)
    known = (*sky.stations, *stations.values())
    return replace(loaded, sky=sky.with_stations(known)), names


def _told(loaded: Loaded, at: Instant, warn: Warn) -> dict[str, Any]:
    """What is to be known of a sky; people hear it before any answer."""
    warnings = loaded.warnings(at)
    for line in warnings:
        warn(line)
    old = ages(loaded.sky.elements, at)
    return {
        "warnings": warnings,
        "refused": [asdict(item) for item in loaded.refused],
        "elements": None if old is None else {
            "count": old.count,
            "median_age_s": old.median_ns / SECOND,
            "oldest_age_s": old.oldest_ns / SECOND,
            "oldest": old.oldest,
        },
    }  # fmt: skip


def _link(row: LinkAnswer, name: str, now: str) -> dict[str, Any]:
    return {
        "peer": row.b if row.a == name else row.a,
        "node": None,
        "begin": row.begin,
        "finish": row.finish,
        "duration_s": row.duration_s,
        "range_km": round(row.range_begin_km, 3),
        "light_ms": light_time(row.range_begin_km) / MILLISECOND,
        "open": row.begin <= now < row.finish,
        "up": None,
    }
