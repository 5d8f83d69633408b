"""A route explained: its contacts, what ends it, the next best, and what would be shorter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from meshd.router.arrival import earliest_arrival
from meshd.router.changes import SightAt
from meshd.router.objective import DELAY, NS_PER_KM, Objective
from meshd.router.snapshot import Route, snapshot_route
from meshd.router.steady import route_over
from meshd.router.window import usable_links, window_of
from meshd.topology.plan import Contact, ContactPlan
from meshd.topology.reasons import Sight, why_ended, why_unlinked
from meshd.topology.trajectory import FloatArray
from protocols.types import MILLISECOND, Duration, Instant

SHORTCUTS_MAX = 6


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Two sites that a shorter path would join, what that saves one way, and why they are not."""

    a: int
    b: int
    saves_ns: Duration
    why: str


@dataclass(frozen=True, slots=True)
class Ride:
    """A hop with store and forward: how long it waits for its contact, and how long light takes."""

    to: int
    wait_ns: Duration
    light_ns: Duration


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say of the way between two sites at an instant; no route while dark.

    `ends` is the place in `contacts` of the first that finishes, and why it does. `rides` are
    those of the earliest arrival, which may wait for contacts; empty when none is predicted.
    """

    route: Route | None
    contacts: tuple[Contact, ...]
    ends: tuple[int, str | None] | None
    next_best: Route | None
    shortcuts: tuple[Shortcut, ...]
    rides: tuple[Ride, ...]


def explain(
    plan: ContactPlan,
    ends: tuple[int, int],
    at: Instant,
    sight_at: SightAt,
    objective: Objective = DELAY,
) -> Explanation:
    """The explanation of the best route between two sites; shortcuts are by light time."""
    route = snapshot_route(plan, *ends, at, objective)
    rides = _rides(plan, ends, at)
    if route is None:
        return Explanation(None, (), None, None, (), rides)
    found = (plan.open_contact(a, b, at) for a, b in pairwise(route.path))
    contacts = tuple(contact for contact in found if contact is not None)
    return Explanation(
        route=route,
        contacts=contacts,
        ends=_end(plan, route, contacts, sight_at),
        next_best=_next_best(plan, route, objective),
        shortcuts=_shortcuts(plan, route, sight_at),
        rides=rides,
    )


def _end(
    plan: ContactPlan, route: Route, contacts: tuple[Contact, ...], sight_at: SightAt
) -> tuple[int, str | None] | None:
    if not contacts:
        return None
    first = min(range(len(contacts)), key=lambda n: contacts[n].finish)
    finish = contacts[first].finish
    if finish >= plan.end:
        return None
    sight = sight_at(finish + MILLISECOND)
    pair = route.path[first], route.path[first + 1]
    return first, why_ended(sight, *pair) if sight is not None else None


def _next_best(plan: ContactPlan, route: Route, objective: Objective) -> Route | None:
    """The best path but one: it lacks at least one link of the best."""
    rows, at = plan.open_rows(route.at), route.at
    found = []
    for a, b in pairwise(route.path):
        low, high = min(a, b), max(a, b)
        others = rows[(plan.a[rows] != low) | (plan.b[rows] != high)]
        other = route_over(plan, (route.source, route.target), at, others, objective)
        if other is not None:
            light = [plan.light_time_ns(x, y, at) for x, y in pairwise(other.path)]
            cost = sum(map(objective.whole_cost, light))
            found.append((cost, len(other.path), other.path, other))
    return min(found)[-1] if found else None


def _shortcuts(plan: ContactPlan, route: Route, sight_at: SightAt) -> tuple[Shortcut, ...]:
    """Links that would make the path shorter if they could be.

    Each satellite left out of the path; and for each station at an end the satellite nearest to
    being seen of those that would be better.
    """
    sight, path = sight_at(route.at), route.path
    found = []
    for a, via, b in zip(path, path[1:], path[2:], strict=False):
        light = [plan.light_time_ns(x, y, route.at) for x, y in ((a, via), (via, b), (a, b))]
        found.append((light[0] + light[1] - light[2], a, b))
    if sight is not None and plan.trajectory is not None:
        for here, there in ((path[0], path[-1]), (path[-1], path[0])):
            if plan.kinds[here] == "ground":
                found += _nearly_seen(plan, sight, route, (here, there))
    told = [
        Shortcut(a, b, saves, why)
        for saves, a, b in sorted(found, reverse=True)
        if saves > 0 and (why := why_unlinked(plan, sight, a, b, route.at)) is not None
    ]
    return tuple(told[:SHORTCUTS_MAX])


def _nearly_seen(
    plan: ContactPlan, sight: Sight, route: Route, ends: tuple[int, int]
) -> list[tuple[Duration, int, int]]:
    """The highest satellite that a station has no link to and that would be better, if any."""
    here, there = ends
    left = _light_left(plan, (here, there), route.at)
    satellites = np.flatnonzero(np.array(plan.kinds) == "satellite")
    away = np.linalg.norm(sight.positions[satellites] - sight.positions[here], axis=1)
    saves = route.one_way_ns - (left[satellites] + away * NS_PER_KM)
    better = satellites[np.isfinite(saves) & (saves > 0)]
    unseen = [site for site in better.tolist() if not plan.open_contact(here, site, route.at)]
    if not unseen:
        return []
    site = max(unseen, key=lambda s: (sight.elevation_deg(s, here), -s))
    return [(round(float(saves[np.searchsorted(satellites, site)])), here, site)]


def _light_left(plan: ContactPlan, ends: tuple[int, int], at: Instant) -> FloatArray:
    """Light time from every satellite to the second end, over the links of an instant."""
    assert plan.trajectory is not None
    later = min(at + MILLISECOND, plan.end)
    window = window_of(usable_links(plan, *ends), plan.trajectory, DELAY, (at, later))
    return window.least_left(window.costs[0], ends[1])


def _rides(plan: ContactPlan, ends: tuple[int, int], at: Instant) -> tuple[Ride, ...]:
    rides, now = [], at
    for hop in earliest_arrival(plan, ends[0], at, target=ends[1]).path(ends[1]):
        rides.append(Ride(hop.node, hop.depart - now, hop.arrive - hop.depart))
        now = hop.arrive
    return tuple(rides)
