"""Question: how long does a change take to reach 200 nodes, and what does that cost, where
ScaleCube's SWIM takes 3,617 ms and 582 B/s a node?

Method: ScaleCube's set-up as far as a mesh of lasers has one: 200 nodes, 2 ms between
neighbours, 1% of frames lost. Theirs gossip to three random members every 300 ms; ours have
four neighbours each (a torus of 20 x 10), and announce what others say within 115 ms. After 30 s
one node is started anew, with a new presence: the time until all 199 others hold it, and the bytes
all links carried meanwhile.

Expectation: 15 hops at the most, 115 ms and three light times each, and a lost frame mended by
another way round: under 2 s, for fewer bytes than 582 B/s a node.
"""

from __future__ import annotations

from typing import Any

from protocols.types import MILLISECOND, SECOND, NodeId
from sim.world import World

COLUMNS, ROWS = 20, 10
NAMES = [f"n{row}-{column}" for row in range(ROWS) for column in range(COLUMNS)]


def _neighbours() -> list[dict[str, Any]]:
    """A torus: every node keeps the cables to its right and below."""
    cables = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            right = f"n{row}-{(column + 1) % COLUMNS}"
            below = f"n{(row + 1) % ROWS}-{column}"
            here = f"n{row}-{column}"
            cables += [{"between": [here, other], "light": "2ms"} for other in (right, below)]
    return cables


SCENARIO = {
    "members": NAMES,
    "cables": _neighbours(),
    "link": {"loss": 0.01},
    "duration": "45s",
    "sample_every": "5s",
    "expect": {"dissemination_ms_max": 2000, "bytes_per_second_per_node_max": 582, "alive": 200},
}


def experiment(world: World) -> dict[str, float]:
    world.run_for(30 * SECOND)
    name = NAMES[0]
    world.kill(name)
    world.run_for(5 * SECOND)
    carried, began = world.medium.bytes_carried, world.now
    world.restart(name)
    node = world.host(name).id
    others = [other for other in NAMES if other != name]
    while any(_issued(world, other, node) < began for other in others):
        assert world.now < began + 8 * SECOND, "not everyone heard within 8 s"
        world.run_for(MILLISECOND)
    seconds = (world.now - began) / SECOND
    carried = world.medium.bytes_carried - carried
    return {
        "dissemination_ms": seconds * 1000,
        "bytes_per_second_per_node": carried / seconds / len(NAMES),
    }


def _issued(world: World, at: str, author: NodeId) -> int:
    """When the presence of a node was issued that another holds; 0 for none."""
    member = world.node(at).router.members.get(author)
    return member.issued_at if member else 0
