"""What things cost here, beside other libraries, in one run: `make bench`. Takes half a minute.

Each figure is the median of several runs on this machine, now; trust ratios more than times.
"""

from __future__ import annotations

import base64
import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx
import numpy as np
import rustworkx
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

import protocols
from meshd.adapters.identity import Identity, Verifier, verify
from meshd.ephemeris import Sky, find_city, parse_time, sky_from_preset
from meshd.router import earliest_arrival, snapshot_route
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.forward import Hop, Packet
from protocols.record import DOMAIN, Presence, Statement, sign
from protocols.types import MINUTE, SECOND, NodeId, PacketId

AT = parse_time("2026-01-01T12:00:00Z")
CITIES = ("London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg")
BUDGET_S = 1.2
"""For one figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds."""

    what: str
    ours_s: float
    baseline: str = ""
    baseline_s: float | None = None


def median_s(run: Callable[[], object], runs_max: int = 200, warm: bool = True) -> float:
    """The median time of a call, over as many calls as the budget allows."""
    if warm:
        run()
    gc.collect()
    spent: list[float] = []
    began = time.perf_counter()
    while len(spent) < runs_max and (not spent or time.perf_counter() - began < BUDGET_S):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


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
    ours = median_s(lambda: earliest_arrival(plan, source, AT))
    what = f"earliest arrival, one to all, {name} ({n:,} sites)"
    rows = [Row(what, ours, other, median_s(run)) for other, run in others.items()]
    target = plan.index_of("Sydney")
    single = median_s(lambda: snapshot_route(plan, source, target, AT))
    pair = median_s(lambda: networkx.dijkstra_path_length(graph, source, target))
    return [*rows, Row(f"London-Sydney at an instant, {name}", single, "networkx dijkstra", pair)]


def packets() -> list[Row]:
    hops = tuple(Hop(NodeId(f"12D3KooW{i:044}"), AT + i) for i in range(6))
    packet = Packet(
        PacketId("p" * 30), hops[0].node, hops[5].node, "app", bytes(1024), AT, AT, 64, hops
    )
    as_json = {
        **{name: getattr(packet, name) for name in ("id", "source", "destination", "port")},
        "payload": base64.b64encode(packet.payload).decode(),
        "hops": [[hop.node, hop.arrived_at] for hop in hops],
        "times": [packet.sent_at, packet.expires_at, packet.hop_limit],
    }
    data, text = protocols.LINK.encode(packet), json.dumps(as_json)
    encode, decode = protocols.LINK.encode, protocols.LINK.decode
    return [
        Row(
            "packet of 1 kB, encode",
            per_call(lambda: encode(packet)),
            "json, base64",
            per_call(
                lambda: json.dumps({**as_json, "p": base64.b64encode(packet.payload).decode()})
            ),
        ),
        Row(
            "packet of 1 kB, decode and check",
            per_call(lambda: decode(data)),
            "json, base64, no checks",
            per_call(lambda: base64.b64decode(json.loads(text)["payload"])),
        ),
    ]


def per_call(run: Callable[[], object], calls: int = 500) -> float:
    """For what is too quick to time alone."""

    def many() -> None:
        for _ in range(calls):
            run()

    return median_s(many) / calls


def signatures() -> list[Row]:
    me = Identity.from_seed(bytes(range(32)))
    record = sign(Statement(me.node_id, 1, AT, SECOND, Presence("a", "", ())), me.sign)
    message, verifier = DOMAIN + record.statement, Verifier()
    verifier.verify(me.node_id, message, record.signature)
    return [
        Row(
            "signature met before",
            per_call(lambda: verifier.verify(me.node_id, message, record.signature)),
            "Ed25519 verify",
            per_call(lambda: verify(me.node_id, message, record.signature), calls=50),
        )
    ]


def show(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def main() -> None:
    """Print the table."""
    rows: list[Row] = []
    for name, minutes in (("iridium", 40), ("starlink-1", 5)):
        there = sky(name)
        policy = policy_for(there)
        plans: list[ContactPlan] = []

        def build() -> None:
            plans.append(build_plan(there, policy, AT, AT + minutes * MINUTE))  # noqa: B023

        took = median_s(build, runs_max=3, warm=False)
        rows.append(Row(f"contact plan of {minutes} min, {name}", took))
        rows += routes(name, plans[-1])
    rows += packets() + signatures()
    table = Table(box=None)
    for title, side in (("what", "left"), ("ours", "right"), ("baseline", "left")):
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for row in rows:
        ratio = "" if row.baseline_s is None else f"{row.baseline_s / row.ours_s:.2f}"
        table.add_row(row.what, show(row.ours_s), row.baseline, show(row.baseline_s), ratio)
    console = Console(width=130)
    console.print(table)
    console.print(
        "Ratio: baseline over ours, above 1 we are quicker. Ours takes light times at each\n"
        "departure, waits for contacts to come and keeps the ways; the baselines get a finished\n"
        "graph of one instant and answer with lengths alone."
    )


if __name__ == "__main__":
    main()
