"""Priorities: bulk makes way, and waits where there is no room for it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from test_forwarder import (
    DIAMOND,
    LINE,
    NODES,
    T0,
    A,
    B,
    C,
    D,
    P,
    Ship,
    packet,
    to,
)

from meshd.forwarding import custody as limits
from meshd.forwarding.forwarder import BUSY_MAX
from meshd.seam import Effect, PayloadTaken, SendFrame
from protocols.forward import Accepted, Refused
from protocols.priority import Priority
from protocols.types import LinkId, PacketId


def test_bulk_crowds_out_nothing_but_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FLIGHT_BYTES_MAX", 5)
    ship = Ship(A, LINE)
    ship.link(B)
    bulk = [len(ship.offer(C, id=f"q{i}", priority=Priority.BULK)) for i in range(4)]
    assert bulk == [1, 1, 0, 0]
    (sent,) = ship.offer(C)
    assert sent == to(B, packet())
    assert ship.get(B, Accepted(P, 1)) == []  # makes no room for bulk
    taken, next_bulk = ship.get(B, Accepted(PacketId("q0"), 1))
    assert taken == PayloadTaken(PacketId("q0"))  # whoever offers bulk may offer more
    assert isinstance(next_bulk, SendFrame) and next_bulk.priority is Priority.BULK


def test_bulk_fills_half_of_the_store_and_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_BYTES_MAX", 4)
    ship = Ship(B, LINE)
    ship.link(A)
    bulk = replace(packet(), priority=Priority.BULK)
    assert ship.get(A, replace(bulk, id=PacketId("q"))) == [to(A, Accepted(PacketId("q"), 1))]
    assert ship.get(A, bulk) == [to(A, Refused(P, 1, "busy"))]
    assert ship.get(A, packet()) == [to(A, Accepted(P, 1))]
    ship.link(C)
    ship.get(C, Accepted(PacketId("q"), 2))
    other = replace(bulk, id=PacketId("r"))
    assert ship.get(A, other)[0] == to(A, Accepted(PacketId("r"), 1))


def test_bulk_waits_for_a_busy_neighbour_and_then_looks_for_another_way() -> None:
    ship = Ship(A, DIAMOND)
    ship.link(B)
    ship.link(C)
    (first,) = ship.offer(D, priority=Priority.BULK)
    now = T0
    for _ in range(BUSY_MAX):
        assert ship.get(B, Refused(P, 1, "busy"), now) == []
        sent: list[Effect] = []
        while not sent:
            now, sent = ship.wake()
        assert sent == [first]
    (other,) = ship.get(B, Refused(P, 1, "busy"), now)
    assert isinstance(other, SendFrame) and other.link == LinkId(NODES.index(C))
    assert ship.forwarder.view()[0].packet.dead == ((A, B),)
