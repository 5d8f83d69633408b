"""Warm: every compiled function made ready before somebody waits for it.

Numba compiles a kernel at its first call and keeps the machine code on disk. That takes up to a
minute for all, so it is done when meshd is set up, or by a daemon before it begins.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshd.ephemeris import WALKER_EPOCH, Elements, find_city, sky_from_catalog, sky_from_preset
from meshd.ephemeris.elements import make_catalog
from meshd.kernels import mark_warm
from meshd.kernels.graph import snapshot_at
from meshd.kernels.sweep import sweep_search
from meshd.router.arrival import earliest_arrival
from meshd.router.graph import graph_of
from meshd.router.overlay import EMPTY, Overlay
from meshd.router.table import Inquiry
from meshd.router.timeline import timeline_of
from meshd.router.toward import arrival_at
from meshd.router.tree import snapshot_tree
from meshd.topology import LinkPolicy, build_plan, policy_for
from meshd.topology.build import mend_plan
from protocols.types import MINUTE, NodeId


def warm() -> None:
    """Call every kernel that plans and routes are made with, once, on a small sky."""
    start, end = WALKER_EPOCH, WALKER_EPOCH + 2 * MINUTE
    sky = sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])
    policy = replace(policy_for(sky), sun_exclusion_deg=1.0, slew_max_deg_s=1.0)
    for isl in ("fitted", "plus-grid"):
        plan = build_plan(sky, replace(policy, isl=isl, ground="highest"), start, end)
    graph = graph_of(plan)
    assert graph is not None
    tree = snapshot_tree(graph, plan.index_of("London"), start)
    assert tree.one_way_ns(plan.index_of("Sydney")) is not None
    targets = np.array([plan.index_of("London"), plan.index_of("Sydney")], dtype=np.int32)
    sweep_search(snapshot_at(graph, start), targets)
    london, sydney = plan.index_of("London"), plan.index_of("Sydney")
    assert arrival_at(plan, london, start, EMPTY, sydney).path(sydney)
    nodes = {NodeId(name): site for site, name in enumerate(plan.names)}
    assert Inquiry(NodeId("London"), plan, EMPTY, nodes).table(start).entries
    spare = Overlay(dead=frozenset({(0, 1)}), standing={london: ((sydney, MINUTE),)})
    assert earliest_arrival(plan, london, start, spare).arrival(sydney) is not None
    timeline_of(plan, (plan.index_of("London"), plan.index_of("Sydney")), (start, end))
    _warm_mending(replace(policy, isl="fitted"))
    mark_warm()


def _warm_mending(policy: LinkPolicy) -> None:
    """A few satellites in a row, one of which turns out to be elsewhere."""
    row = [
        Elements(f"sat-{n}", n + 1, WALKER_EPOCH, 53.0, 0.0, 1e-4, 0.0, 10.0 * n, 15.2)
        for n in range(6)
    ]
    sky = sky_from_catalog(make_catalog(enumerate(row)))
    plan = build_plan(sky, policy, WALKER_EPOCH, WALKER_EPOCH + 2 * MINUTE)
    mend_plan(plan, 0, replace(row[0], mean_anomaly_deg=1.0))


if __name__ == "__main__":
    warm()
