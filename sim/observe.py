"""Observe: the figures of living nodes at an instant, read from their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshd.node import Node
from meshd.topology import ContactPlan
from protocols.types import Instant
from sim.outcome import Sample


def observe(nodes: Mapping[str, Node], plan: ContactPlan | None, now: Instant) -> Iterator[Sample]:
    """Samples of a mesh: `nodes` are those alive, by name.

    `alive`; `links_up` beside `links_planned` (both ends alive); packets `held` by all nodes, and
    the most by one (`held_max`); `known_share`: of all (node, other living node) pairs, those
    where the first has heard of the second; `shards_held`. What nodes hold is told of each by
    name too, when it is not 0.
    """
    held = {name: len(node.forwarder.view()) for name, node in nodes.items()}
    yield Sample(now, "alive", "", len(nodes))
    planned, up = links(nodes, plan, now)
    yield Sample(now, "links_planned", "", planned)
    yield Sample(now, "links_up", "", up)
    yield Sample(now, "held", "", sum(held.values()))
    yield Sample(now, "held_max", "", max(held.values(), default=0))
    yield Sample(now, "known_share", "", known_share(nodes.values()))
    shards = {name: len(node.scheduler.holder.view()) for name, node in nodes.items()}
    yield Sample(now, "shards_held", "", sum(shards.values()))
    for metric, counts in (("held", held), ("shards_held", shards)):
        for name, count in counts.items():
            if count:
                yield Sample(now, metric, name, count)


def links(nodes: Mapping[str, Node], plan: ContactPlan | None, now: Instant) -> tuple[int, int]:
    """(planned now between living nodes, of those up and greeted at both ends)."""
    if plan is None:
        return 0, 0
    here = [nodes.get(name) for name in plan.names]
    planned = up = 0
    for a, b in plan.open_at(now):
        one, other = here[a], here[b]
        if one is None or other is None:
            continue
        planned += 1
        there = one.neighbours.link_to(other.config.node)
        back = other.neighbours.link_to(one.config.node)
        up += there is not None and back is not None
    return planned, up


def known_share(nodes: Iterable[Node]) -> float:
    """How much of the membership the living know of each other, from 0 to 1."""
    alive = list(nodes)
    ids = frozenset(node.config.node for node in alive)
    pairs = len(alive) * (len(alive) - 1)
    if not pairs:
        return 1.0
    return sum(node.router.count_known(ids - {node.config.node}) for node in alive) / pairs
