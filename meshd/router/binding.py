"""Binding: nodes as the vertices of a graph, worked out once for all who share a roster."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

from meshd.router.roster import Member, Roster
from meshd.topology.plan import ContactPlan
from protocols.types import NodeId

BINDINGS_MAX = 4
"""Plans for which a roster keeps its members' places: the last, the current and the next."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Nodes as vertices: a site's index, or one past the sites of the plan."""

    vertex: MutableMapping[NodeId, int]
    node: MutableMapping[int, NodeId]
    absent: frozenset[int]
    """Sites of the plan where nobody lives."""


def bind(plan: ContactPlan | None, members: Iterable[Member], others: Iterable[NodeId]) -> Binding:
    """Give every member and other node a vertex. The newest statement holds a site."""
    sites = plan.n_sites if plan else 0
    holders: dict[int, NodeId] = {}
    known: dict[NodeId, None] = dict.fromkeys(others)
    for member in sorted(members, key=lambda m: (m.issued_at, m.node)):
        known[member.node] = None
        site = plan.site_of(member.presence.site) if plan else None
        if site is not None:
            holders[site] = member.node
    node = dict(holders)
    vertex = {name: site for site, name in node.items()}
    for name in sorted(known):
        if name not in vertex:
            last = sites + len(vertex) - len(holders)
            vertex[name] = last
            node[last] = name
    absent = frozenset(site for site in range(sites) if site not in holders)
    return Binding(vertex, node, absent)


def bind_over(
    roster: Roster, plan: ContactPlan | None, members: Iterable[Member], others: Iterable[NodeId]
) -> Binding:
    """As `bind` for the roster's members and these, who are not in it or say something else.

    Shares the places of the roster's members, where none has moved and no site is contested.
    """
    if not roster.members:
        return bind(plan, members, others)
    members, base = list(members), _shared(roster, plan)
    sites = plan.n_sites if plan else 0
    own = bind(plan, members, (name for name in others if name not in base.vertex))
    moved = any(member.node in roster.members for member in members)
    if moved or any(site < sites and site in base.node for site in own.node):
        kept = {**roster.members, **{member.node: member for member in members}}
        return bind(plan, kept.values(), others)
    if not own.vertex:
        return base
    beyond = max(base.node, default=-1) + 1
    shift = max(0, beyond - sites)
    vertex = {name: v if v < sites else v + shift for name, v in own.vertex.items()}
    node = {v: name for name, v in vertex.items()}
    absent = base.absent - node.keys()
    return Binding(ChainMap(vertex, base.vertex), ChainMap(node, base.node), absent)


def _shared(roster: Roster, plan: ContactPlan | None) -> Binding:
    digest = plan.digest if plan else ""
    base = roster.bindings.get(digest)
    if base is None:
        base = roster.bindings[digest] = bind(plan, roster.members.values(), ())
        if len(roster.bindings) > BINDINGS_MAX:
            del roster.bindings[next(iter(roster.bindings))]
    return base


def pairs_of(
    vertex: Mapping[NodeId, int], links: Iterable[tuple[NodeId, NodeId]]
) -> list[tuple[int, int]]:
    """Links between known nodes as vertices, the lower first."""
    ends = [(vertex.get(a), vertex.get(b)) for a, b in links]
    return [(min(a, b), max(a, b)) for a, b in ends if a is not None and b is not None]
