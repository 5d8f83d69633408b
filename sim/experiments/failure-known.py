"""Question: how long until a moving shell of 1,000 nodes knows that a satellite has fallen silent?

Method: 1,008 satellites in 42 planes and 16 cities, each with a daemon; 1% of frames are lost. From
30 s on, every 15 s, one satellite stops, as by SIGSTOP, and no one is told: links stay up, frames
are taken by nobody. The time until each of the others holds it for gone, less the light time of the
way there. Nobody else must be held for gone meanwhile.

Expectation: a neighbour asks a silent link after 1 s and gives it up after 2; those of all four
neighbours must agree; the news then waits 20 ms a hop, and crosses at most 33 of them. 99.9% of the
living know within 3 s of light time, and nobody is wrong.
"""

from __future__ import annotations

from protocols.types import MILLISECOND, SECOND, Duration, NodeId
from sim.scenario.actions import Pause, Resume
from sim.world import World

CITIES = [
    "London", "Sydney", "New York", "Tokyo", "Sao Paulo", "Johannesburg", "Mumbai", "Singapore",
    "Los Angeles", "Madrid", "Cairo", "Lagos", "Nairobi", "Mexico City", "Buenos Aires", "Seoul",
]  # fmt: skip
FAILURES = 3
STEP_NS = 10 * MILLISECOND

SCENARIO = {
    "constellation": "D:550:53:1008/42/17",
    "stations": CITIES,
    "duration": f"{30 + 15 * FAILURES}s",
    "sample_every": "60s",
    "link": {"loss": 0.01},
    "node": {"roster": "all"},
    "expect": {
        "known_999_s_max": 3.0,
        "false_deaths": 0,
        "alive": 1024,
    },
}


def experiment(world: World) -> dict[str, float]:
    world.run_for(30 * SECOND)
    satellites = [name for name in world.hosts if name not in CITIES]
    late: list[Duration] = []
    unknown = wrong = 0
    for number in range(FAILURES):
        name = satellites[number * 167 % len(satellites)]
        known = _known_after(world, name)
        late += known
        unknown += len(world.hosts) - 1 - len(known)
        wrong += _held_for_gone(world) - len(known)
        world.harm.table[Resume](Resume(nodes=name))
        world.run_for(10 * SECOND)
        wrong += _held_for_gone(world)
    late.sort()
    rank = len(late) + unknown - 1 - (len(late) + unknown) // 1_000
    return {
        "known_999_s": late[rank] / SECOND if rank < len(late) else 60.0,
        "known_median_s": late[len(late) // 2] / SECOND,
        "known_last_s": late[-1] / SECOND,
        "unknown": unknown,
        "false_deaths": wrong,
    }


def _known_after(world: World, name: str) -> list[Duration]:
    """Within 5 s of a stop: when each other node knew, less the light time from there."""
    node, began = world.host(name).id, world.now
    light = world.node(name).router.delays_at(node, began)
    world.harm.table[Pause](Pause(nodes=name))
    waiting: dict[str, NodeId] = {other: h.id for other, h in world.hosts.items() if other != name}
    known: list[Duration] = []
    while waiting and world.now < began + 5 * SECOND:
        world.run_for(STEP_NS)
        for other, identity in list(waiting.items()):
            if world.node(other).membership.verdict(node) == "gone":
                del waiting[other]
                known.append(world.now - began - light.get(identity, 0))
    return known


def _held_for_gone(world: World) -> int:
    """How many times a node is held for gone now, by whomever."""
    members = [host.node.membership for host in world.hosts.values() if host.node]
    return sum(len(member.gone) for member in members)
