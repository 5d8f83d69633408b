"""Round trips along a timeline, looked at in even steps: for tables, figures and statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from meshd.router.objective import NS_PER_KM
from meshd.router.timeline import Path, Timeline, check_step
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import MILLISECOND, Duration

SAMPLE_NS: Duration = 100 * MILLISECOND
"""Between samples a round trip curves by less than 2 ns: 0.2 km / s^2 over 0.1 s."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The round trip (ns) and hops at instants; NaN and 0 while dark."""

    instants: IntArray
    rtt_ns: FloatArray
    hops: IntArray

    @property
    def least_ms(self) -> float | None:
        return _ms(self.rtt_ns, np.min)

    @property
    def most_ms(self) -> float | None:
        return _ms(self.rtt_ns, np.max)

    @property
    def mean_ms(self) -> float | None:
        return _ms(self.rtt_ns, np.mean)


def samples_of(timeline: Timeline, step: Duration = SAMPLE_NS) -> Samples:
    """A timeline's round trips from its start on. Raises InputError "bad-step"."""
    check_step(step, timeline.end - timeline.start)
    instants = np.arange(timeline.start, timeline.end, step, dtype=np.int64)
    rtt, hops = np.full(instants.size, math.nan), np.zeros(instants.size, dtype=np.int64)
    for stretch in timeline.stretches:
        first, last = np.searchsorted(instants, (stretch.begin, stretch.finish))
        if stretch.path and first < last:
            rtt[first:last] = 2 * path_light_ns(timeline.plan, stretch.path, instants[first:last])
            hops[first:last] = len(stretch.path) - 1
    return Samples(instants, rtt, hops)


def path_light_ns(plan: ContactPlan, path: Path, instants: IntArray) -> FloatArray:
    """Light time along a path at instants, whether or not its links are open then."""
    total = np.zeros(instants.size)
    if plan.trajectory is None:
        for a, b in pairwise(path):
            total += [plan.light_time_ns(a, b, at) for at in instants.tolist()]
        return total
    places = [plan.trajectory.site_positions_km(site, instants) for site in path]
    for here, there in pairwise(places):
        total += np.linalg.norm(there - here, axis=1)
    return total * NS_PER_KM


def _ms(rtt_ns: FloatArray, which: object) -> float | None:
    known = rtt_ns[~np.isnan(rtt_ns)]
    return float(which(known)) / MILLISECOND if known.size else None  # type: ignore[operator]
