"""Question: who is declared dead though it lives, on a moving shell, by us and by plain SWIM?

Method: 144 satellites in 12 planes, and 8 cities, which see none for minutes at a time; 1% of
frames are lost (of SWIM's messages: end to end, over however many hops). For four minutes, every
15 s, another satellite stands still for 6 s and goes on. Then one stops for good. The same once
with our nodes, frame by frame, and once with SWIM as memberlist has it by default (`sim/swim.py`).
A false death is a node held for dead (by us: gone) by anybody while its process runs. Detected:
when the first knows of the last stop, and when 90% do, since cities in a gap hear of nothing.

Expectation: SWIM buries cities in every gap longer than its 12 s of suspicion, and takes longer
than that to notice a stop; ours notices within 2.2 s, and buries nobody.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from meshd.topology.plan import ContactPlan
from protocols.types import MILLISECOND, SECOND, Duration, Instant
from sim.chance import stream
from sim.scenario.actions import Pause, Resume
from sim.swim import Swim
from sim.world import World

SETTLE_S, PAUSES, PERIOD_S, PAUSED_S = 20, 16, 15, 6
LAST_S = 30
STEP_NS = 100 * MILLISECOND

SCENARIO = {
    "constellation": "D:550:53:144/12/5",
    "stations": ["London", "Sydney", "New York", "Tokyo", "Nairobi", "Singapore", "Lagos", "Lima"],
    "duration": f"{SETTLE_S + PAUSES * PERIOD_S + LAST_S}s",
    "sample_every": "60s",
    "link": {"loss": 0.01},
    "node": {"roster": "all", "beats": "frames"},
    "expect": {
        "ours_false_deaths": 0,
        "ours_first_s_max": 2.5,
        "ours_90_s_max": 3.5,
        "swim_false_deaths_min": 1,
    },
}


def experiment(world: World) -> dict[str, float]:
    assert world.plan is not None
    sites = [number * 9 % 144 for number in range(PAUSES + 1)]
    return {**_ours(world, sites), **_swim(world.seed, world.plan, sites)}


def _ours(world: World, sites: list[int]) -> dict[str, float]:
    names = list(world.hosts)
    world.run_for(SETTLE_S * SECOND)
    began, carried, false = world.now, world.medium.bytes_carried, 0
    for site in sites[:-1]:
        world.harm.table[Pause](Pause(nodes=names[site]))
        false += _watch(world, PAUSED_S, {site})
        world.harm.table[Resume](Resume(nodes=names[site]))
        world.run_for(SECOND)  # it says that it is there
        false += _watch(world, PERIOD_S - PAUSED_S - 1, set())
    spent = (world.now - began) / SECOND
    rate = (world.medium.bytes_carried - carried) / spent / len(names)
    last, at = sites[-1], world.now
    world.harm.table[Pause](Pause(nodes=names[last]))
    node, others = world.host(names[last]).id, [name for name in names if name != names[last]]
    knew: dict[str, Instant] = {}
    while len(knew) < len(others) and world.now < at + LAST_S * SECOND:
        world.run_for(STEP_NS // 10)
        for name in others:
            if name not in knew and world.node(name).membership.verdict(node) == "gone":
                knew[name] = world.now
    times = sorted(knew.values())
    return {
        "ours_false_deaths": false,
        "ours_first_s": (times[0] - at) / SECOND if times else LAST_S,
        "ours_90_s": _rank(times, len(others), at),
        "ours_bytes_per_second_per_node": rate,
    }


def _watch(world: World, seconds: int, still: set[int]) -> int:
    """Let time go on; how many times anyone has come to hold a running node for gone."""
    wrong: set[tuple[str, str]] = set()
    running = {host.id: host for host in world.hosts.values() if host.index not in still}
    for _ in range(seconds * SECOND // STEP_NS):
        world.run_for(STEP_NS)
        for host in running.values():
            gone = host.node.membership.gone if host.node else ()
            wrong |= {(host.id, node) for node in gone if node in running}
    return len(wrong)


def _swim(seed: int, plan: ContactPlan, sites: list[int]) -> dict[str, float]:
    group = Swim(plan.n_sites, _delays(plan), 0.01, stream(seed, "swim"))
    group.run_until(SETTLE_S * SECOND)
    began, sent, still = group.now, group.sent_bytes, dict[int, tuple[Instant, Instant]]()
    for site in sites[:-1]:
        group.pause(site, group.now + PAUSED_S * SECOND)
        still[site] = (group.now, group.now + (PAUSED_S + 1) * SECOND)
        group.run_until(group.now + PERIOD_S * SECOND)
    rate = (group.sent_bytes - sent) / ((group.now - began) / SECOND) / plan.n_sites
    last, at = sites[-1], group.now
    group.pause(last, at + 3_600 * SECOND)
    still[last] = (at, at + 3_600 * SECOND)
    group.run_until(at + LAST_S * SECOND)
    false = [
        (who, of)
        for when, who, of in group.deaths
        if not still.get(of, (0, 0))[0] <= when < still.get(of, (0, 0))[1] and when >= began
    ]
    times = sorted(when for when, _, of in group.deaths if of == last and when >= at)
    return {
        "swim_false_deaths": len(false),
        "swim_nodes_falsely_dead": len({of for _, of in false}),
        "swim_first_s": (times[0] - at) / SECOND if times else LAST_S,
        "swim_90_s": _rank(times, plan.n_sites - 1, at),
        "swim_bytes_per_second_per_node": rate,
    }


def _rank(times: list[Instant], count: int, at: Instant) -> float:
    """When 90% knew; LAST_S if they never did."""
    rank = count * 9 // 10
    return (times[rank] - at) / SECOND if len(times) > rank else LAST_S


def _delays(plan: ContactPlan):  # type: ignore[no-untyped-def]
    """Light times of the shortest paths, as they are every ten seconds."""
    found: dict[int, np.ndarray] = {}

    def delay(a: int, b: int, now: Instant) -> Duration | None:
        tick = now // (10 * SECOND)
        if tick not in found:
            at = plan.start + tick * 10 * SECOND
            pairs = plan.open_at(at)
            light = [plan.light_time_ns(low, high, at) for low, high in pairs]
            ends = ([low for low, _ in pairs], [high for _, high in pairs])
            graph = coo_array((light, ends), shape=(plan.n_sites, plan.n_sites))
            found.clear()
            found[tick] = dijkstra(graph.tocsr(), directed=False)
        way = found[tick][a, b]
        return None if np.isinf(way) else int(way)

    return delay
