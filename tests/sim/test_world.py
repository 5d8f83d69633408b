from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from meshes import CITIES, LIGHT, START, cabled, iridium, planned, submit

from meshd.scheduler.states import Phase, Status
from meshd.seam import LinkUp
from protocols.types import MICROSECOND, MILLISECOND, SECOND
from sim.chance import stream
from sim.jobs import busiest
from sim.queue import Queue
from sim.world import Physics, World

HERE = Path(__file__).parent
TRANSMISSION_NS = 600
"""A hop's frame of up to 700 bytes at 10 Gb/s: the prediction leaves it out."""


def busy(seed: int, queue: Queue | None = None) -> World:
    """A bit of everything: packets, a ping, a job, a death, a return, loss."""
    physics = Physics(loss=0.02)
    world = cabled("ab", "bc", "cd", "da", "eb", seed=seed, physics=physics, queue=queue)
    world.run_for(15 * SECOND)
    for a, b in ("ac", "db", "ea", "cb"):
        world.send(a, b, b"payload")
    world.ping("e", "d")
    submit(world, "a", "c", 6, 5.0)
    world.at(world.now + 2 * SECOND, lambda: world.kill("e"))
    world.at(world.now + 8 * SECOND, lambda: world.restart("e"))
    world.run_for(30 * SECOND)
    return world


# --- one seed, one trace ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_trace():
    one, other = busy(7), busy(7)
    assert (one.trace.hash, one.events) == (other.trace.hash, other.events)
    assert one.trace.count > 1_000


def test_another_seed_gives_another_trace():
    assert len({busy(seed).trace.hash for seed in range(3)}) == 3


def test_the_trace_does_not_depend_on_the_hash_seed():
    program = (
        "from test_world import busy; from meshes import iridium, SECOND\n"
        "world = iridium(3); world.run_for(2 * SECOND)\n"
        "print(busy(7).trace.hash, world.trace.hash)"
    )
    said = set()
    for hash_seed in ("1", "4242"):
        env = dict(os.environ, PYTHONHASHSEED=hash_seed, PYTHONPATH=f"{HERE}:{HERE.parents[1]}")
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1
    assert busy(7).trace.hash in said.pop()


def test_the_last_lines_of_a_trace_are_kept_for_people():
    world = cabled("ab", physics=Physics(lines_max=5))
    world.run_for(SECOND)
    assert len(world.trace.lines) == 5
    assert world.trace.hash == _hash_without_lines()


def _hash_without_lines() -> str:
    world = cabled("ab")
    world.run_for(SECOND)
    return world.trace.hash


# --- light and links --------------------------------------------------------------------------


def test_a_link_is_up_after_sixteen_light_times_and_greeted_after_two_more():
    """The handshakes of libp2p; the dialled end has it one earlier (tests/parity measures it)."""
    world = cabled("ab", physics=Physics(lines_max=100))
    world.run_for(18 * LIGHT + MICROSECOND)
    ups = [line for line in world.trace.lines if LinkUp.__name__ + "(" in line]
    expected = [START + 15 * LIGHT, START + 16 * LIGHT]
    assert [line.split()[0] for line in ups] == [f"{at / SECOND:.9f}" for at in expected]
    (link,) = world.node("a").neighbours.view()
    assert link.ready
    assert LIGHT <= link.delay_ns <= LIGHT + MICROSECOND


def test_nodes_joined_only_by_standing_links_route_over_three_hops():
    world = cabled("ab", "bc", "cd")
    world.run_for(2 * SECOND)
    packet = world.send("a", "d", b"x" * 100)
    ping = world.ping("d", "a")
    world.run_for(SECOND)
    sent, pinged = world.tally.sent[packet], world.tally.sent[ping]
    assert [world.name_of(hop) for hop in sent.hops] == ["a", "b", "c", "d"]
    assert 3 * LIGHT <= (sent.latency_ns or 0) <= 3 * LIGHT + 3 * MICROSECOND
    assert 6 * LIGHT <= (pinged.latency_ns or 0) <= 6 * LIGHT + 6 * MICROSECOND


def test_latency_is_what_the_router_predicted_and_the_transmission():
    world = iridium()
    world.run_for(5 * SECOND)
    rng = stream(1, "test", "pairs")
    for _ in range(40):
        world.send(*rng.sample(CITIES, 2), b"x" * 100)
        world.run_for(50 * MILLISECOND)
    world.run_for(SECOND)
    arrived = world.tally.delivered()
    assert len(arrived) == 40
    for sent in arrived:
        assert sent.predicted is not None
        assert sent.arrived_at is not None
        excess = sent.arrived_at - sent.predicted
        assert 0 <= excess <= MICROSECOND + len(sent.hops) * TRANSMISSION_NS, sent


