"""Question: how long until 1,000 nodes know that one has fallen silent, where memberlist's
suspicion takes at least 12 s at that size, and Serf needs 2.2 s to tell 99.99% of them?

Method: 1,000 nodes on a torus of 40 x 25, 1 ms between neighbours. At 40 s nothing reaches one
of them any more, or leaves it, and no one is told. The time until its neighbours notice, and
from then until no other node has a route to it. Nothing else happens: false deaths are nodes
that anyone has no route to although they live.

Expectation: silence on a link is noticed after 5 s (py-libp2p's stalled write, modelled); the
news that a way is gone waits 20 ms a hop, and crosses 32 of them: within 3.2 s. No false death.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.types import MILLISECOND, SECOND, NodeId
from sim.world import World

COLUMNS, ROWS = 40, 25
NAMES = [f"n{row}-{column}" for row in range(ROWS) for column in range(COLUMNS)]
SILENT = "n12-20"
NEIGHBOURS = ("n11-20", "n13-20", "n12-19", "n12-21")


def _torus() -> list[dict[str, Any]]:
    """Every node keeps the cables to its right and below."""
    cables = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            right, below = f"n{row}-{(column + 1) % COLUMNS}", f"n{(row + 1) % ROWS}-{column}"
            here = f"n{row}-{column}"
            cables += [{"between": [here, other], "light": "1ms"} for other in (right, below)]
    return cables


SCENARIO = {
    "members": NAMES,
    "cables": _torus(),
    "duration": "60s",
    "sample_every": "10s",
    "expect": {"noticed_s_max": 6, "told_s_max": 3.2, "false_deaths": 0},
}


def experiment(world: World) -> dict[str, float]:
    world.run_for(40 * SECOND)
    began, silent = world.now, world.host(SILENT).id
    world.cut_off([SILENT])
    _run_while(world, lambda: any(_linked(world, name, silent) for name in NEIGHBOURS))
    noticed = world.now
    waiting = [name for name in NAMES if name != SILENT]

    def told() -> bool:
        while waiting and not _reaches(world, waiting[-1], silent):
            waiting.pop()
        return not waiting

    _run_while(world, lambda: not told())
    return {
        "noticed_s": (noticed - began) / SECOND,
        "told_s": (world.now - noticed) / SECOND,
        "false_deaths": sum(_unreachable(world, name) for name in ("n0-0", "n12-19", "n24-39")),
    }


def _run_while(world: World, holds: Callable[[], bool]) -> None:
    began = world.now
    while holds():
        assert world.now < began + 15 * SECOND, "no change within 15 s"
        world.run_for(50 * MILLISECOND)


def _linked(world: World, at: str, node: NodeId) -> bool:
    return world.node(at).neighbours.link_to(node) is not None


def _reaches(world: World, at: str, node: NodeId) -> bool:
    return world.node(at).router.predict(world.host(at).id, node, world.now) is not None


def _unreachable(world: World, at: str) -> int:
    """How many living nodes this one has no route to."""
    router = world.node(at).router
    reached = router.delays_from(world.host(at).id, world.now)
    return sum(world.host(name).id not in reached for name in NAMES if name != SILENT)
