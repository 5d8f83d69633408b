"""Routes as JSON, or why there is none: the physical reason, and when that ends."""

from __future__ import annotations

from typing import Any

from meshd.ephemeris.timescale import format_time
from meshd.router.offline import RouteAnswer
from meshd.router.snapshot import snapshot_route
from meshd.topology.plan import WHOLE, ContactPlan
from protocols.types import Instant


def why_no_route(plan: ContactPlan, source: int, target: int, at: Instant) -> str:
    """A sentence on why `snapshot_route` found none between two sites; `at` is in the window."""
    whole: ContactPlan | None = plan.derived.get(WHOLE)
    if whole is not None and snapshot_route(whole, source, target, at) is not None:
        ends = f"from {plan.names[source]} to {plan.names[target]}"
        return f"every way {ends} crosses a node that is away or a link that is down"
    when = format_time(at)
    dark = [site for site in (source, target) if not _linked(plan, site, at)]
    if not dark:
        ends = f"{plan.names[source]} and {plan.names[target]}"
        return f"{ends} are in parts of the sky that no link joins at {when}"
    return "; ".join(_why_dark(plan, site, at) for site in dark)


def _linked(plan: ContactPlan, site: int, at: Instant) -> bool:
    return any(contact.begin <= at < contact.finish for contact in plan.contacts_of(site))


def _why_dark(plan: ContactPlan, site: int, at: Instant) -> str:
    name = plan.names[site]
    if plan.kinds[site] == "ground":
        why = f"no satellite is above the minimum elevation at {name} at {format_time(at)}"
    else:
        why = f"{name} has no link at {format_time(at)}"
    begins = (contact.begin for contact in plan.contacts_of(site) if contact.begin > at)
    first = min(begins, default=None)
    if first is None:
        return f"{why}, nor until {format_time(plan.end)}, as far as is predicted"
    return f"{why}; dark until {format_time(first)}"


def route_json(answer: RouteAnswer) -> dict[str, Any]:
    """A route over the sky alone, in the keys that every route has."""
    return {
        "from": answer.from_,
        "to": answer.to,
        "at": answer.at,
        "one_way_ms": round(answer.one_way_ms, 6),
        "rtt_ms": round(answer.rtt_ms, 6),
        "hops": answer.hops,
        "path": list(answer.path),
        "valid_until": answer.valid_until,
        "great_circle_rtt_ms": _finite(answer.great_circle_rtt_ms),
        "legs": [
            {
                "from": leg.from_,
                "to": leg.to,
                "range_km": round(leg.range_km, 3),
                "light_ms": round(leg.light_ms, 6),
            }
            for leg in answer.legs
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if value == value else None
