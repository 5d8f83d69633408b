"""The graph of a plan for the kernels, worked out once for all who share the plan."""

from __future__ import annotations

import numpy as np

from meshd.kernels.graph import Graph, arcs_by_site, snapshot_at
from meshd.kernels.light import Knots, cubics_from
from meshd.topology.light import FixedLight
from meshd.topology.plan import ContactPlan
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S, Instant

STEPS_MAX = 2
"""Steps between knots whose cubics a plan keeps: a search may begin in one and end in the next."""

MILLISECOND_SHIFT = 20

_SHORT_NS = 1 << 31

_NOWHERE = Knots(0, 1, np.empty((1, 0, 3)), np.empty((1, 0, 3)), 0, np.empty((0, 12)))


NO_GRAPH = Graph(
    np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64),
    np.empty(0), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.bool_),
    np.empty(0, np.int32), np.empty(0, np.int32), _NOWHERE, MILLISECOND_SHIFT,
)  # fmt: skip
"""That of no plan."""


def graph_of(plan: ContactPlan) -> Graph | None:
    """The plan's contacts by site, in the order of `contacts_of`.

    None where light times are a function that only Python can call: neither those of the
    trajectory nor fixed ones.
    """
    if "graph" not in plan.derived:
        plan.derived["graph"] = _graph(plan)
    graph: Graph | None = plan.derived["graph"]
    return graph


def graph_at(plan: ContactPlan, at: Instant) -> Graph | None:
    """`graph_of`, made ready for light times about an instant: the same answers, sooner."""
    graph, trajectory = graph_of(plan), plan.trajectory
    if graph is None or graph.fixed_ns.size or trajectory is None:
        return graph
    begin = at - (at - trajectory.first) % trajectory.step_ns
    if not trajectory.start <= begin < trajectory.end:
        return graph
    ready: dict[Instant, Graph] = plan.derived.setdefault("graph by step", {})
    found = ready.get(begin)
    if found is None:
        knots = graph.knots._replace(begin=begin, table=cubics_from(graph.knots, begin))
        graph = graph._replace(knots=knots)
        found = graph._replace(shift=shift_of(graph, at))
        for old in sorted(list(ready))[: 1 - STEPS_MAX]:
            ready.pop(old, None)  # another thread may have been here
        ready[begin] = found
    return found


def shift_of(graph: Graph, at: Instant) -> int:
    """2^shift ns are no longer than half the shortest link of an instant: links grow shorter."""
    shortest = snapshot_at(graph, at).shortest
    return max(shortest.bit_length() - 2, 0) if shortest else MILLISECOND_SHIFT


def _graph(plan: ContactPlan) -> Graph | None:
    light, trajectory = plan.light_time_ns, plan.trajectory
    knots, fixed = _NOWHERE, np.empty(0, dtype=np.int64)
    if trajectory is not None and light == trajectory.light_time_ns:
        knots = Knots(
            trajectory.first, trajectory.step_ns, trajectory.positions, trajectory.velocities,
            trajectory.first, np.empty((0, 12)),
        )  # fmt: skip
        across_km = 4 * float(np.nanmax(np.abs(trajectory.positions), initial=0))
        longest = across_km / SPEED_OF_LIGHT_KM_S * SECOND
    elif isinstance(light, FixedLight):
        ends = zip(plan.a.tolist(), plan.b.tolist(), strict=True)
        fixed = np.array([light(a, b, plan.start) for a, b in ends], dtype=np.int64)
        longest = float(fixed.max(initial=0))
    else:
        return None
    fixed = fixed.astype(np.int32 if longest < _SHORT_NS else np.int64)
    first, peer, row = arcs_by_site(plan.a, plan.b, plan.n_sites)
    ground = np.array([kind == "ground" for kind in plan.kinds], dtype=np.bool_)
    stations = np.flatnonzero(ground).astype(np.int32)
    station = np.full(plan.n_sites, -1, dtype=np.int32)
    station[stations] = np.arange(stations.size)
    return Graph(
        first, peer, plan.begin[row], plan.finish[row], plan.rate_bps[row], row,
        fixed[row] if fixed.size else fixed, ground, station, stations, knots, MILLISECOND_SHIFT,
    )  # fmt: skip
