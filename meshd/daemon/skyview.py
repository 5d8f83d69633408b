"""Skyview: contacts and routes as one daemon predicts them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.daemon.names import Names
from meshd.daemon.plans import World
from meshd.ephemeris.timescale import format_time, parse_time
from meshd.router.among import plan_among
from meshd.router.answers import route_json, why_no_route
from meshd.router.offline import ROUTE_WINDOW_NS, links_span, route_answer
from meshd.router.overlay import EMPTY
from meshd.router.prediction import Prediction
from meshd.router.wish import Wish, at_once, follow
from meshd.topology import ContactPlan, build_plan
from meshd.topology.reasons import Sight
from protocols.errors import InputError, MeshError, NotFound
from protocols.types import (
    HOUR,
    MILLISECOND,
    SECOND,
    SPEED_OF_LIGHT_KM_S,
    Instant,
    NodeId,
)

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

TIMELINE_MAX_NS = 6 * HOUR
"""The longest that a daemon follows a path: a large sky has 300 MB of states in so long."""

GRANT_S = 120.0
"""Then a daemon gives up on an answer: where old elements scatter a mesh, near equals abound."""


class Skyview:
    """Answers from the plan at hand; for other times it has one built, in a thread."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names
        self._building = trio.Lock()
        """One plan or timeline at a time: each takes a processor and memory."""

    # --- contacts -------------------------------------------------------------------------------

    async def links(self, node: str | None, start: str | None, duration: str | None) -> Json:
        """The predicted contacts of a node (this one unless named) that overlap a span."""
        now = self._daemon.shared.clock.now()
        begin = parse_time(start, now) if start else now
        length = links_span(duration)
        site_name = self._site_name(node)
        plan = await self._plan(begin, begin + length)
        site = plan.index_of(site_name)
        rows = [
            self._link(plan, site, contact, max(contact.begin, begin), now)
            for contact in plan.contacts_of(site)
            if contact.begin < begin + length and contact.finish > begin
        ]
        return {
            "node": site_name,
            "from": format_time(begin),
            "until": format_time(begin + length),
            "links": rows,
        }

    def _site_name(self, node: str | None) -> str:
        if node is None:
            if not self._daemon.site:
                raise NotFound(
                    "no-site", "this node has no orbit and no city: name a site of the sky"
                )
            return self._daemon.site
        world = self._daemon.world
        try:
            site = self._names.site_of(self._names.find(node))
        except NotFound:
            if world is None:
                raise
            return world.sky.names[world.sky.index_of(node)]
        if not site:
            raise NotFound("no-site", f"{node} has no orbit and no city, so no predicted contacts")
        return site

    def _link(self, plan: ContactPlan, site: int, contact: Any, at: Instant, now: Instant) -> Json:
        daemon, peer = self._daemon, contact.peer
        light = plan.light_time_ns(site, peer, at)
        node = daemon.node.router.node_at(peer) if plan is daemon.node.router.plan else None
        mine = plan.names[site] == daemon.site
        up = node is not None and daemon.node.neighbours.link_to(node) is not None
        return {
            "peer": plan.names[peer],
            "node": node,
            "begin": format_time(contact.begin),
            "finish": format_time(contact.finish),
            "duration_s": (contact.finish - contact.begin) / SECOND,
            "range_km": round(light / SECOND * SPEED_OF_LIGHT_KM_S, 3),
            "light_ms": round(light / MILLISECOND, 6),
            "open": contact.begin <= now < contact.finish,
            "up": up if mine else None,
        }

    # --- routes ---------------------------------------------------------------------------------

    async def route(self, source: str, target: str, wish: Wish) -> Json:
        """The way between two nodes as this daemon would send, or between two sites of its sky.

        Raises MeshError "no-route" with the physical reason.
        """
        now = self._daemon.shared.clock.now()
        when = parse_time(wish.at, now) if wish.at else now
        if not wish.plain:
            return await self._granted((source, target), when, wish)
        plan = self._daemon.node.router.plan
        at_hand = plan is None or plan.start <= when < plan.end
        try:
            ends = self._names.find(source), self._names.find(target)
        except NotFound as unknown:
            return await self._route_of_sites(source, target, when, unknown)
        if at_hand:
            return self._route_of_nodes(*ends, when)
        sites = [self._names.site_of(node) for node in ends]
        if not all(sites):
            message = "routes over standing links are known for now only: leave out the time"
            raise InputError("bad-time", message)
        return await self._route_of_sites(sites[0], sites[1], when, None)

    async def _granted(self, places: tuple[str, str], when: Instant, wish: Wish) -> Json:
        """More than one way at one instant: over the plan, worked out in a thread.

        Between two members only over sites where nodes are, and without links that are down.
        """
        window = when, when + wish.window_ns(TIMELINE_MAX_NS)
        router, world = self._daemon.node.router, await self._world_at(when)
        plan = await self._plan(*window)
        ends = self._site_at(plan, places[0]), self._site_at(plan, places[1])
        known = router.plan is not None and plan.sky_digest == router.plan.sky_digest
        members = known and None not in map(router.node_at, ends)
        overlay, now = router.overlay if members else EMPTY, self._daemon.shared.clock.now()

        def sight_at(at: Instant) -> Sight | None:
            return Sight.of(world.sky, world.policy, at) if world is not None else None

        def grant() -> Json:
            over = plan_among(plan, overlay, now)
            if wish.timeline:
                return follow(over, ends, window, wish, sight_at, _heed).answer
            return at_once(over, ends, when, wish, sight_at)

        with trio.move_on_after(GRANT_S):
            async with self._building:
                answer = await trio.to_thread.run_sync(grant)
            return {**answer, "basis": "members" if members else "plan"}
        raise MeshError("time-out", f"no answer within {GRANT_S:g} s: ask for a shorter timeline")

    def _site_at(self, plan: ContactPlan, text: str) -> int:
        """The site that a person means by the name of a node or of a site."""
        try:
            return self._index(plan, text)
        except NotFound:
            node = self._names.find(text)
            message = f"{self._names.name_of(node)} has no orbit and no city: over standing links "
            message += "only the best way of now is known; ask for that alone"
            raise InputError("no-site", message) from None

    async def _route_of_sites(
        self, source: str, target: str, at: Instant, unknown: NotFound | None
    ) -> Json:
        world = self._daemon.world
        if world is None:
            assert unknown is not None
            raise unknown
        plan = await self._plan(at, at + ROUTE_WINDOW_NS)
        try:
            a, b = self._index(plan, source), self._index(plan, target)
        except NotFound:
            raise unknown or NotFound("unknown-site", "no such site") from None
        answer = route_answer(plan, a, b, at)
        if answer is None:
            raise MeshError("no-route", f"no route: {why_no_route(plan, a, b, at)}")
        return {"basis": "plan", **route_json(answer)}

    def _index(self, plan: ContactPlan, text: str) -> int:
        try:
            return plan.index_of(text)
        except NotFound:
            return plan.index_of(self._names.site_of(self._names.find(text)))

    def _route_of_nodes(self, source: NodeId, target: NodeId, at: Instant) -> Json:
        router = self._daemon.node.router
        there = router.predict(source, target, at)
        back = router.predict(target, source, there.arrive) if there else None
        if there is None or back is None:
            raise MeshError("no-route", f"no route: {self.why(source, target, at)}")
        name = self._names.name_of
        legs, left = [], there.source
        for leg in there.legs:
            legs.append(
                {
                    "from": name(left),
                    "to": name(leg.node),
                    "depart_ms": round((leg.depart - at) / MILLISECOND, 6),
                    "arrive_ms": round((leg.arrive - at) / MILLISECOND, 6),
                }
            )
            left = leg.node
        until = self._valid_until(there, at)
        return {
            "basis": "members",
            "from": name(source),
            "to": name(target),
            "at": format_time(at),
            "one_way_ms": round((there.arrive - at) / MILLISECOND, 6),
            "rtt_ms": round((back.arrive - at) / MILLISECOND, 6),
            "hops": len(there.legs),
            "path": [name(node) for node in there.path],
            "path_ids": list(there.path),
            "valid_until": format_time(until) if until is not None else None,
            "legs": legs,
        }

    def _valid_until(self, there: Prediction, at: Instant) -> Instant | None:
        """When the first contact of the path ends; None for a path of standing links."""
        router = self._daemon.node.router
        plan, ends = router.plan, []
        left = there.source
        for leg in there.legs:
            a, b = router.site(left), router.site(leg.node)
            if plan is not None and a is not None and b is not None:
                contact = plan.open_contact(a, b, leg.depart)
                ends += [contact.finish] if contact else []
            left = leg.node
        return min(ends, default=None)

    def why(self, source: NodeId, target: NodeId, at: Instant) -> str:
        """Why there is no way between two members now."""
        router, name = self._daemon.node.router, self._names.name_of
        a, b = router.site(source), router.site(target)
        if router.plan is None or a is None or b is None:
            return f"no chain of links that are up joins {name(source)} and {name(target)}"
        if route_answer(router.plan, a, b, at, horizon=1) is None:
            return why_no_route(router.plan, a, b, at)
        return f"every way from {name(source)} to {name(target)} crosses a node that is away"

    async def _plan(self, start: Instant, end: Instant) -> ContactPlan:
        """The plan at hand when it covers the span, else one built for it.

        By the elements that count when the span begins.
        """
        plan, world = self._daemon.node.router.plan, await self._world_at(start)
        same = plan is not None and (world is None or plan.sky_digest == world.sky.digest)
        if plan is not None and same and plan.start <= start and end <= plan.end:
            return plan
        if world is None:
            message = "this daemon has no sky to predict from; start it with --constellation"
            raise NotFound("no-plan", message)
        async with self._building:
            return await trio.to_thread.run_sync(
                partial(build_plan, world.sky, world.policy, start, end)
            )

    async def _world_at(self, at: Instant) -> World | None:
        world = self._daemon.world
        return None if world is None else await trio.to_thread.run_sync(world.at, at)


def _heed(at: Instant) -> None:
    """Stop working in a thread when nobody waits for it any more."""
    trio.from_thread.check_cancelled()
