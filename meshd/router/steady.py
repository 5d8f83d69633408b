"""Keeping a path while it is good enough: fewer switches, for a little delay.

Always taking the best path switches often for little (Bhosale et al., PAM 2023: most paths are used
for less than half of their life). Here a path is kept while it stands and is at most so much longer
than the best; then the longest-lived of the paths within that bound is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from meshd.router.objective import DELAY, Objective
from meshd.router.samples import SAMPLE_NS, Samples, path_light_ns, samples_of
from meshd.router.snapshot import Route, snapshot_route
from meshd.router.timeline import Path, Stretch, Timeline, joined
from meshd.topology.plan import ContactPlan, plan_of_rows
from meshd.topology.trajectory import IntArray
from protocols.errors import InputError
from protocols.types import MILLISECOND, Instant

STAY = 0.1
"""Unless told otherwise a path may be 10% longer than the best."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What keeping paths costs: changes of both ways, and how much longer the round trip is."""

    changes: int
    changes_best: int
    mean_extra_ms: float
    most_extra_ms: float


def steady_timeline(best: Timeline, stay: float = STAY) -> Timeline:
    """The paths taken by who keeps each while it is open and at most `1 + stay` times the best.

    When a path becomes too long is looked for in steps of 100 ms and then halved to 1 ms. Raises
    InputError "bad-stay".
    """
    if not 0 <= stay <= 10:
        raise InputError("bad-stay", f"a path may be 0 to 1000% longer than the best, not {stay:%}")
    samples = samples_of(best)
    now, stretches = best.start, list[Stretch]()
    while now < best.end:
        here = best.at(now)
        if not here.path:
            stretches.append(Stretch(now, here.finish, ()))
            now = here.finish
            continue
        path = longest_lived(best, now, stay)
        until = _good_until(best, samples, path, (now, stay))
        stretches.append(Stretch(now, until, path))
        now = until
    return Timeline(best.plan, best.source, best.target, best.objective, joined(stretches))


def steadiness(steady: Timeline, best: Timeline) -> Steadiness:
    """What a steady timeline costs against the best."""
    extra = samples_of(steady).rtt_ns - samples_of(best).rtt_ns
    extra = extra[~np.isnan(extra)] / MILLISECOND
    mean, most = (float(extra.mean()), float(extra.max())) if extra.size else (0.0, 0.0)
    return Steadiness(len(steady.stretches) - 1, len(best.stretches) - 1, mean, most)


def longest_lived(best: Timeline, at: Instant, stay: float) -> Path:
    """Of the paths at most `1 + stay` times as long as the best at an instant, the longest open."""
    ends, plan = (best.source, best.target), best.plan
    kept = best.at(at).path
    now = np.array([at], dtype=np.int64)
    bound_ns = float(path_light_ns(plan, kept, now)[0]) * (1 + stay)
    rows = plan.open_rows(at)
    finishes = np.unique(plan.finish[rows])
    low, high = int(np.searchsorted(finishes, open_until(plan, kept, at))), finishes.size
    while low + 1 < high:
        middle = (low + high) // 2
        route = route_over(plan, ends, at, rows[plan.finish[rows] >= finishes[middle]])
        if route is not None and route.one_way_ns <= bound_ns:
            low, kept = middle, route.path
        else:
            high = middle
    return kept


def open_until(plan: ContactPlan, path: Path, at: Instant) -> Instant:
    """When the first contact of a path that is open at an instant finishes."""
    contacts = [plan.open_contact(a, b, at) for a, b in pairwise(path)]
    return min((c.finish for c in contacts if c is not None), default=plan.end)


def route_over(
    plan: ContactPlan,
    ends: tuple[int, int],
    at: Instant,
    rows: IntArray,
    objective: Objective = DELAY,
) -> Route | None:
    """The best path at an instant over some contacts of a plan."""
    return snapshot_route(plan_of_rows(plan, rows), *ends, at, objective)


def _good_until(
    best: Timeline, samples: Samples, path: Path, since: tuple[Instant, float]
) -> Instant:
    """Until when a path is open and not too long."""
    at, stay = since
    end = min(best.end, open_until(best.plan, path, at))
    first, last = np.searchsorted(samples.instants, (at + 1, end))
    instants = samples.instants[first:last]
    long = 2 * path_light_ns(best.plan, path, instants) > samples.rtt_ns[first:last] * (1 + stay)
    if not long.any():
        return end

    def too_long(instant: Instant) -> bool:
        mine, least = (
            float(path_light_ns(best.plan, p, np.array([instant]))[0])
            for p in (path, best.at(instant).path)
        )
        return mine > least * (1 + stay)

    high = int(instants[int(np.argmax(long))])
    low = max(at, high - SAMPLE_NS)
    while high - low > MILLISECOND:
        middle = (low + high) // 2
        low, high = (low, middle) if too_long(middle) else (middle, high)
    return high
