"""Toward: the earliest arrival at one target, found without looking at the rest of the sky."""

from __future__ import annotations

from meshd.kernels.arrival import Trip
from meshd.kernels.graph import FAR
from meshd.kernels.toward import toward_search
from meshd.router.arrival import ArrivalTree, earliest_arrival
from meshd.router.overlay import Overlay
from meshd.router.reach import View, view_at
from meshd.topology.plan import ContactPlan
from protocols.types import Instant


def arrival_at(
    plan: ContactPlan | None,
    source: int,
    start: Instant,
    overlay: Overlay,
    target: int,
    size_bytes: int = 0,
) -> ArrivalTree:
    """As `earliest_arrival` with this target, and for the target alone.

    Goes straight to it where a kernel can tell light times and no standing link stands: that may
    be quicker than light. What must be waited for beyond the tick is looked for in all the sky.
    """
    trip = Trip(source, start, size_bytes, target)
    if plan is not None and not overlay.standing and max(source, target) < plan.n_sites:
        view = view_at(plan, start)
        tree = None if view is None else straight_to(view, overlay, trip)
        if tree is not None:
            return tree
    return earliest_arrival(plan, source, start, overlay, target, size_bytes)


def straight_to(view: View, overlay: Overlay, trip: Trip) -> ArrivalTree | None:
    """The way to the target of a trip within the tick; None where there is none.

    Its answer is that of the search without a target, ties included: labels are the same, since
    what remains never falls by more than a ride takes; of two ways to a site with one label, that
    by the predecessor which the other search settles first is kept; and it goes on until nothing
    is left that could reach the target as early.
    """
    sites = view.graph.station.size
    corrections, left = overlay.columns(sites), view.left(trip.target)
    found = toward_search(view.graph, corrections, trip, left, view.end)
    if found.when[trip.target] == FAR:
        return None
    return ArrivalTree(trip.source, trip.start, sites, view.graph.station[:0], found)
