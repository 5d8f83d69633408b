"""Custody: who keeps a packet, until when, and what its source hears when there is no way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import protocols
from meshd.forwarding import custody as limits
from meshd.forwarding.echo import Echo
from meshd.forwarding.forwarder import Forwarder
from meshd.forwarding.neighbours import Neighbours
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    Event,
    FrameReceived,
    Learnt,
    LinkLost,
    LinkReady,
    LinkUp,
    MessageReceived,
    Note,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    PlanLoaded,
    RoutesChanged,
    SendFrame,
    Woke,
)
from meshd.topology import plan_from_contacts
from protocols import LinkMessage
from protocols.bounds import PAYLOAD_BYTES_MAX
from protocols.forward import Accepted, Hop, Packet, Refused, Undelivered
from protocols.link import VERSION, Hello
from protocols.priority import Priority
from protocols.record import Presence
from protocols.types import MILLISECOND, SECOND, LinkId, NodeId, PacketId
from tests.trust.openly import open_trust

T0 = 1_000 * SECOND
END = T0 + 600 * SECOND
A, B, C, D = (NodeId(letter) for letter in "ABCD")
NODES = (A, B, C, D)
P = PacketId("p")
LINE = [(0, 1, T0, END), (1, 2, T0, END), (2, 3, T0, END)]
SENDING_NS = 2
"""Two bytes at 10 Gb/s, rounded up."""

DIAMOND = [(0, 1, T0, END), (0, 2, T0, END), (1, 3, T0, END), (2, 3, T0, END)]


def light(a: int, b: int, at: int) -> int:
    """Ways over B are shorter than ways over C."""
    return (10 + 5 * (2 in (a, b))) * MILLISECOND


class Ship:
    """The forwarder of one node with the router and the neighbours it asks."""

    def __init__(self, me: NodeId, contacts: list[tuple[int, int, int, int]]) -> None:
        plan = plan_from_contacts(("satellite",) * 4, contacts, light, (T0, END))
        self.me = me
        self.router = Router(me)
        self.neighbours = Neighbours(me, "", self.router, open_trust(me))
        self.forwarder = Forwarder(me, self.router, self.neighbours)
        self.router.handle(PlanLoaded(plan), T0)
        for site, node in enumerate(NODES):
            self.router.handle(Learnt(node, Presence(node, f"n{site}", ()), T0), T0)

    def link(self, node: NodeId, now: int = T0) -> list[Effect]:
        link = LinkId(NODES.index(node))
        self.neighbours.handle(LinkUp(link, node, True), now)
        hello = protocols.LINK.encode(Hello(VERSION, node, "", "", "", False, now, now))
        effects = self.neighbours.handle(FrameReceived(link, hello), now)
        assert effects == [LinkReady(link, node, True, 0)]
        return self.hear(effects[0], now)  # type: ignore[arg-type]

    def hear(self, event: Event, now: int = T0) -> list[Effect]:
        if isinstance(event, LinkReady | LinkLost):
            self.router.handle(event, now)
        return self.forwarder.handle(event, now)

    def offer(
        self, to: NodeId, lifetime_s: int = 60, now: int = T0, id: str = P, **more: Any
    ) -> list[Effect]:
        lifetime = lifetime_s * SECOND
        return self.hear(PayloadOffered(PacketId(id), to, "app", b"hi", lifetime, **more), now)

    def get(self, sender: NodeId, message: LinkMessage, now: int = T0) -> list[Effect]:
        return self.hear(MessageReceived(LinkId(NODES.index(sender)), sender, message), now)

    def wake(self) -> tuple[int, list[Effect]]:
        at = self.forwarder.next_deadline()
        assert at is not None
        return at, self.hear(Woke(), at)

    @property
    def held(self) -> list[PacketId]:
        return [custody.packet.id for custody in self.forwarder.view()]


def packet(
    source: NodeId = A,
    to: NodeId = C,
    hops: tuple[NodeId, ...] = (A,),
    hop_limit: int = 64,
    dead: tuple[tuple[NodeId, NodeId], ...] = (),
) -> Packet:
    passed = tuple(Hop(node, T0) for node in hops)
    return Packet(P, source, to, "app", b"hi", T0, T0 + 60 * SECOND, hop_limit, passed, dead)


def to(node: NodeId, message: LinkMessage) -> SendFrame:
    priority = message.priority if isinstance(message, Packet) else Priority.CONTROL
    return SendFrame(LinkId(NODES.index(node)), protocols.LINK.encode(message), priority)


def arrived(source: NodeId, *hops: NodeId) -> PayloadArrived:
    return PayloadArrived(P, source, "app", b"hi", T0, hops, (T0,) * len(hops))


def test_packet_goes_to_the_next_hop() -> None:
    ship = Ship(A, LINE)
    ship.link(B)
    assert ship.offer(C) == [to(B, packet())]


def test_custody_is_released_only_by_the_accepting_hop() -> None:
    ship = Ship(A, LINE)
    ship.link(B)
    ship.offer(C)
    assert ship.get(C, Accepted(P, 1)) == [] and ship.held == [P]
    assert ship.get(B, Accepted(P, 2)) == [] and ship.held == [P]
    assert ship.get(B, Accepted(PacketId("q"), 1)) == [] and ship.held == [P]
    assert ship.get(B, Accepted(P, 1)) == [] and ship.held == []


def test_relay_accepts_then_sends_on() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    ship.link(C)
    assert ship.get(A, packet()) == [to(A, Accepted(P, 1)), to(C, packet(hops=(A, B)))]


def test_packet_sent_again_is_accepted_again_and_held_once() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    ship.get(A, packet())
    assert ship.get(A, packet()) == [to(A, Accepted(P, 1))]
    assert ship.held == [P]


def test_packet_is_delivered_once_whatever_way_it_comes() -> None:
    ship = Ship(C, LINE)
    ship.link(B)
    ship.link(D)
    first, again, other = packet(hops=(A, B)), packet(hops=(A, B)), packet(hops=(A, B, D))
    assert ship.get(B, first) == [to(B, Accepted(P, 2)), arrived(A, A, B, C)]
    assert ship.get(B, again) == [to(B, Accepted(P, 2))]
    assert ship.get(D, other) == [to(D, Accepted(P, 3))]


def test_packet_to_oneself_is_delivered_at_once() -> None:
    assert Ship(A, LINE).offer(A) == [arrived(A, A)]


def test_packet_waits_for_next_contact() -> None:
    opens = T0 + 20 * SECOND
    ship = Ship(A, [(0, 1, opens, END)])
    assert ship.offer(B) == []
    assert ship.forwarder.next_deadline() == opens
    assert ship.link(B, opens) == [to(B, packet(to=B))]


def test_packet_waits_for_its_link_when_that_is_late() -> None:
    ship = Ship(A, LINE)
    assert ship.offer(C) == []
    assert ship.wake() == (T0 + SECOND, [])
    assert ship.link(B, T0 + 2 * SECOND) == [to(B, packet())]


def test_lost_link_sends_the_packet_another_way() -> None:
    ship = Ship(A, DIAMOND)
    ship.link(B)
    ship.link(C)
    assert ship.offer(D) == [to(B, packet(to=D))]
    lost = LinkLost(LinkId(1), B, False, "peer-closed")
    assert ship.hear(lost) == [to(C, packet(to=D))]


def test_refused_packet_goes_another_way_and_says_what_it_met() -> None:
    ship = Ship(A, DIAMOND)
    ship.link(B)
    ship.link(C)
    ship.offer(D)
    assert ship.get(C, Refused(P, 1, "store-full")) == []  # C was not asked
    effects = ship.get(B, Refused(P, 1, "store-full"))
    assert effects == [to(C, packet(to=D, dead=((A, B),)))]


def test_silent_neighbour_is_asked_three_times_then_avoided() -> None:
    ship = Ship(A, DIAMOND)
    ship.link(B)
    ship.link(C)
    ship.offer(D)
    patience = 2 * SECOND + 2 * (10 * MILLISECOND + SENDING_NS)
    assert ship.wake() == (T0 + patience, [to(B, packet(to=D))])
    assert ship.wake()[1] == [to(B, packet(to=D))]
    assert ship.wake()[1] == [to(C, packet(to=D, dead=((A, B),)))]


def test_when_every_way_is_dead_all_are_tried_again() -> None:
    ship = Ship(A, LINE)
    ship.link(B)
    ship.offer(C)
    assert ship.get(B, Refused(P, 1, "store-full")) == []
    effects: list[Effect] = []
    while not effects:
        at, effects = ship.wake()
    assert (at, effects) == (T0 + SECOND, [to(B, packet())])


def test_new_routes_move_what_waits() -> None:
    ship = Ship(A, [(0, 1, T0 + 50 * SECOND, END)])
    ship.offer(B)
    plan = plan_from_contacts(("satellite",) * 4, LINE, light, (T0, END))
    ship.router.handle(PlanLoaded(plan), T0)
    ship.link(B)
    assert ship.hear(RoutesChanged()) == []  # sent when the link came
    assert ship.forwarder.view()[0].sent_to == B


def test_expired_packet_is_reported_to_its_source() -> None:
    ship = Ship(B, [(0, 1, T0, END)])  # no contact with C
    ship.link(A)
    assert ship.get(A, packet()) == [to(A, Accepted(P, 1))]
    effects: list[Effect] = []
    while not effects:
        at, effects = ship.wake()
    assert at == T0 + 60 * SECOND
    note, report = effects
    assert note == Note("packet-dropped", {"packet": P, "code": "expired", "port": "app"})
    assert isinstance(report, SendFrame)
    sent = protocols.LINK.decode(report.frame)
    assert isinstance(sent, Packet) and (sent.id, sent.destination, sent.port) == (
        "p!",
        A,
        "report",
    )
    said = Undelivered(P, "app", C, "expired")
    assert protocols.REPORT.decode(sent.payload) == said
    source = Ship(A, LINE)
    heard = PayloadArrived(sent.id, B, "report", sent.payload, at, (B, A), (at, at))
    assert source.hear(heard) == [PayloadLost(P, "app", C, "expired", B)]


def test_packet_past_its_hop_limit_is_given_up() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    ship.link(C)
    accepted, note, report = ship.get(A, packet(hop_limit=0))
    assert accepted == to(A, Accepted(P, 1))
    assert note == Note("packet-dropped", {"packet": P, "code": "hop-limit", "port": "app"})
    assert isinstance(report, SendFrame) and report.link == LinkId(0)
    assert ship.held == ["p!"]


def test_lost_report_is_not_reported() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    lost = Packet(P, A, C, "report", b"", T0, T0 + SECOND, 0, (Hop(A, T0),))
    _, *rest = ship.get(A, lost)
    assert rest == [Note("packet-dropped", {"packet": P, "code": "hop-limit", "port": "report"})]


def test_malformed_report_is_noted() -> None:
    heard = PayloadArrived(P, B, "report", b"\xc1", T0, (B, A), (T0, T0))
    (note,) = Ship(A, LINE).hear(heard)
    assert isinstance(note, Note) and note.code == "bad-message"


def test_full_store_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_MAX", 3)
    ship = Ship(B, [(0, 1, T0, END), (1, 2, T0 + 50 * SECOND, END)])
    ship.link(A)
    assert [ship.offer(C, id=f"q{i}") for i in range(3)] == [[], [], []]
    assert ship.offer(C) == [PayloadLost(P, "app", C, "store-full", B)]
    assert ship.get(A, packet()) == [to(A, Refused(P, 1, "store-full"))]
    assert ship.get(A, packet(to=B)) == [to(A, Accepted(P, 1)), arrived(A, A, B)]


def test_full_store_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_BYTES_MAX", 5)
    ship = Ship(A, LINE)
    assert (ship.offer(C, id="q1"), ship.offer(C, id="q2")) == ([], [])
    assert ship.offer(C) == [PayloadLost(P, "app", C, "store-full", A)]


def test_flight_to_a_neighbour_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FLIGHT_BYTES_MAX", 5)
    ship = Ship(A, LINE)
    ship.link(B)
    sent = [len(ship.offer(C, id=f"q{i}")) for i in range(4)]
    assert sent == [1, 1, 0, 0]  # two of two bytes each are on their way, two wait behind them
    (third,) = ship.get(B, Accepted(PacketId("q0"), 1))
    assert isinstance(third, SendFrame)
    assert ship.held == ["q1", "q2", "q3"]


def test_packet_that_came_back_does_not_go_the_same_way_again() -> None:
    ship = Ship(A, DIAMOND)
    ship.link(B)
    ship.link(C)
    back = packet(source=C, to=D, hops=(C, A, B))
    effects = ship.get(B, back)
    onward = packet(source=C, to=D, hops=(C, A, B, A), dead=((A, B),))
    assert effects == [to(B, Accepted(P, 3)), to(C, onward)]


def test_timers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIMERS_MAX", 8)
    ship = Ship(A, [(0, 1, T0 + 50 * SECOND, END)])
    ship.offer(B)
    for _ in range(100):
        ship.hear(RoutesChanged())
    assert len(ship.forwarder._hold.timers) <= 8
    assert ship.forwarder.next_deadline() == T0 + 50 * SECOND


@pytest.mark.parametrize(
    ("destination", "lifetime_s", "code"),
    [
        (NodeId("Z"), 60, "unknown-node"),
        (D, 60, "no-route"),
        (C, 10, "expires-before-arrival"),
    ],
)
def test_hopeless_packet_is_refused_at_once(
    destination: NodeId, lifetime_s: int, code: str
) -> None:
    ship = Ship(A, [(0, 2, T0 + 30 * SECOND, END)])
    lost = PayloadLost(P, "app", destination, code, A)
    assert ship.offer(destination, lifetime_s) == [lost]


def test_payload_beyond_the_bound_is_refused() -> None:
    offer = PayloadOffered(P, C, "app", bytes(PAYLOAD_BYTES_MAX + 1), SECOND)
    lost = PayloadLost(P, "app", C, "payload-too-large", A)
    assert Ship(A, LINE).hear(offer) == [lost]


def test_ping_comes_back_as_pong_under_a_legal_name() -> None:
    ping = PayloadArrived(PacketId("p" * 40), B, "ping", b"x", T0, (B, A), (T0, T0))
    (pong,) = Echo().handle(ping, T0)
    assert isinstance(pong, PayloadOffered)
    assert (pong.destination, pong.port, pong.payload) == (B, "pong", b"x")
    assert len(pong.packet) == 40 and pong.packet.endswith("~")


def test_packet_whose_last_hop_is_not_its_sender_is_refused() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    for hops in ((), (C,)):
        refused = [to(A, Refused(P, len(hops), "bad-hops"))]
        assert ship.get(A, packet(hops=hops)) == refused
    assert ship.held == []


def test_nobody_speaks_to_us_in_our_own_name() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    forged = packet(source=B, to=B, hops=(A,))
    assert ship.get(A, forged) == [to(A, Refused(P, 1, "forged-source"))]


def test_packet_of_an_id_in_custody_does_not_replace_it() -> None:
    ship = Ship(B, LINE)
    ship.link(A)
    ship.get(A, packet(hops=(A,)))
    (held,) = ship.forwarder.view()
    ship.forwarder._seen.clear()
    other = msgspec.structs.replace(packet(hops=(A,)), payload=b"other")
    assert ship.get(A, other) == [to(A, Refused(P, 1, "duplicate-id"))]
    assert ship.forwarder.view() == (held,)
