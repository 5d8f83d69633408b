"""Membership: nobody is held for gone for a gap of the plan, nor while a way leads there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.seam import CloseLink, Effect, Event, LinkDown, LinkFailed, LinkUp, Note, Started
from protocols import LinkMessage
from protocols.record import Verifier
from protocols.types import SECOND, Instant, LinkId, NodeId
from sim.host import Host
from sim.laws.law import Law, require

LATELY_NS = 60 * SECOND
"""A verdict may rest on trouble that is no older."""

OLD_NS = 30 * SECOND
"""A link that both ends have had for so long is known to everyone."""

PLANNED = ("contact-ended", "disconnected")
"""Codes of ends that are no trouble."""


class Membership(Law):
    """Keeps its own book of who had trouble when, and which links stand at both ends."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._down: set[NodeId] = set()
        self._trouble: dict[NodeId, Instant] = {}
        self._ends: dict[NodeId, dict[LinkId, tuple[NodeId, Instant]]] = {}
        """Of each node its links: to whom, since when."""

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        links = self._ends.setdefault(host.id, {})
        match event:
            case Started():
                self._down.discard(host.id)
                self._trouble[host.id] = told
            case LinkUp(link=link, node=node):
                links[link] = (node, told)
            case LinkDown(link=link, code=code):
                self._ended(host, link, code, told)
            case LinkFailed(node=node):
                self._trouble[host.id] = self._trouble[node] = told
        if host.stall is not None or host.clock is not None:
            self._trouble[host.id] = told
        for effect in effects:
            if isinstance(effect, CloseLink):
                self._ended(host, effect.link, effect.code, told)
            elif isinstance(effect, Note):
                self._judged(host, effect, told)

    def _ended(self, host: Host, link: LinkId, code: str, told: Instant) -> None:
        ended = self._ends[host.id].pop(link, None)
        if ended is not None and code not in PLANNED:
            self._trouble[host.id] = self._trouble[ended[0]] = told

    def killed(self, host: Host) -> None:
        self._down.add(host.id)
        self._ends.pop(host.id, None)

    def _judged(self, host: Host, note: Note, told: Instant) -> None:
        if note.code == "node-cleared":
            self.saw["a node was doubted and cleared"] += 1
        if note.code != "node-gone":
            return
        node = NodeId(str(note.fields["node"]))
        self.saw["a node was held for gone"] += 1
        if node in self._down or host.clock is not None:
            return
        lately = told - self._trouble.get(node, -LATELY_NS) < LATELY_NS
        require(lately, "nobody is gone for a gap of the plan", host.name, node)
        way = node in self._reached(host.id, told)
        require(not way, "nobody is gone to whom a way leads", host.name, node)

    def _reached(self, node: NodeId, told: Instant) -> set[NodeId]:
        """Where links lead that both ends have had for long."""
        found, edge = {node}, [node]
        while edge:
            here = edge.pop()
            for link, (there, since) in self._ends.get(here, {}).items():
                other = self._ends.get(there, {}).get(link)
                old = other is not None and told - max(since, other[1]) > OLD_NS
                if old and there not in found:
                    found.add(there)
                    edge.append(there)
        return found
