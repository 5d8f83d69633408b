"""How good a mesh is: how much hangs together, how many links, how often terminals must turn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from meshd.topology.contacts import BoolArray, Intervals, resumed
from meshd.topology.plan import ContactPlan
from protocols.types import HOUR, MINUTE, Instant

LOOKS_MAX = 49


class Figures(NamedTuple):
    """Lasers of one plan. The component is the least seen, the degree a mean over its window."""

    largest_component: float
    """Part of all satellites that hang together by lasers."""
    degree: float
    acquisitions_per_satellite_hour: float
    """Terminals turned to a new peer; the same peer seen again within two minutes is none."""
    lasers: int
    contacts: int


def figures_of(plan: ContactPlan, satellites: int) -> Figures:
    """The figures of a plan; the component is looked at every few minutes of its window."""
    laser = plan.b < satellites
    hours = (plan.end - plan.start) / HOUR
    linked = float((plan.finish - plan.begin)[laser].sum()) / (plan.end - plan.start)
    fresh = _acquisitions(plan, laser)
    return Figures(
        largest_component=min(_largest(plan, satellites, at) for at in _looks(plan)),
        degree=2 * linked / satellites,
        acquisitions_per_satellite_hour=2 * fresh / satellites / hours,
        lasers=int(laser.sum()),
        contacts=plan.n_contacts,
    )


def _acquisitions(plan: ContactPlan, laser: BoolArray) -> int:
    pair = plan.a[laser].astype(np.int64) * plan.n_sites + plan.b[laser]
    begin, finish = plan.begin[laser], plan.finish[laser]
    order = np.lexsort((begin, pair))
    links = Intervals(pair[order], begin[order], finish[order])
    return int(((links.begin > plan.start) & ~resumed(links)).sum())


def _looks(plan: ContactPlan) -> list[Instant]:
    count = int(min(LOOKS_MAX, max(2, (plan.end - plan.start) // (5 * MINUTE) + 1)))
    return [plan.start + (plan.end - 1 - plan.start) * k // (count - 1) for k in range(count)]


def _largest(plan: ContactPlan, satellites: int, at: Instant) -> float:
    rows = plan.open_rows(at)
    rows = rows[plan.b[rows] < satellites]
    links = coo_array(
        (np.ones(rows.size, np.int8), (plan.a[rows], plan.b[rows])), (satellites, satellites)
    )
    _, component = connected_components(links, directed=False)
    return float(np.bincount(component).max()) / satellites
