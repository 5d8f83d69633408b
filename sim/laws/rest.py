"""Rest: what must hold when nothing has been wrong for a while: all is known, done and empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from meshd.node import Node
from meshd.scheduler.states import JobView, Status
from meshd.seam import Started
from protocols.record import LinkState, Presence
from protocols.types import MICROSECOND, SECOND, Duration, NodeId
from sim.chance import make_verifier, stream
from sim.driver import outputs_of
from sim.host import Host
from sim.laws.bounds import audit
from sim.laws.law import require

if TYPE_CHECKING:
    from sim.tally import Posted
    from sim.world import World

SLACK_NS = 2 * SECOND
"""A contact or a piece of news younger than this may still be on its way."""


def settled(world: World) -> None:
    """Raises Violation for the first thing that is not well."""
    for host in world.hosts.values():
        require(host.node is not None or host.life == 0, "everyone is back", host.name)
    living = [host for host in world.hosts.values() if host.node is not None]
    graph = _links(world, living)
    for component in sorted(nx.strongly_connected_components(graph), key=min):
        names = sorted(component)
        _members([world.host(name) for name in names])
        for name in names:
            _routes(world, graph, name, names)
    for host in living:
        _empty(host)
        audit(host)
        _same_as_its_disk(world, host)
    counts = world.packets()
    require(counts["held"] == 0, "no packet is held for ever", counts)
    for posted in world.tally.letters.values():
        if posted.kept:
            _delivered(world, posted)
    for log in world.tally.jobs.values():
        if log.reports["accepted"]:
            _done(world, world.job(log.job), log.job)


def _node(host: Host) -> Node:
    assert host.node is not None
    return host.node


# --- links, members, routes -------------------------------------------------------------------


def _links(world: World, living: list[Host]) -> nx.DiGraph:
    """The links ready at both ends, with the delay of each way. All that should be are there."""
    graph, by_id = nx.DiGraph(), {host.id: host for host in living}
    for host in living:
        graph.add_node(host.name)
        for neighbour in _node(host).neighbours.view():
            other = by_id.get(neighbour.node)
            if other is not None and neighbour.ready and _node(other).neighbours.link_to(host.id):
                graph.add_edge(host.name, other.name, delay=_delay(world, host, other))
    for host in living:
        for wanted in sorted(_node(host).neighbours._wanted):
            if wanted in by_id:
                there = graph.has_edge(host.name, by_id[wanted].name)
                require(there, "a standing link comes back", host.name, by_id[wanted].name)
    plan, now = world.plan, world.now
    if plan is not None:
        for a, b in plan.open_at(now):
            one, other = (world.hosts.get(plan.names[site]) for site in (a, b))
            contact = plan.open_contact(a, b, now)
            if one is None or other is None or one not in living or other not in living:
                continue
            young = contact is None or now - contact.begin < SLACK_NS
            there = young or graph.has_edge(one.name, other.name)
            require(there, "a planned link is up", one.name, other.name)
    return graph


def _delay(world: World, host: Host, other: Host) -> Duration:
    """As the routers have it: the plan's light time, or what the sender measured."""
    plan = world.plan
    if plan is not None and host.config.site and other.config.site:
        a, b = plan.index_of(host.config.site), plan.index_of(other.config.site)
        if plan.open_contact(a, b, world.now) is not None:
            return plan.light_time_ns(min(a, b), max(a, b), world.now)
    return _node(host).router._standing.get(other.id, 0)


def _members(hosts: list[Host]) -> None:
    """Membership equals truth, and all hold the newest of everyone."""
    newest: dict[tuple[NodeId, str], int] = {}
    for host in hosts:
        for said in _node(host).gossip.view():
            if said.author == host.id and isinstance(said.body, Presence | LinkState):
                newest[host.id, type(said.body).__name__] = said.sequence
    for host in hosts:
        members = _node(host).router.members
        for other in hosts:
            known = members.get(other.id)
            require(known is not None, "everyone knows everyone", host.name, other.name)
            assert known is not None
            same = known.presence == other.presence
            require(same, "everyone is known as they are", host.name, other.name, known.presence)
            verdict = _node(host).membership.verdict(other.id)
            require(
                verdict is None, "nobody who is there is doubted", host.name, other.name, verdict
            )
        held = {(s.author, type(s.body).__name__): s.sequence for s in _node(host).gossip.view()}
        for key, sequence in newest.items():
            level = held.get(key, 0) == sequence
            require(level, "gossip is level", host.name, *key, held.get(key), sequence)


def _routes(world: World, graph: nx.DiGraph, name: str, names: list[str]) -> None:
    """Every node's own table leads to everyone without a loop, near the optimum."""
    best = nx.single_source_dijkstra_path_length(graph, name, weight="delay")
    source = world.host(name)
    for target in names:
        to = world.host(target).id
        if target == name:
            continue
        way = _node(source).router.predict(source.id, to, world.now)
        require(way is not None, "there is a route to everyone", name, target)
        assert way is not None
        excess = way.arrive - world.now - best[target]
        near = excess <= MICROSECOND * len(names)
        require(near, "routes are near the optimum", name, target, excess)
        _walk(world, source, to, len(names))


