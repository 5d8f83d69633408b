"""Why there is no route: the physical reason, and when that ends."""

from __future__ import annotations

from meshd.ephemeris.timescale import format_time
from meshd.topology.plan import ContactPlan
from protocols.types import Instant


def why_no_route(plan: ContactPlan, source: int, target: int, at: Instant) -> str:
    """A sentence on why `snapshot_route` found none between two sites; `at` is in the window."""
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
