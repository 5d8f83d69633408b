"""Contact plans and routes, beside what others make of a finished graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import rustworkx
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from meshd.ephemeris import CITIES as CITIES_KNOWN
from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.kernels.graph import snapshot_at
from meshd.kernels.sweep import sweep_search
from meshd.router import earliest_arrival, snapshot_route, snapshot_tree
from meshd.router.graph import graph_of
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.types import MINUTE
from tests.bench.measure import Row, median_s

AT = parse_time("2026-01-01T12:00:00Z")
CITIES = ("London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg")


def rows() -> list[Row]:
    """Plans and routes over two constellations."""
    found: list[Row] = []
    for name, minutes in (("iridium", 40), ("starlink-1", 5)):
        there = sky(name)
        policy = policy_for(there)
        plans: list[ContactPlan] = []

        def build() -> None:
            plans.append(build_plan(there, policy, AT, AT + minutes * MINUTE))  # noqa: B023

        took = median_s(build, runs_max=3, warm=False)
        found.append(Row(f"contact plan of {minutes} min, {name}", took))
        found += routes(name, plans[-1])
    return [*found, *step_of_hypatia()]


def step_of_hypatia() -> list[Row]:
    """One step of Hypatia's job: Starlink's first shell, 100 cities, all forwarding state."""
    cities = [find_city(row[0]) for row in CITIES_KNOWN[:100]]
    there = sky_from_preset("starlink-1", cities)
    plan = build_plan(there, policy_for(there), AT, AT + MINUTE)
    graph, n = graph_of(plan), there.n_satellites
    assert graph is not None
    stations = np.arange(n, plan.n_sites, dtype=np.int32)
    a, b, light = edges(plan)
    matrix = csr_array((np.array(light), (a, b)), shape=(plan.n_sites,) * 2)
    ours = median_s(lambda: sweep_search(snapshot_at(graph, AT), stations))
    theirs = median_s(lambda: dijkstra(matrix, False, stations, return_predecessors=True))
    what = "starlink-1, 100 cities: links of an instant and the next hop of all to all cities"
    return [Row(what, ours, "scipy, the ways alone", theirs)]


def sky(name: str) -> Sky:
    return sky_from_preset(name, [find_city(city) for city in CITIES])


def edges(plan: ContactPlan) -> tuple[list[int], list[int], list[float]]:
    """The links open at AT and their light times."""
    rows = plan.open_rows(AT)
    a, b = plan.a[rows].tolist(), plan.b[rows].tolist()
    return a, b, [float(plan.light_time_ns(x, y, AT)) for x, y in zip(a, b, strict=True)]


def routes(name: str, plan: ContactPlan) -> list[Row]:
    """One to all, from London. The others get a finished graph of the instant, without waits."""
    source = plan.index_of("London")
    a, b, light = edges(plan)
    n = plan.n_sites
    graph = networkx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from(zip(a, b, light, strict=True))
    matrix = csr_array((np.array(light), (a, b)), shape=(n, n))
    rust = rustworkx.PyGraph()
    rust.add_nodes_from(range(n))
    rust.add_edges_from(list(zip(a, b, light, strict=True)))

    def from_the_plan() -> Any:
        a, b, light = edges(plan)
        return dijkstra(csr_array((np.array(light), (a, b)), shape=(n, n)), False, source)

    reached = int(np.isfinite(dijkstra(matrix, directed=False, indices=source)).sum())
    assert reached > 0.9 * n, f"{name}: the graph of this instant falls apart ({reached} of {n})"
    others: dict[str, Callable[[], Any]] = {
        "scipy, its graph included": from_the_plan,
        "networkx dijkstra": lambda: networkx.single_source_dijkstra_path_length(graph, source),
        "scipy csgraph dijkstra": lambda: dijkstra(matrix, False, source),
        "rustworkx dijkstra": lambda: rustworkx.dijkstra_shortest_path_lengths(rust, source, float),
    }
    graph_now = graph_of(plan)
    assert graph_now is not None
    tree = median_s(lambda: snapshot_tree(graph_now, source, AT))
    what = f"tree of an instant from the plan, one to all, {name} ({n:,} sites)"
    trees = [Row(what, tree, other, median_s(run)) for other, run in others.items()]
    ours = median_s(lambda: earliest_arrival(plan, source, AT))
    what = f"earliest arrival, one to all, {name} ({n:,} sites)"
    rows = [Row(what, ours, other, median_s(run)) for other, run in others.items()]
    target = plan.index_of("Sydney")
    single = median_s(lambda: snapshot_route(plan, source, target, AT))
    pair = median_s(lambda: networkx.dijkstra_path_length(graph, source, target))
    return [
        *trees,
        *rows,
        Row(f"London-Sydney at an instant, {name}", single, "networkx dijkstra", pair),
    ]
