"""One source to all over a +Grid of up to a million satellites, beside what others need.

The plan is made as arrays: one contact an edge, open all the time. `python -m tests.bench.scale
NODES` measures one size in this process and prints JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import rustworkx
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from meshd.ephemeris import WALKER_EPOCH
from meshd.ephemeris.presets import shells_of
from meshd.ephemeris.secular import CircularJ2
from meshd.kernels.arrival import NOBODY, Trip, arrival_search
from meshd.kernels.buckets import bucket_search
from meshd.kernels.graph import FAR, Graph, Snapshot, arcs_by_site, snapshot_at
from meshd.kernels.light import Knots, cubics_from
from meshd.router.graph import NO_GRAPH, shift_of
from meshd.router.overlay import EMPTY
from meshd.topology.candidates import grid_pairs
from protocols.types import HOUR, SECOND
from tests.bench.measure import in_a_process, median_s, memory_peak_mb, show

SHELLS = {
    1_584: "D:550:53:1584/72/39",
    10_000: "D:550:53:10000/100/50",
    100_000: "D:550:53:100000/400/200",
    1_000_000: "D:550:53:1000000/1000/500",
}
AIMS_MS = {1_584: (0.04, 0.14), 10_000: (0.25, 1.8), 100_000: (4.0, 25.0), 1_000_000: (40.0, 250.0)}
"""Of a tree of an instant, and of earliest arrivals."""

NETWORKX_MAX, RUSTWORKX_MAX = 10_000, 100_000
STEP_NS = 30 * SECOND


def graph_of_size(nodes: int) -> Graph:
    """The +Grid of a shell as a graph, every link open for an hour."""
    shell = shells_of(SHELLS[nodes])
    pairs = grid_pairs(shell)
    a, b = pairs.a.astype(np.int32), pairs.b.astype(np.int32)
    first, peer, row = arcs_by_site(a, b, nodes)
    instants = WALKER_EPOCH + np.arange(2) * STEP_NS
    states = CircularJ2.of(shell).states(instants)
    knots = Knots(WALKER_EPOCH, STEP_NS, *states, WALKER_EPOCH, np.empty((0, 12)))
    graph = NO_GRAPH._replace(
        first=first,
        peer=peer,
        begin=np.full(peer.size, WALKER_EPOCH),
        finish=np.full(peer.size, WALKER_EPOCH + HOUR),
        rate_bps=np.full(peer.size, 100e9),
        row=row,
        ground=np.zeros(nodes, np.bool_),
        station=np.full(nodes, -1, np.int32),
        knots=knots._replace(table=cubics_from(knots, WALKER_EPOCH)),
    )
    return graph._replace(shift=shift_of(graph, WALKER_EPOCH))


def matrix_of(snapshot: Snapshot) -> Any:
    nodes = snapshot.first.size - 1
    return csr_array(
        (snapshot.length_ns.astype(float), snapshot.peer, snapshot.first), (nodes,) * 2
    )


def rust_of(snapshot: Snapshot) -> rustworkx.PyGraph[int, float]:
    nodes = snapshot.first.size - 1
    graph: rustworkx.PyGraph[int, float] = rustworkx.PyGraph()
    graph.add_nodes_from(range(nodes))
    site = np.repeat(np.arange(nodes), np.diff(snapshot.first))
    once = site < snapshot.peer
    columns = (site[once], snapshot.peer[once], snapshot.length_ns[once].astype(float))
    graph.add_edges_from(list(zip(*(column.tolist() for column in columns), strict=True)))
    return graph


def searches(nodes: int) -> dict[str, Callable[[int], Any]]:
    """What is measured: functions of a source. All answer alike, or this fails."""
    graph = graph_of_size(nodes)
    snapshot = snapshot_at(graph, WALKER_EPOCH)
    matrix, corrections = matrix_of(snapshot), EMPTY.columns(nodes)
    found: dict[str, Callable[[int], Any]] = {
        "tree": lambda source: bucket_search(snapshot, source),
        "links": lambda source: snapshot_at(graph, WALKER_EPOCH + source),
        "arrivals": lambda source: arrival_search(
            graph, corrections, Trip(source, WALKER_EPOCH, 0, NOBODY)
        ),
        "scipy": lambda source: dijkstra(matrix, indices=source, return_predecessors=True),
    }
    expected = dijkstra(matrix, indices=7)
    assert (bucket_search(snapshot, 7).length == expected).all()
    assert found["arrivals"](7).when.max() < FAR
    if nodes <= RUSTWORKX_MAX:
        rust = rust_of(snapshot)
        found["rustworkx"] = lambda source: rustworkx.dijkstra_shortest_path_lengths(
            rust, source, float
        )
    if nodes <= NETWORKX_MAX:
        import networkx

        graph_x = networkx.from_scipy_sparse_array(matrix)
        found["networkx"] = lambda source: networkx.single_source_dijkstra_path_length(
            graph_x, source
        )
    return found


def measure(nodes: int) -> dict[str, float]:
    """Median seconds of each search, from sources all over, and again, since others work here."""
    found = searches(nodes)
    spent: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(2):
        for name, search in found.items():
            sources = iter(range(7_919 * turn, 1 << 62, 7_919))
            spent[name].append(median_s(lambda: search(next(sources) % nodes)))  # noqa: B023
    return {name: min(times) for name, times in spent.items()}


def show_scale(console: Console) -> None:
    """Measure all sizes, each in fresh memory, and print them with the aims."""
    table = Table(box=None)
    for title in ("one source to all, +Grid", "ours", "aim", "scipy", "rustworkx", "networkx"):
        table.add_column(title, justify="left" if "," in title else "right", no_wrap=True)
    for nodes, aims in AIMS_MS.items():
        took = in_a_process("scale", nodes)
        for name, what, aim in (
            ("tree", "a finished graph, with the ways", aims[0]),
            ("links", "its links and their lengths", None),
            ("arrivals", "earliest arrivals over contacts", aims[1]),
        ):
            ratios = [
                f"{took[peer] / took[name]:.1f} x" if peer in took and name != "links" else ""
                for peer in ("scipy", "rustworkx", "networkx")
            ]
            table.add_row(
                f"{nodes:,}: {what}",
                show(took[name]),
                "" if aim is None else f"{aim:g} ms",
                *ratios,
            )
    console.print(table)


if __name__ == "__main__":
    size = int(sys.argv[1])
    sys.stdout.write(json.dumps({**measure(size), "memory_mb": memory_peak_mb()}))