def test_a_packet_waits_for_the_next_contact():
    # n2 has been met once: who has never had a link is unknown to all but its neighbours.
    world = planned((0, 1, 0, 100), (1, 2, 0, 10), (1, 2, 30, 60))
    world.run_for(11 * SECOND)
    packet = world.send("n0", "n2", lifetime_ns=90 * SECOND)
    world.run_for(15 * SECOND)
    sent = world.tally.sent[packet]
    assert sent.predicted == START + 30 * SECOND + LIGHT
    assert sent.arrived_at is None
    assert len(world.node("n1").forwarder.view()) == 1
    assert world.packets()["held"] == 1
    world.run_until(START + 31 * SECOND)
    # At its begin the contact is dialled and greeted, then the packet's own light time follows.
    assert sent.arrived_at is not None
    assert 0 <= sent.arrived_at - (START + 30 * SECOND + 18 * LIGHT) <= 2 * MICROSECOND


def test_nothing_departs_after_a_contact_has_ended():
    world = planned((0, 1, 0, 10))
    world.run_for(9 * SECOND)
    early = world.send("n0", "n1")
    world.run_until(START + 10 * SECOND)
    late = world.send("n0", "n1")
    world.run_for(100 * SECOND)
    assert world.tally.sent[early].arrived_at is not None
    assert world.tally.sent[late].lost == "no-route"
    assert world.host("n0").links == {}


def test_an_outbox_that_overflows_ends_the_link(monkeypatch):
    # Nodes keep well below 4 MiB by themselves (test_findings): a smaller outbox shows the end.
    monkeypatch.setattr("sim.medium.OUTBOX_BYTES_MAX", 300_000)
    world = cabled("ab")
    world.run_for(SECOND)
    for _ in range(40):
        world.send("a", "b", bytes(190_000))
    world.run_for(20 * MILLISECOND)
    assert world.host("a").links == {}
    assert world.packets()["held"] > 0


# --- gossip -----------------------------------------------------------------------------------


def test_gossip_levels_all_tables_within_two_seconds():
    world = iridium()
    world.run_for(2 * SECOND)
    sites = {host.id for host in world.hosts.values()}
    for host in world.hosts.values():
        assert host.node is not None
        held = {(said.author, type(said.body).__name__) for said in host.node.gossip.view()}
        assert held == {(node, "Presence") for node in sites}
        assert host.node.scheduler.loads.view(world.now).keys() == sites  # as presences foretell


# --- loss and partition -----------------------------------------------------------------------


def test_over_lossy_links_every_packet_arrives_or_is_reported():
    world = cabled("ab", "bc", "cd", "ac", physics=Physics(loss=0.05))
    world.run_for(60 * SECOND)
    for _ in range(50):
        world.send("a", "d")
        world.send("d", "b")
        world.run_for(SECOND)
    world.run_for(90 * SECOND)
    counts = world.packets()
    assert counts["held"] == 0
    assert counts["delivered"] + counts["lost"] == counts["sent"] == 100
    assert counts["delivered"] >= 90
    assert "" not in world.tally.lost()


def test_a_partition_is_noticed_and_heals():
    world = cabled("ba", "cb", "dc")
    world.run_for(2 * SECOND)
    world.partition(["c", "d"])
    world.run_for(SECOND)
    packet = world.send("a", "d", lifetime_ns=100 * SECOND)
    world.run_for(10 * SECOND)
    assert world.tally.sent[packet].arrived_at is None
    world.heal()
    world.run_for(40 * SECOND)
    counts = world.packets()
    assert counts["held"] == 0
    again = world.send("a", "d")
    world.run_for(SECOND)
    assert world.tally.sent[again].arrived_at is not None


# --- deaths and returns -----------------------------------------------------------------------


