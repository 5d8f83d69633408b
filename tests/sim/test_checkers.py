"""Each law is broken once, by hand: a checker that never fires checks nothing."""

from __future__ import annotations

import pytest
from meshes import LIGHT, START, cabled

from meshd.seam import FrameReceived, LinkDown, LinkUp, PayloadLost, ReportJob, Started, Woke
from protocols.types import SECOND, JobId, LinkId, NodeId, PacketId
from sim.chance import make_verifier
from sim.checkers import Checkers, Violation
from sim.host import IDLE_WAKES_MAX, Host
from sim.medium import Path, Ride
from sim.stores import MemoryBlobs
from sim.tally import Sent

LINK = LinkId(1)


@pytest.fixture
def host() -> Host:
    return cabled("ab").host("a")


@pytest.fixture
def checkers(host: Host) -> Checkers:
    checkers = Checkers(make_verifier())
    checkers.event(host, Started(), START)
    checkers.event(host, LinkUp(LINK, NodeId("b"), True), START)
    return checkers


def test_lawful_events_pass(checkers: Checkers, host: Host):
    checkers.event(host, FrameReceived(LINK, b"x"), START + 1)
    checkers.event(host, LinkDown(LINK, "peer-closed"), START + 2)
    checkers.ride(Path(lambda at: LIGHT, 1e9), Ride(START, START + LIGHT))


def test_time_never_goes_back(checkers: Checkers, host: Host):
    with pytest.raises(Violation, match="time never goes back"):
        checkers.event(host, Woke(), START - 1)


def test_no_frame_comes_over_a_closed_link(checkers: Checkers, host: Host):
    checkers.event(host, LinkDown(LINK, "peer-closed"), START)
    with pytest.raises(Violation, match="closed link"):
        checkers.event(host, FrameReceived(LINK, b"x"), START)


def test_a_link_id_is_used_once(checkers: Checkers, host: Host):
    checkers.event(host, LinkDown(LINK, "peer-closed"), START)
    with pytest.raises(Violation, match="used once"):
        checkers.event(host, LinkUp(LINK, NodeId("b"), True), START)


def test_the_dead_hear_nothing(checkers: Checkers, host: Host):
    checkers.killed(host)
    with pytest.raises(Violation, match="dead"):
        checkers.event(host, Woke(), START)


def test_nothing_is_faster_than_light(checkers: Checkers):
    with pytest.raises(Violation, match="faster than light"):
        checkers.ride(Path(lambda at: LIGHT, 1e9), Ride(START, START + LIGHT - 1))


def test_nothing_departs_after_the_contact(checkers: Checkers):
    with pytest.raises(Violation, match="departs after"):
        checkers.ride(Path(lambda at: LIGHT, 1e9, START), Ride(START, START + LIGHT))


def test_every_refusal_has_a_code(checkers: Checkers, host: Host):
    with pytest.raises(Violation, match="code"):
        checkers.event(host, LinkDown(LINK, ""), START)
    with pytest.raises(Violation, match="code"):
        checkers.effect(host, PayloadLost(PacketId("p"), "app", NodeId("b"), "", NodeId("a")))
    with pytest.raises(Violation, match="code"):
        checkers.effect(host, ReportJob(JobId("j"), "failed"))


def test_a_shard_is_delivered_once_and_a_job_ends_once(checkers: Checkers, host: Host):
    delivered, ended = ReportJob(JobId("j"), "delivered", 3), ReportJob(JobId("j"), "completed")
    for report, law in ((delivered, "delivered once"), (ended, "ends once")):
        checkers.effect(host, report)
        with pytest.raises(Violation, match=law):
            checkers.effect(host, report)


def test_a_packet_does_not_vanish():
    world = cabled("ab")
    world.run_for(SECOND)
    packet = PacketId("ghost")
    world.tally.sent[packet] = Sent(packet, world.host("a").id, world.host("b").id, "app", START)
    with pytest.raises(Violation, match="vanish"):
        world.packets()
    world.tally.sent[packet].died = True
    assert world.packets()["lost"] == 1
    assert world.tally.lost() == {"node-killed": 1}


def test_a_node_that_wakes_for_ever_is_caught(host: Host):
    for _ in range(IDLE_WAKES_MAX):
        host.count_wake(START)
    with pytest.raises(AssertionError, match="wakes for ever"):
        host.count_wake(START)
    host.count_wake(START + 1)


def test_blobs_in_memory_verify_what_they_store():
    blobs = MemoryBlobs()
    cid = blobs.put(b"abcdef")
    blobs.release(cid)
    assert blobs.read(cid, 0, 3) is None
    assert blobs.write(cid, 0, b"abc", 6) == "partial"
    assert blobs.write(cid, 0, b"abc", 6) == "partial"
    assert blobs.write(cid, 0, b"abc", 7) == "bad-piece"
    assert blobs.write(cid, 3, b"def", 6) == "stored"
    assert blobs.get(cid) == b"abcdef"
    blobs.release(cid)
    assert blobs.write(cid, 0, b"wrong!", 6) == "hash-mismatch"
    assert blobs.cids() == ()
