"""Observe: the figures of living nodes at an instant, read from their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from meshd.node import Node
from meshd.topology import ContactPlan
from protocols.types import Instant, NodeId, PacketId
from sim.outcome import Sample
from sim.tally import custody_of


class Seen(msgspec.Struct, frozen=True):
    """One living node at one instant."""

    name: str
    node: NodeId
    held: tuple[PacketId, ...]
    """In custody."""
    linked: frozenset[str]
    """Of those whom the plan joins it with now: who is up and greeted at this end."""
    strange: frozenset[NodeId]
    """Of all others, living or not: whom it has not heard of."""
    shards: int
    """Held here."""


def look(
    nodes: Mapping[str, Node],
    plan: ContactPlan | None,
    ids: Mapping[str, NodeId],
    now: Instant,
) -> Iterator[Seen]:
    """What can be seen of nodes, by name. `ids` are those of all nodes there are, wherever."""
    linked: dict[str, list[str]] = {name: [] for name in nodes}
    names = plan.names if plan is not None else ()
    for a, b in plan.open_at(now) if plan is not None else ():
        ends = names[a], names[b]
        for here, there in (ends, ends[::-1]):
            if here in nodes and there in ids and nodes[here].neighbours.link_to(ids[there]):
                linked[here].append(there)
    everyone = frozenset(ids.values())
    for name, node in nodes.items():
        yield Seen(
            name=name,
            node=node.config.node,
            held=custody_of(node),
            linked=frozenset(linked[name]),
            strange=node.router.strange_among(everyone - {node.config.node}),
            shards=len(node.scheduler.holder.view()),
        )


def observe(seen: Sequence[Seen], plan: ContactPlan | None, now: Instant) -> Iterator[Sample]:
    """Samples of a mesh, from what is seen of all who live.

    `alive`; `links_up` beside `links_planned` (both ends alive); packets `held` by all nodes, and
    the most by one (`held_max`); `known_share`: of all (node, other living node) pairs, those
    where the first has heard of the second; `shards_held`. What nodes hold is told of each by
    name too, when it is not 0.
    """
    yield Sample(now, "alive", "", len(seen))
    planned, up = links({one.name: one for one in seen}, plan, now)
    yield Sample(now, "links_planned", "", planned)
    yield Sample(now, "links_up", "", up)
    held = {one.name: len(one.held) for one in seen}
    yield Sample(now, "held", "", sum(held.values()))
    yield Sample(now, "held_max", "", max(held.values(), default=0))
    yield Sample(now, "known_share", "", known_share(seen))
    shards = {one.name: one.shards for one in seen}
    yield Sample(now, "shards_held", "", sum(shards.values()))
    for metric, counts in (("held", held), ("shards_held", shards)):
        for name, count in counts.items():
            if count:
                yield Sample(now, metric, name, count)


def links(seen: Mapping[str, Seen], plan: ContactPlan | None, now: Instant) -> tuple[int, int]:
    """(planned now between living nodes, of those up and greeted at both ends)."""
    if plan is None:
        return 0, 0
    planned = up = 0
    for a, b in plan.open_at(now):
        one, other = seen.get(plan.names[a]), seen.get(plan.names[b])
        if one is None or other is None:
            continue
        planned += 1
        up += other.name in one.linked and one.name in other.linked
    return planned, up


def known_share(seen: Iterable[Seen]) -> float:
    """How much of the membership the living know of each other, from 0 to 1."""
    alive = list(seen)
    ids = frozenset(one.node for one in alive)
    pairs = len(alive) * (len(alive) - 1)
    if not pairs:
        return 1.0
    return 1.0 - sum(len(one.strange & ids) for one in alive) / pairs
