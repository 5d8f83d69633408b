"""Contacts from a sky or a plan alone, without a daemon."""

from __future__ import annotations

from typing import Any

from meshd.cli.setting import Source, Warn, open_setting
from meshd.ephemeris import format_time
from meshd.router.offline import LinkAnswer, links_span, plan_links
from protocols.types import MILLISECOND, light_time


def offline_links(
    node: str, span: tuple[str | None, str | None], stations: str, source: Source, warn: Warn
) -> dict[str, Any]:
    """The contacts of a satellite or city over a span (from, for)."""
    length = links_span(span[1])
    cities = [part.strip() for part in stations.split(",") if part.strip()]
    setting = open_setting((node, *cities), source)
    name = setting.names[0]
    start = setting.at(span[0])
    end = setting.end_of(start, length)
    told = setting.told(start, warn)
    rows = plan_links(setting.plan(start, end), name, start, end)
    return {
        "node": name,
        "from": format_time(start),
        "until": format_time(end),
        "links": [_link(row, name, format_time(setting.now)) for row in rows],
        **told,
    }


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
