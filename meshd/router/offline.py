"""Routes and contacts without a daemon: what the command line asks of the sky alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.sky import Sky
from meshd.ephemeris.stations import EARTH_MEAN_RADIUS_KM
from meshd.ephemeris.timescale import format_time, parse_duration
from meshd.router.objective import DELAY, Objective
from meshd.router.snapshot import snapshot_route
from meshd.router.timeline import valid_until
from meshd.topology.build import build_plan
from meshd.topology.plan import ContactPlan
from meshd.topology.policy import LinkPolicy
from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, MINUTE, SPEED_OF_LIGHT_KM_S, Duration, Instant

ROUTE_WINDOW_NS = 5 * MINUTE

LINKS_NS = 20 * MINUTE
"""What is shown unless asked otherwise: a daemon's plan reaches at least so far."""

LINKS_MAX_NS = 24 * HOUR


def links_span(text: str | None) -> Duration:
    """How long to predict contacts for. Raises InputError "bad-duration"."""
    length = parse_duration(text) if text else LINKS_NS
    if not 0 < length <= LINKS_MAX_NS:
        raise InputError("bad-duration", "contacts are predicted for up to 24h at a time")
    return length


"""How far ahead the end of a route is sought."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One link of a route, with its length at the instant of the route."""

    from_: str
    to: str
    range_km: float
    light_ms: float


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """A route between two sites at an instant, in names and milliseconds.

    `path` has both ends; `hops` counts its links. `valid_until` is ISO, or None when the path
    outlives the window looked at. `great_circle_rtt_ms` is the round trip of light in vacuum over
    the ground between the points below the two ends.
    """

    from_: str
    to: str
    at: str
    one_way_ms: float
    rtt_ms: float
    hops: int
    path: tuple[str, ...]
    legs: tuple[Leg, ...]
    valid_until: str | None
    great_circle_rtt_ms: float


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """One predicted contact: [begin, finish) in ISO, and its length (km) at begin and at finish."""

    a: str
    b: str
    begin: str
    finish: str
    duration_s: float
    range_begin_km: float
    range_finish_km: float
    rate_bps: float


def plan_route(
    sky: Sky,
    policy: LinkPolicy,
    source_name: str,
    target_name: str,
    at: Instant,
) -> RouteAnswer | None:
    """The route between two named sites at an instant, from the sky alone; None if there is none.

    Raises NotFound "unknown-site".
    """
    source, target = sky.index_of(source_name), sky.index_of(target_name)
    plan = build_plan(sky, policy, at, at + ROUTE_WINDOW_NS)
    return route_answer(plan, source, target, at)


def route_answer(
    plan: ContactPlan,
    source: int,
    target: int,
    at: Instant,
    horizon: Duration = ROUTE_WINDOW_NS,
    objective: Objective = DELAY,
) -> RouteAnswer | None:
    """`plan_route` over a plan that is at hand; `at` lies in its window."""
    route = snapshot_route(plan, source, target, at, objective)
    if route is None:
        return None
    until = valid_until(plan, (source, target), at, at + horizon, objective)
    pairs = zip(route.path, route.path[1:], strict=False)
    return RouteAnswer(
        from_=plan.names[source],
        to=plan.names[target],
        at=format_time(at),
        one_way_ms=route.one_way_ns / MILLISECOND,
        rtt_ms=route.rtt_ns / MILLISECOND,
        hops=len(route.path) - 1,
        path=tuple(plan.names[site] for site in route.path),
        legs=tuple(_leg(plan, a, b, at) for a, b in pairs),
        valid_until=format_time(until) if until < min(plan.end, at + horizon) else None,
        great_circle_rtt_ms=great_circle_rtt_ms(plan, source, target, at),
    )


def plan_links(
    plan: ContactPlan, node_name: str | None, start: Instant, end: Instant
) -> list[LinkAnswer]:
    """The contacts of one named site of a plan, or of all, that overlap [start, end).

    In order of begin, then of sites. Raises NotFound "unknown-site".
    """
    site = None if node_name is None else plan.index_of(node_name)
    rows = zip(plan.a.tolist(), plan.b.tolist(), plan.begin.tolist(), plan.finish.tolist(),
               plan.rate_bps.tolist(), strict=True)  # fmt: skip
    return [
        LinkAnswer(
            a=plan.names[a],
            b=plan.names[b],
            begin=format_time(begin),
            finish=format_time(finish),
            duration_s=(finish - begin) / 1e9,
            range_begin_km=_range_km(plan, a, b, begin),
            range_finish_km=_range_km(plan, a, b, finish),
            rate_bps=rate,
        )
        for a, b, begin, finish, rate in rows
        if begin < end and finish > start and (site is None or site in (a, b))
    ]


def _leg(plan: ContactPlan, a: int, b: int, at: Instant) -> Leg:
    light_ms = plan.light_time_ns(a, b, at) / MILLISECOND
    return Leg(plan.names[a], plan.names[b], _range_km(plan, a, b, at), light_ms)


def _range_km(plan: ContactPlan, a: int, b: int, at: Instant) -> float:
    # From light time, to 0.3 m: a plan of given contacts has no positions.
    return plan.light_time_ns(a, b, at) / 1e9 * SPEED_OF_LIGHT_KM_S


def great_circle_rtt_ms(plan: ContactPlan, source: int, target: int, at: Instant) -> float:
    """The round trip of light over the ground between two sites; NaN without positions."""
    if plan.trajectory is None:
        return math.nan
    a, b = (np.array(plan.trajectory.position_km(site, at)) for site in (source, target))
    cosine = float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    return 2 * angle * EARTH_MEAN_RADIUS_KM / SPEED_OF_LIGHT_KM_S * 1e3
