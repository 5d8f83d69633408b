"""What the simulator found in the nodes: each was a bug once, and stays mended."""

from __future__ import annotations

from meshes import START, cabled, planned, submit

from meshd.scheduler.states import Status
from protocols.types import MILLISECOND, SECOND
from sim.world import Physics


def test_a_node_sleeps_while_its_dial_is_under_way():
    """Mended: a retry that fell due during a dial woke the node without end."""
    world = cabled("ab")
    world.run_for(SECOND)
    world.kill("b")
    world.run_for(30 * SECOND)
    assert world.events < 200


def test_a_burst_larger_than_an_outbox_gets_through():
    """7.6 MB held for one neighbour overflow its 4 MiB outbox, which ends the link before any
    Accepted is back; the link comes up, all is sent again, and so for ever."""
    world = cabled("ab")
    world.run_for(SECOND)
    for _ in range(40):
        world.send("a", "b", bytes(190_000))
    world.run_for(30 * SECOND)
    assert world.packets() == {"sent": 40, "delivered": 40, "lost": 0, "held": 0}


def test_a_packet_is_not_bounced_while_news_of_a_dead_relay_spreads():
    """b knows that k is gone and sends the packet back to a, which does not know yet and sends it
    to b again: 64 hops are used up before the next flush of gossip, 100 ms later."""
    world = cabled("sa", "ab", "kb", "kd", "sx", "xy", "yz", "zw", "wd", delay_ns=MILLISECOND)
    world.run_for(5 * SECOND)
    world.kill("k")
    world.run_for(10 * MILLISECOND)
    packet = world.send("s", "d")
    world.run_for(5 * SECOND)
    sent = world.tally.sent[packet]
    assert sent.lost == ""
    assert max(sent.hops.count(node) for node in sent.hops) <= 2


def test_a_result_is_announced_in_the_first_contact_with_its_sink():
    """Ready lives 30 s, the way to the sink opens in 85: it is refused at once, and the book looks
    again only after 2 x 85 + 20 s, when the contact is over."""
    world = planned((0, 1, 0, 1_000), (1, 2, 0, 10), (1, 2, 100, 130))
    world.run_for(12 * SECOND)
    job = submit(world, "n0", "n2", 2, 2.0)
    world.run_until(START + 131 * SECOND)
    view = world.job(job)
    assert view is not None
    assert view.row.status is Status.COMPLETED


def test_a_holder_whose_lease_went_to_another_is_told_so():
    """It keeps the shard and its blobs, and says Finished every 2 s, for 600 s."""
    world = cabled("ab", "bc")
    world.run_for(12 * SECOND)
    job = submit(world, "a", "a", 6, 8.0)
    world.run_for(2 * SECOND)
    assert world.node("c").scheduler.holder.view()
    world.partition(["c"])
    world.run_for(45 * SECOND)
    world.heal()
    world.run_for(60 * SECOND)
    view = world.job(job)
    assert view is not None
    assert view.row.status is Status.COMPLETED
    assert world.node("c").scheduler.holder.view() == ()


def test_a_job_larger_than_all_queues_waits_for_room():
    """Once it was offered, declined and offered again within one instant, until the stack was
    full; between nodes it went round 66 times a second. Two nodes with a slot each have room for
    130 shards."""
    world = cabled("ab")
    world.run_for(12 * SECOND)
    job = submit(world, "a", "a", 300, 0.1)
    before = world.events
    world.run_for(60 * SECOND)
    view = world.job(job)
    assert view is not None
    assert view.row.status is Status.COMPLETED
    assert max(shard.row.epoch for shard in view.shards) <= 3
    assert world.events - before < 20_000


def test_a_job_larger_than_all_queues_survives_a_restart():
    world = cabled("ab")
    world.run_for(12 * SECOND)
    job = submit(world, "a", "a", 200, 0.1)
    world.run_for(SECOND)
    world.kill("a")
    world.run_for(SECOND)
    world.restart("a")
    world.connect("a", "b")
    world.run_for(90 * SECOND)
    view = world.job(job)
    assert view is not None
    assert view.row.status is Status.COMPLETED


def test_blobs_left_by_a_life_before_may_go_after_a_while():
    world = cabled("ab")
    world.run_for(SECOND)
    left = world.host("b").blobs.put(b"of a job that is long over")
    world.kill("b")
    world.run_for(SECOND)
    world.restart("b")
    world.run_for(599 * SECOND)
    assert left in world.host("b").blobs.cids()
    world.run_for(5 * SECOND)
    assert left not in world.node("b").blobs._wants


def test_what_a_node_said_of_its_links_in_a_life_before_is_said_anew():
    """It had told all that a link was down; after its restart the link was up, so it had nothing to
    tell, and everybody else kept away from that link for the 24 hours that its word lived."""
    world = planned((0, 1, 0, 1_000), (1, 2, 0, 1_000), (0, 2, 0, 1_000), seed=3)
    world.run_for(3 * SECOND)
    world.medium.barriers.cut(1, 2)
    world.links.notice_silence()
    world.run_for(20 * SECOND)
    world.kill("n1")
    world.medium.barriers.clear()
    world.restart("n1")
    world.run_for(30 * SECOND)
    ends = world.host("n1").id, world.host("n2").id
    way = world.node("n0").router.predict(*ends, world.now)
    assert way is not None
    assert way.path == ends


def test_no_number_is_used_before_it_is_reserved_on_disk():
    """While the first commit of a life was under way, links came up and records were sent; killed
    in that instant, the next life said other things under the same numbers."""
    world = cabled("ab", physics=Physics(commit_ns=300 * MILLISECOND))
    world.run_for(250 * MILLISECOND)
    assert world.host("a").rows == {}
    assert world.node("a").neighbours.view() == ()
    world.run_for(SECOND)
    assert "sequence" in world.host("a").rows
    assert world.node("a").neighbours.view()[0].ready
