"""Router: which way, and when. The plan, corrected by what this node and the others have met."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping

from meshd.kernels.graph import FAR
from meshd.router.arrival import ArrivalTree, Hop, earliest_arrival
from meshd.router.binding import Binding, bind_over, pairs_of
from meshd.router.found import DeadLinks, Found
from meshd.router.overlay import Overlay
from meshd.router.plain import sending
from meshd.router.prediction import Leg, NextHop, Prediction
from meshd.router.residents import Residents
from meshd.router.roster import NOBODY, Member, Roster
from meshd.router.table import Inquiry
from meshd.router.tagged import Tagged
from meshd.router.toward import arrival_at
from meshd.seam import (
    Barred,
    Effect,
    Event,
    Judged,
    Learnt,
    LinkLost,
    LinkReady,
    PlanLoaded,
    Publish,
    RosterLoaded,
    RoutesChanged,
    Started,
    Woke,
)
from meshd.topology.plan import Contact, ContactPlan
from protocols.bounds import STANDING_MAX
from protocols.record import LinkState, Presence, Standing
from protocols.tag import tag_of
from protocols.types import HOUR, Duration, Instant, NodeId

LINK_STATE_TTL_NS = 24 * HOUR


class Router:
    """Knows the plan, who lives where, and the links that differ from the plan."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self.plan: ContactPlan | None = None
        self._members: dict[NodeId, Member] = {}
        """Who is not in the roster, or says something else than it."""
        self.members: Mapping[NodeId, Member] = self._members
        self._residents = Residents(self.members)
        self._roster = NOBODY
        self._states: dict[NodeId, LinkState] = {}
        self._tagged = Tagged(me)
        self._standing: dict[NodeId, Duration] = {}
        self._down: dict[NodeId, Instant] = {}
        self._judged: dict[NodeId, str] = {}
        """Who is suspect or gone."""
        self._binding: Binding | None = None
        self._overlay: Overlay | None = None
        self._found = Found()

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case PlanLoaded(plan=plan):
                self.plan = plan
            case RosterLoaded(roster=roster):
                self._load(roster)
            case Learnt(author=author, body=Presence() as presence):
                if not self._meet(Member(author, presence, event.issued_at)):
                    return []
            case Learnt(author=author, body=LinkState() as state):
                if author == self._me and state != self._link_state():
                    return [self._publish()]  # we said so in a life before
                if self._states.get(author) == state:
                    return []
                self._states[author] = state
                self._tagged.meet(author)
                return self._corrected(author, state.standing)
            case Judged(node=node, verdict=verdict):
                return self._take_verdict(node, verdict)
            case LinkReady() | LinkLost():
                return self._link_changed(event, now)
            case Barred(node=node):
                self._bar(node)
            case Woke():
                return self._forget_ended(now)
            case _:
                assert isinstance(event, Started | Learnt)
                return []
        return self._changed()

    def _take_verdict(self, node: NodeId, verdict: str) -> list[Effect]:
        """Ways lead around who is gone."""
        before = self._judged.pop(node, "alive")
        if verdict != "alive":
            self._judged[node] = verdict
        return self._new_ways() if "gone" in (before, verdict) else []

    def strange_among(self, nodes: frozenset[NodeId]) -> frozenset[NodeId]:
        """Those of these that it has not heard of."""
        return nodes.difference(self._roster.members).difference(self._members)

    def _load(self, roster: Roster) -> None:
        said = [member for member in self._members.values() if not roster.agrees(member)]
        self._roster = self._tagged.roster = roster
        self._members = {member.node: member for member in said}
        self.members = ChainMap(self._members, roster.members)
        self._residents = Residents(self.members, roster)
        for member in said:
            self._residents.heard(member, roster.members.get(member.node))

    def _meet(self, member: Member) -> bool:
        """Take a node's word for who it is; whether that is news."""
        known = self.members.get(member.node)
        same = known is not None and known.presence == member.presence
        # Asked before it is learnt: who said last that a site is theirs has it.
        site = member.presence.site
        same = same and (not site or self._residents.has(member.node, site))
        if not same or member.node in self._members or not self._roster.agrees(member):
            self._members[member.node] = member
            self._residents.heard(member, known)
            self._tagged.meet(member.node)
        return not same

    def _bar(self, node: NodeId) -> None:
        """Forget who it said it is, and what of its links: no way leads over it."""
        member = self._members.pop(node, None)
        if member is not None:
            self._residents.left(member)
        self._states.pop(node, None)

    def next_deadline(self) -> Instant | None:
        return min(self._down.values(), default=None)

    def _link_changed(self, event: LinkReady | LinkLost, now: Instant) -> list[Effect]:
        before = (dict(self._standing), dict(self._down))
        self._tagged.meet(node := event.node)
        match event:
            case LinkReady(planned=planned, delay_ns=delay):
                self._down.pop(node, None)
                if not planned:
                    self._standing[node] = delay
            case LinkLost(expected=expected):
                self._standing.pop(node, None)
                end = self.contact_end(node, now)
                if not expected and end is not None:
                    self._down[node] = end
        if before == (self._standing, self._down):
            return []
        return [self._publish(), *self._corrected(node)]

    def _forget_ended(self, now: Instant) -> list[Effect]:
        ended = [node for node, until in self._down.items() if until <= now]
        if not ended:
            return []
        for node in ended:
            del self._down[node]
        return [self._publish(), *self._new_ways()]

    def _publish(self) -> Publish:
        return Publish(self._link_state(), LINK_STATE_TTL_NS)

    def _link_state(self) -> LinkState:
        standing = tuple(Standing(tag_of(n), d) for n, d in sorted(self._standing.items()))
        down = tuple(tag_of(node) for node in sorted(self._down))
        return LinkState(standing[:STANDING_MAX], down[:STANDING_MAX])

    def _changed(self) -> list[Effect]:
        self._binding = None
        return self._new_ways()

    def _corrected(self, node: NodeId, standing: Iterable[Standing] = ()) -> list[Effect]:
        """A node has other links than before; the same nodes, unless one is named for the first
        time.
        """
        if self._binding is not None:
            named = (node, *(peer for peer, _ in self._tagged.ends(standing)))
            if any(node not in self._binding.vertex for node in named):
                self._binding = None
        return self._new_ways()

    def _new_ways(self) -> list[Effect]:
        self._found.forget()
        self._overlay = None
        return [RoutesChanged()]

    @property
    def _bound(self) -> Binding:
        """Made at the first question after a change: a mesh that starts learns much at once."""
        if self._binding is None:
            members = self._members.values()
            self._binding = bind_over(self._roster, self.plan, members, self._named())
        return self._binding

    @property
    def _corrections(self) -> Overlay:
        """What of the graph differs from the plan."""
        if self._overlay is None:
            bound = self._bound
            dead = frozenset(pairs_of(bound.vertex, self._dead_links()))
            gone = (bound.vertex.get(n) for n, verdict in self._judged.items() if verdict == "gone")
            absent = bound.absent.union(vertex for vertex in gone if vertex is not None)
            self._overlay = Overlay(absent, dead, self._standing_edges(bound.vertex))
        return self._overlay

    def _named(self) -> tuple[NodeId, ...]:
        """Nodes that need a place though they may not have told their name."""
        peers = self._tagged.known(e.peer for s in self._states.values() for e in s.standing)
        return tuple(sorted({self._me, *self._standing, *peers}))

    def _dead_links(self) -> list[tuple[NodeId, NodeId]]:
        downs = {node: state.down for node, state in self._states.items()}
        downs[self._me] = self._link_state().down
        return [(node, peer) for node, tags in downs.items() for peer in self._tagged.known(tags)]

    def _standing_edges(
        self, vertex: Mapping[NodeId, int]
    ) -> Mapping[int, tuple[tuple[int, Duration], ...]]:
        edges = {node: state.standing for node, state in self._states.items()}
        edges[self._me] = self._link_state().standing
        return {
            vertex[node]: tuple(
                (vertex[peer], delay) for peer, delay in self._tagged.ends(standing)
            )
            for node, standing in sorted(edges.items())
            if standing and node in vertex
        }

    # --- what others ask ------------------------------------------------------------------------

    def site(self, node: NodeId) -> int | None:
        """The node's site in the plan, or None for a node without an orbit."""
        member = self.members.get(node) if self.plan else None
        if self.plan is None or member is None:
            return None
        site = member.presence.site
        return self.plan.site_of(site) if self._residents.has(node, site) else None

    def contact(self, node: NodeId, now: Instant) -> Contact | None:
        """The contact with a neighbour that is open now."""
        a, b = self.site(self._me), self.site(node)
        if self.plan is None or a is None or b is None:
            return None
        return self.plan.open_contact(a, b, now)

    def contact_end(self, node: NodeId, now: Instant) -> Instant | None:
        """When the contact with a neighbour that is open now ends; None outside any contact."""
        contact = self.contact(node, now)
        return contact.finish if contact else None

    def doubts(self, node: NodeId) -> bool:
        """Whether a node is held for suspect, or gone."""
        return node in self._judged

    def tagged(self, tags: Iterable[int]) -> list[NodeId]:
        """Those meant by tags, but for who has not been heard of yet."""
        return self._tagged.known(tags)

    def reaches(self, node: NodeId, now: Instant, wait_ns: Duration) -> bool:
        """Whether a way leads to a node now, without waiting on it for longer than this."""
        way = self.predict(self._me, node, now)
        if way is None:
            return False
        return way.arrive - now - sum(leg.arrive - leg.depart for leg in way.legs) <= wait_ns

    def node_at(self, site: int) -> NodeId | None:
        """The node that lives at a site of the plan."""
        return self._residents.at(self.plan.names[site]) if self.plan else None

    @property
    def down(self) -> tuple[NodeId, ...]:
        """Neighbours that the plan promises and that are not there."""
        return tuple(sorted(self._down))

    @property
    def overlay(self) -> Overlay:
        """What of the graph differs from the plan, as far as this node knows."""
        return self._corrections

    def name_of(self, node: NodeId) -> str:
        member = self.members.get(node)
        return member.presence.name if member else node

    def next_hop(
        self, destination: NodeId, now: Instant, dead: DeadLinks = (), size_bytes: int = 0
    ) -> NextHop | None:
        """First step of the earliest arrival from here, or None when the plan holds no way.

        With a size, over contacts that last long enough for it.
        """
        vertex = self._bound.vertex.get(destination)
        if vertex is None:
            return None
        tree = self._way(vertex, now, dead, size_bytes)
        hop = tree.first_hop(vertex)
        if hop is not None and hop.depart < now and not self._still_open(hop, now, size_bytes):
            tree = self._search(vertex, now, dead, size_bytes)
            hop = tree.first_hop(vertex)
        arrive = tree.arrival(vertex)
        if hop is None or arrive is None:
            return None
        late = max(0, now - hop.depart)
        return NextHop(
            self._bound.node[hop.node], hop.depart + late, arrive + late, hop.arrive - hop.depart
        )

    def _still_open(self, hop: Hop, now: Instant, size_bytes: int) -> bool:
        """Whether a cached first step, counted from earlier in the tick, can still be taken."""
        if hop.standing:
            return True
        here = self._bound.vertex[self._me]
        contact = self.plan.open_contact(here, hop.node, now) if self.plan else None
        return contact is not None and now + sending(size_bytes, contact.rate_bps) <= contact.finish

    def predict(
        self, source: NodeId, destination: NodeId, at: Instant, size_bytes: int = 0
    ) -> Prediction | None:
        """The earliest arrival between any two known nodes for a departure at `at`.

        Of so many bytes: with their transmission. Without a size, of their first bit.
        """
        a, b = self._bound.vertex.get(source), self._bound.vertex.get(destination)
        if a is None or b is None:
            return None
        tree = arrival_at(self.plan, a, at, self._corrections, b, size_bytes)
        if tree.arrival(b) is None:
            return None
        legs = tuple(Leg(self._bound.node[h.node], h.depart, h.arrive) for h in tree.path(b))
        return Prediction(at, source, legs)

    def round_trip(self, destination: NodeId, at: Instant) -> tuple[Prediction, Prediction] | None:
        """There and back again: the return leaves the instant the outbound arrives."""
        there = self.predict(self._me, destination, at)
        back = self.predict(destination, self._me, there.arrive) if there else None
        return (there, back) if there and back else None

    def inquiry(self) -> Inquiry:
        """What a table of the next hops to all from here follows from, to be asked elsewhere."""
        return Inquiry(self._me, self.plan, self._corrections, self._bound.vertex)

    def delays_from(self, node: NodeId, now: Instant) -> dict[NodeId, Duration]:
        """Nanoseconds to every node reachable from `node`, waits included."""
        if node not in self._bound.vertex or self._judged.get(node) == "gone":
            return {}
        return self._delays(node, self._tree(node, now))

    def delays_at(self, node: NodeId, at: Instant) -> dict[NodeId, Duration]:
        """`delays_from` for those who ask between events: it leaves no tree behind.

        A tree kept here would serve the events that follow, and a replay of these, which knows of
        no question, would count from another instant.
        """
        vertex = self._bound.vertex.get(node)
        if vertex is None or self._judged.get(node) == "gone":
            return {}
        return self._delays(node, earliest_arrival(self.plan, vertex, at, self._corrections))

    def _delays(self, node: NodeId, tree: ArrivalTree) -> dict[NodeId, Duration]:
        """Counted from the root, where the tree began: it may be up to a tick old."""
        when = tree.arrivals().tolist()
        start = when[self._bound.vertex[node]]
        assert start < FAR
        known = [(other, when[v]) for other, v in self._bound.vertex.items() if v < len(when)]
        return {other: arrive - start for other, arrive in known if arrive < FAR}

    def _way(self, target: int, now: Instant, dead: DeadLinks, size_bytes: int) -> ArrivalTree:
        """The way from here to a vertex, as it was for the first departure of this tick."""
        start = self._found.began(now, dead)
        key = (target, size_bytes, dead)
        return self._found.way(key, lambda: self._search(target, start, dead, size_bytes))

    def _tree(self, root: NodeId, now: Instant) -> ArrivalTree:
        """The ways from a node to all others, as they were at its first departure of this tick."""
        start = self._found.began(now, ()) if root == self._me else now
        self._found.turn(now)
        vertex = self._bound.vertex[root]
        corrections = self._corrections
        return self._found.tree(
            vertex, lambda: earliest_arrival(self.plan, vertex, start, corrections)
        )

    def _search(self, target: int, start: Instant, dead: DeadLinks, size_bytes: int) -> ArrivalTree:
        overlay, bound = self._corrections, self._bound
        if dead:
            met = frozenset(pairs_of(bound.vertex, list(dead)))
            overlay = Overlay(overlay.absent, overlay.dead | met, overlay.standing)
        return arrival_at(self.plan, bound.vertex[self._me], start, overlay, target, size_bytes)
