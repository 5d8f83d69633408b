"""Timelines, alternatives and explanations as JSON: names, milliseconds, seconds from the start."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from meshd.ephemeris.timescale import format_time
from meshd.router.changes import SightAt, why_each
from meshd.router.explain import Explanation
from meshd.router.objective import ENERGY, energy_hops
from meshd.router.offline import great_circle_rtt_ms
from meshd.router.samples import Samples, path_light_ns, samples_of
from meshd.router.snapshot import Route
from meshd.router.timeline import Stretch, Timeline
from meshd.topology.plan import ContactPlan
from protocols.types import MILLISECOND, SECOND, SPEED_OF_LIGHT_KM_S, Duration, Instant

FIBRE_INDEX = 1.47
"""Refractive index of the glass in the ground: light goes at 0.68 c."""


def timeline_json(
    timeline: Timeline,
    sight_at: SightAt,
    step: Duration | None,
    otherwise: str = "became shorter",
) -> dict[str, Any]:
    """A timeline; with a step as somebody sees it who looks on that grid, and only there.

    `otherwise` is why a path changed that no contact was the reason for.
    """
    seen = timeline if step is None else timeline.on_grid(step)
    samples = samples_of(timeline) if step is None else samples_of(seen, step)
    plan, start = timeline.plan, timeline.start
    reasons = why_each(seen, sight_at, step or 1, otherwise)
    pairs = list(zip(seen.stretches, reasons, strict=True))
    over_ms = great_circle_rtt_ms(plan, timeline.source, timeline.target, start)
    dark = [stretch for stretch in seen.stretches if not stretch.path]
    reached = [len(stretch.path) - 1 for stretch in seen.stretches if stretch.path]
    return {
        "basis": "plan",
        "from": plan.names[timeline.source],
        "to": plan.names[timeline.target],
        "at": format_time(start),
        "until": format_time(timeline.end),
        "by": timeline.objective.name,
        "step_s": None if step is None else step / SECOND,
        "path_changes": len(seen.stretches) - 1,
        "changes": [_change(seen, stretch, why) for stretch, why in pairs],
        "unreachable": [
            {"from_s": _s(s.begin - start), "until_s": _s(s.finish - start)} for s in dark
        ],
        "unreachable_s": _s(sum(s.finish - s.begin for s in dark)),
        "hops_min": min(reached, default=None),
        "hops_max": max(reached, default=None),
        **_rtts(samples),
        "great_circle_rtt_ms": _round(over_ms),
        "fibre_rtt_ms": _round(over_ms * FIBRE_INDEX),
    }


def _rtts(samples: Samples) -> dict[str, float | None]:
    return {
        "rtt_min_ms": _round(samples.least_ms),
        "rtt_max_ms": _round(samples.most_ms),
        "rtt_mean_ms": _round(samples.mean_ms),
    }


def _change(timeline: Timeline, stretch: Stretch, why: str) -> dict[str, Any]:
    plan, begin = timeline.plan, stretch.begin
    rtts: list[float | None] = [None, None]
    if stretch.path:
        last = stretch.finish - 1
        light = path_light_ns(plan, stretch.path, np.array([begin, last]))
        rtts = [_round(2 * float(one) / MILLISECOND) for one in light]
    return {
        "at_s": _s(begin - timeline.start),
        "at": format_time(begin),
        "for_s": _s(stretch.finish - begin),
        "path": list(stretch.path),
        "names": [plan.names[site] for site in stretch.path],
        "hops": max(0, len(stretch.path) - 1),
        "rtt_ms": rtts[0],
        "rtt_end_ms": rtts[1],
        "why": why,
    }


def alternatives_json(plan: ContactPlan, routes: Sequence[Route]) -> list[dict[str, Any]]:
    """Routes at one instant, in order."""
    return [_route(plan, route) for route in routes]


def _route(plan: ContactPlan, route: Route) -> dict[str, Any]:
    light = [plan.light_time_ns(a, b, route.at) for a, b in pairwise(route.path)]
    return {
        "path": list(route.path),
        "names": [plan.names[site] for site in route.path],
        "hops": len(route.path) - 1,
        "rtt_ms": _round(route.rtt_ns / MILLISECOND),
        "range_km": round(sum(light) / SECOND * SPEED_OF_LIGHT_KM_S, 3),
        "energy_hops": round(energy_hops(sum(map(ENERGY.cost, light))), 3),
    }


def explanation_json(plan: ContactPlan, found: Explanation, at: Instant) -> dict[str, Any]:
    """An explanation; its contacts are those of the route's links, in order."""
    route, names = found.route, plan.names
    contacts = []
    if route is not None:
        for (a, b), contact in zip(pairwise(route.path), found.contacts, strict=True):
            contacts.append(
                {
                    "from": names[a],
                    "to": names[b],
                    "begin": format_time(contact.begin),
                    "finish": format_time(contact.finish),
                    "left_s": _s(contact.finish - at),
                    "beyond_plan": contact.finish >= plan.end,
                }
            )
    first = found.ends
    next_best = found.next_best
    return {
        "contacts": contacts,
        "ends": None if first is None else {**contacts[first[0]], "why": first[1]},
        "next_best": None
        if next_best is None or route is None
        else {
            **_route(plan, next_best),
            "longer_ms": _round((next_best.rtt_ns - route.rtt_ns) / MILLISECOND),
        },
        "shortcuts": [
            {
                "from": names[s.a],
                "to": names[s.b],
                "saves_ms": _round(2 * s.saves_ns / MILLISECOND),
                "why_not": s.why,
            }
            for s in found.shortcuts
        ],
        "rides": [
            {
                "to": names[ride.to],
                "wait_s": _s(ride.wait_ns),
                "light_ms": _round(ride.light_ns / MILLISECOND),
            }
            for ride in found.rides
        ],
    }


def _s(length: Duration) -> float:
    return round(length / SECOND, 6)


def _round(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 6)
