"""A world whose nodes share a roster: all is known from the start, and only surprises are sent."""

from __future__ import annotations

from meshes import IDLE, WORKER, iridium, iridium_plan, submit

import protocols
from meshd.scheduler.states import Status
from meshd.seam import SendFrame
from protocols.gossip import Digest, Records, Span
from protocols.types import MICROSECOND, SECOND
from sim.world import Physics, World

NOTHING = (Span(0, 0, 0, 0),)
ALL = Physics(roster="all")


def spoken(world: World) -> list[Records | Digest]:
    """Fill a list with all gossip sent from now on."""
    found: list[Records | Digest] = []
    trace = world.trace.effects

    def effects(at: int, node: int, said: list[object]) -> None:
        trace(at, node, said)  # type: ignore[arg-type]
        for effect in said:
            if isinstance(effect, SendFrame):
                message = protocols.LINK.decode(effect.frame)
                if isinstance(message, Records | Digest):
                    found.append(message)

    world.trace.effects = effects  # type: ignore[method-assign, assignment]
    return found


def test_nothing_that_the_roster_says_is_sent():
    world = iridium(physics=ALL)
    said = spoken(world)
    world.run_for(35 * SECOND)
    assert len(said) > 100
    assert all(isinstance(m, Digest) and m.spans == NOTHING and m.roster for m in said)
    for host in world.hosts.values():
        assert len(host.node.gossip.view()) == 2 * len(world.hosts)
        assert len(host.node.gossip._table) == 0


def test_packets_arrive_when_predicted_and_jobs_complete():
    world = iridium(physics=ALL)
    world.run_for(5 * SECOND)
    packet = world.send("London", "Sydney")
    job = submit(world, "London", "Tokyo", 12, 3.0)
    world.run_for(40 * SECOND)
    sent = world.tally.sent[packet]
    assert 0 <= sent.arrived_at - sent.predicted <= 10 * MICROSECOND
    assert world.job(job).row.status is Status.COMPLETED
    holders = {shard.row.holder for shard in world.job(job).shards}
    assert len(holders) > 6


def test_one_that_never_launched_is_found_out_by_its_neighbours_and_gets_no_work():
    world = World(1, iridium_plan(), physics=ALL)
    world.add_sites(WORKER, IDLE)
    dead = "iridium-3-4"
    world.start(*(name for name in world.hosts if name != dead))
    world.run_for(30 * SECOND)
    missing = world.host(dead).id
    london = world.node("London")
    assert missing in london.router.members
    assert london.router.predict(london.config.node, missing, world.now) is None
    sink = world.host("Tokyo").id
    offered = london.scheduler.loads.candidates("onnx", sink, world.now)
    assert len(offered) == 65 and missing not in {found.node for found in offered}


def test_a_node_killed_and_restarted_is_told_what_it_missed():
    world = iridium(physics=ALL)
    world.run_for(10 * SECOND)
    world.kill("iridium-2-2")
    world.run_for(20 * SECOND)
    world.restart("iridium-2-2")
    world.run_for(30 * SECOND)
    views = {
        tuple((said.author, said.sequence) for said in host.node.gossip.view())
        for host in world.hosts.values()
    }
    assert len(views) == 1
