"""Durable packets: what a relay accepted outlives the relay's crash."""

from __future__ import annotations

import pytest
from meshes import cabled, planned

from protocols.types import MILLISECOND, SECOND, Duration
from sim.experiment import open_document, run_experiment
from sim.parity import compare
from sim.world import Physics, World


def carried_over_a_crash(durable: bool) -> World:
    """A packet that waits at n1 for a contact, while n1 is killed and started again."""
    world = planned((0, 1, 0, 1_000), (1, 2, 0, 8), (1, 2, 60, 120))
    world.run_for(10 * SECOND)
    world.send("n0", "n2", b"hello", lifetime_ns=300 * SECOND, durable=durable)
    world.run_for(5 * SECOND)
    assert [custody.packet.payload for custody in world.node("n1").forwarder.view()] == [b"hello"]
    world.kill("n1")
    assert world.packets()["held"] == durable
    world.run_for(5 * SECOND)
    world.restart("n1")
    world.run_for(100 * SECOND)
    return world


@pytest.mark.parametrize("durable", [True, False])
def test_a_packet_outlives_the_crash_of_its_only_custodian_if_it_is_durable(durable: bool) -> None:
    world = carried_over_a_crash(durable)
    ends = {"delivered": int(durable), "lost": int(not durable)}
    assert world.packets() == {"sent": 1, **ends, "held": 0}
    assert not any(key.startswith("custody/") for host in world.hosts.values() for key in host.rows)


def latency_over_a_relay(commit_ns: Duration) -> Duration | None:
    world = cabled("ab", "bc", physics=Physics(commit_ns=commit_ns))
    world.run_for(10 * SECOND)
    world.send("a", "c", b"hello", durable=True)
    world.run_for(10 * SECOND)
    (sent,) = world.tally.delivered()
    return sent.latency_ns


def test_only_the_acknowledgement_of_a_durable_packet_waits_for_the_disk() -> None:
    assert latency_over_a_relay(80 * MILLISECOND) == latency_over_a_relay(0)


def test_letters_fare_alike_on_a_heap_and_among_whole_daemons() -> None:
    """A relay is killed under a stream of them, and comes back."""
    document = open_document("letters")
    heap, full = (run_experiment(document, driver, 1) for driver in ("heap", "full"))
    assert compare(heap, full).differences == []
    assert [letter.state for letter in full.letters] == ["ok"] * 13
    waits = [a.settled_at - b.settled_at for a, b in zip(full.letters, heap.letters, strict=True)]
    assert max(map(abs, waits)) < MILLISECOND