def test_a_packet_is_re_routed_around_a_relay_that_dies():
    # b wants its links itself: the others do not dial it when it is gone.
    world = cabled("ba", "bd", "ac", "ce", "ed")
    world.run_for(3 * SECOND)
    packet = world.send("a", "d")
    world.at(world.now + LIGHT // 2, lambda: world.kill("b"))
    world.run_for(5 * SECOND)
    sent = world.tally.sent[packet]
    assert [world.name_of(hop) for hop in sent.hops] == ["a", "c", "e", "d"]


def test_a_dead_node_hears_nothing_and_a_fresh_one_comes_back():
    world = cabled("ba", "bc")
    world.run_for(3 * SECOND)
    old = world.node("b")
    world.kill("b")
    lost = world.send("a", "c", lifetime_ns=2 * SECOND)
    down = world.send("b", "c")
    world.run_for(5 * SECOND)
    assert world.host("b").node is None
    assert world.tally.sent[down].lost == "source-down"
    assert world.tally.sent[lost].arrived_at is None
    world.restart("b")
    world.run_for(5 * SECOND)
    assert world.node("b") is not old
    back = world.send("a", "c")
    world.run_for(SECOND)
    assert world.tally.sent[back].arrived_at is not None


def test_a_job_completes_though_a_holder_dies():
    world = cabled("ab", "cb", "db", "eb", "fb")
    world.run_for(12 * SECOND)
    job = submit(world, "a", "b", 12, 5.0)
    world.run_for(3 * SECOND)
    victim = next(
        world.name_of(shard.row.holder)
        for shard in world.job(job).shards
        if shard.row.holder and world.name_of(shard.row.holder) in "cdef"
    )
    world.kill(victim)
    world.run_for(60 * SECOND)
    view = world.job(job)
    assert view.row.status is Status.COMPLETED
    assert view.replaced >= 1
    assert view.count(Phase.DELIVERED) == 12
    assert world.tally.jobs[job].reports["delivered"] == 12


def test_a_job_outlives_a_restart_of_the_daemon_that_accepted_it():
    world = cabled("ab", "cb", "db")
    world.run_for(12 * SECOND)
    job = submit(world, "a", "b", 8, 5.0)
    world.run_for(7 * SECOND)
    assert 0 < world.job(job).count(Phase.DELIVERED) < 8
    world.kill("a")
    assert world.job(job) is None
    world.run_for(5 * SECOND)
    world.restart("a")
    world.run_for(90 * SECOND)
    assert world.job(job).row.status is Status.COMPLETED
    assert world.tally.jobs[job].reports["restored"] == 1
    results = world.node("b").scheduler.sink.view()[job]
    assert sorted(results) == list(range(8))
    assert all(world.host("b").blobs.get(row.output) for row in results.values())


def test_a_slow_commit_loses_what_was_not_yet_written():
    world = cabled("ab", physics=Physics(commit_ns=50 * MILLISECOND))
    world.run_for(5 * SECOND)
    job = submit(world, "a", "b", 2, 1.0)
    world.run_for(20 * MILLISECOND)
    world.kill("a")
    world.restart("a")
    world.run_for(5 * SECOND)
    # Nothing was acknowledged: the report waits behind the row.
    assert world.tally.jobs[job].reports["accepted"] == 0
    assert world.job(job) is None


def test_the_busiest_node_is_found_and_ties_go_by_name():
    world = cabled("ab", "cb")
    world.run_for(12 * SECOND)
    assert busiest([], world.name_of) == ""
    job = submit(world, "a", "b", 3, 5.0)
    world.run_for(2 * SECOND)
    view = world.job(job)
    assert view is not None
    assert busiest([view], world.name_of) == "a"


def test_a_deadline_that_was_kept_is_the_one_that_would_be_worked_out():
    world = cabled("ab", "bc", "cd", "da", physics=Physics(loss=0.05))
    submit(world, "a", "c", 4, 2.0)
    for _ in range(2_000):
        world.run_for(10 * MILLISECOND)
        for host in world.hosts.values():
            node = host.node
            neighbours = node.neighbours
            times = [m.next_deadline() for m in node._machines if m is not neighbours]
            times.append(neighbours._earliest())
            assert node.next_deadline() == min(at for at in times if at is not None)


def test_real_keys_decide_as_modelled_ones_do():
    """Signatures differ, and so do hashes; nobody decides otherwise."""
    told = []
    for crypto in ("modelled", "ed25519"):
        world = cabled("ab", "bc", physics=Physics(crypto=crypto))
        world.run_for(5 * SECOND)
        packet = world.send("a", "c")
        world.run_for(5 * SECOND)
        sent = world.tally.sent[packet]
        told.append((world.events, sent.hops, sent.arrived_at))
        assert world.tally.notes["bad-signature"] == 0
    assert told[0][:2] == told[1][:2]
    assert abs(told[0][2] - told[1][2]) < MICROSECOND
