"""Durable custody: what is written before a relay says Accepted, and what is left after."""

from __future__ import annotations

import msgspec
from test_forwarder import LINE, T0, A, B, C, P, Ship, packet, to

import protocols
from meshd.seam import Effect, Persist, Started
from protocols.forward import Accepted, Hop, Packet
from protocols.types import SECOND

ROW = "custody/p/2"


def durable() -> Packet:
    return msgspec.structs.replace(packet(), durable=True)


def stamped(sent: Packet, at: int = T0) -> Packet:
    return msgspec.structs.replace(sent, hops=(*sent.hops, Hop(B, at)))


def relay() -> Ship:
    ship = Ship(B, LINE)
    ship.link(A)
    ship.link(C)
    return ship


def test_a_durable_packet_goes_on_at_once_and_is_accepted_behind_its_row() -> None:
    here = stamped(durable())
    row = Persist(ROW, protocols.LINK.encode(here))
    assert relay().get(A, durable()) == [to(C, here), row, to(A, Accepted(P, 1))]


def test_a_copy_of_it_is_accepted_behind_the_row_of_the_first() -> None:
    ship = relay()
    ship.get(A, durable())
    row = Persist(ROW, protocols.LINK.encode(stamped(durable())))
    assert ship.get(A, durable()) == [row, to(A, Accepted(P, 1))]


def test_its_row_goes_when_the_next_hop_has_accepted_it() -> None:
    ship = relay()
    ship.get(A, durable())
    assert ship.get(C, Accepted(P, 2)) == [Persist(ROW, None)]
    assert ship.get(A, durable()) == [Persist(ROW, None), to(A, Accepted(P, 1))]
    assert ship.held == []


def test_its_row_goes_when_it_expires() -> None:
    ship = Ship(B, [(0, 1, T0, T0 + 600 * SECOND)])
    ship.link(A)
    assert ship.get(A, durable())[-2:] == [
        Persist(ROW, protocols.LINK.encode(stamped(durable()))), to(A, Accepted(P, 1)),
    ]  # fmt: skip
    effects: list[Effect] = []
    while not effects:
        at, effects = ship.wake()
    assert at == T0 + 60 * SECOND and effects[-1] == Persist(ROW, None)


def test_a_restarted_relay_goes_on_with_it_and_knows_its_copies() -> None:
    row = (ROW, protocols.LINK.encode(stamped(durable())))
    ship = Ship(B, LINE)
    assert ship.hear(Started((("sequence", b"7"), row))) == []
    assert ship.held == [P]
    assert ship.link(C) == [to(C, stamped(durable()))]
    ship.link(A)
    assert ship.get(A, durable()) == [Persist(*row), to(A, Accepted(P, 1))]