def _walk(world: World, host: Host, to: NodeId, hops_max: int) -> None:
    """Hand over as each router on the way would: nobody is met twice."""
    at, met = world.now, [host.name]
    while host.id != to:
        hop = _node(host).router.next_hop(to, at)
        require(hop is not None, "the next hop knows the way too", *met)
        assert hop is not None
        there = world.host_of(hop.node)
        assert there is not None
        host, at = there, max(at, hop.depart) + hop.hop_ns
        require(
            host.name not in met and len(met) <= hops_max, "routes are loop-free", *met, host.name
        )
        met.append(host.name)


# --- what nodes keep --------------------------------------------------------------------------


def _empty(host: Host) -> None:
    node = _node(host)
    held = node.forwarder.view()
    require(not held, "nothing is in custody", host.name, held[:1])
    letters = node.letters.outgoing.view()
    require(not letters, "no letter is sent for ever", host.name, letters[:1])
    # An old copy of the database has forgotten letters whose receipts are out: their turn passes.
    early = node.letters.mailbox.early() if "custody" not in host.excused else ()
    require(not early, "no letter waits for ever for its turn", host.name, early[:1])
    require(not node.blobs._fetches, "no fetch goes on for ever", host.name, node.blobs.view())
    shards = node.scheduler.holder.view()
    require(not shards, "no shard is held for ever", host.name, shards[:1])
    rows = [
        row.output for results in node.scheduler.sink.view().values() for row in results.values()
    ]
    for cid, wants in sorted(node.blobs._wants.items()):
        counted = wants == rows.count(cid)
        require(counted, "a blob is kept for a result, or let go", host.name, cid, wants)
    require(not node.scheduler.sink._expected, "no result is awaited for ever", host.name)


def _delivered(world: World, posted: Posted) -> None:
    """What was promised to a sender has come true, and is not forgotten."""
    sender, receiver = world.host_of(posted.source), world.host_of(posted.destination)
    assert sender is not None and receiver is not None
    if "custody" in sender.excused | receiver.excused:
        return
    there = _node(receiver).letters.mailbox.knows(posted.source, posted.letter)
    # Nobody was told if the sender crashed between the end of the letter's row and the telling.
    told = posted.state in ("ok", "sending")
    require(there and told, "a letter that was kept arrives", posted, there)


def _same_as_its_disk(world: World, host: Host) -> None:
    """A node that started now would know what this one does: its jobs, results and links."""
    node = _node(host)
    fresh = Node(host.config, stream(0, "fresh"), host.sign, make_verifier())
    fresh.handle(Started(tuple(sorted(host.rows.items()))), world.now)
    about = "a restarted node knows what it knew"
    require(fresh.scheduler.sink.view() == node.scheduler.sink.view(), about, host.name, "results")
    require(fresh.neighbours._wanted == node.neighbours._wanted, about, host.name, "links")
    numbered = fresh.gossip._sequence >= node.gossip._sequence
    require(numbered, about, host.name, "sequence")
    jobs = {view.job: view for view in fresh.scheduler.book.view()}
    for view in node.scheduler.book.view():
        there = jobs.pop(view.job, None)
        same = there is not None and _lasting(there) == _lasting(view)
        require(same, about, host.name, there, view)
    require(not jobs, about, host.name, jobs)


def _lasting(view: JobView) -> object:
    if view.row.status is Status.COMPLETED:
        return view.row, view.shards
    return view.row, [shard.row.epoch for shard in view.shards]


def _done(world: World, view: JobView | None, name: str) -> None:
    """An accepted job is finished, once, with the result that its inputs give."""
    log = next(log for log in world.tally.jobs.values() if log.job == name)
    owner = world.host_of(log.node)
    assert owner is not None
    if "jobs" in owner.excused:
        return
    require(view is not None, "no accepted job is lost", name)
    assert view is not None
    require(view.row.status is not Status.RUNNING, "an accepted job ends", name, view)
    if view.row.status is not Status.COMPLETED:
        disk = any("disk" in host.excused for host in world.hosts.values())
        require(disk, "an accepted job is completed", name, view.row.code, view)
        return
    sink = world.host_of(view.sink)
    assert sink is not None
    results = _node(sink).scheduler.sink.view().get(view.job, {})
    taken = {taken for shard in view.row.spec.shards for taken in shard.takes}
    for shard, expected in zip(view.shards, outputs_of(view.row.spec), strict=True):
        if shard.index in taken:  # it may be over without an output: who took that are delivered
            continue
        right = shard.row.output == expected
        require(right, "a result is what its inputs give", name, shard)
        if "results" in sink.excused:
            continue
        kept = results.get(shard.index)
        require(kept is not None, "every result is at its sink", name, shard.index)
        assert kept is not None
        require(kept.output == expected, "one shard has one result", name, shard.index)
        whole = sink.blobs.get(kept.output) is not None
        require(whole, "every result is whole at its sink", name, shard.index)
