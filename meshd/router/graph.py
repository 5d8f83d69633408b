"""The graph of a plan for the kernels, worked out once for all who share the plan."""

from __future__ import annotations

import numpy as np

from meshd.kernels.graph import Graph, arcs_by_site
from meshd.kernels.light import Knots
from meshd.topology.light import FixedLight
from meshd.topology.plan import ContactPlan

_NOWHERE = Knots(0, 1, np.empty((1, 0, 3)), np.empty((1, 0, 3)))


def graph_of(plan: ContactPlan) -> Graph | None:
    """The plan's contacts by site, in the order of `contacts_of`.

    None where light times are a function that only Python can call: neither those of the
    trajectory nor fixed ones.
    """
    if "graph" not in plan.derived:
        plan.derived["graph"] = _graph(plan)
    graph: Graph | None = plan.derived["graph"]
    return graph


def _graph(plan: ContactPlan) -> Graph | None:
    light, trajectory = plan.light_time_ns, plan.trajectory
    knots, fixed = _NOWHERE, np.empty(0, dtype=np.int64)
    if trajectory is not None and light == trajectory.light_time_ns:
        knots = Knots(
            trajectory.first, trajectory.step_ns, trajectory.positions, trajectory.velocities
        )
    elif isinstance(light, FixedLight):
        ends = zip(plan.a.tolist(), plan.b.tolist(), strict=True)
        fixed = np.array([light(a, b, plan.start) for a, b in ends], dtype=np.int64)
    else:
        return None
    first, peer, row = arcs_by_site(plan.a, plan.b, plan.n_sites)
    ground = np.array([kind == "ground" for kind in plan.kinds], dtype=np.bool_)
    return Graph(
        first, peer, plan.begin[row], plan.finish[row], plan.rate_bps[row], row,
        fixed[row] if fixed.size else fixed, ground, knots,
    )  # fmt: skip
