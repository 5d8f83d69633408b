"""A plan among those who are there: what is left of it where nodes are away and links are down."""

from __future__ import annotations

import numpy as np

from meshd.router.overlay import Overlay
from meshd.topology.plan import WHOLE, ContactPlan, plan_of_rows
from protocols.types import Instant


def plan_among(plan: ContactPlan, overlay: Overlay, now: Instant) -> ContactPlan:
    """The contacts of sites that are not absent, but for those that stand now and are dead.

    A link that is down may be up again in its next contact; standing links are in no plan. What
    is worked out over the answer is not shared with the plan, so another thread may do it.
    """
    whole = plan_of_rows(plan, np.arange(plan.n_contacts))
    absent = np.zeros(plan.n_sites, dtype=bool)
    absent[[site for site in overlay.absent if site < plan.n_sites]] = True
    gone = absent[plan.a] | absent[plan.b]
    for a, b in sorted(overlay.dead):
        gone |= (plan.a == a) & (plan.b == b) & (plan.begin <= now) & (now < plan.finish)
    if not gone.any():
        return whole
    some = plan_of_rows(plan, np.flatnonzero(~gone))
    some.derived[WHOLE] = whole
    return some
