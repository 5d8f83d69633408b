"""Links follow the plan, and nobody talks who has not said who it is."""

from __future__ import annotations

import pytest

import protocols
from meshd.forwarding import neighbours as limits
from meshd.forwarding.neighbours import Neighbours
from meshd.router.routes import Router
from meshd.seam import (
    CloseLink,
    Effect,
    FrameReceived,
    Learnt,
    LinkDown,
    LinkFailed,
    LinkLost,
    LinkReady,
    LinkUp,
    MessageReceived,
    Note,
    OpenLink,
    Persist,
    PlanLoaded,
    SendFrame,
    StandingWanted,
    Started,
    Woke,
)
from meshd.topology import plan_from_contacts
from protocols.forward import Accepted
from protocols.link import VERSION, Hello
from protocols.record import Presence
from protocols.types import MILLISECOND, SECOND, LinkId, NodeId, PacketId
from tests.trust.openly import open_trust

T0 = 1_000 * SECOND
BEGIN, FINISH = T0 + 10 * SECOND, T0 + 100 * SECOND
A, B = NodeId("A"), NodeId("B")
L1, L2 = LinkId(1), LinkId(2)


class Desk:
    """One node's neighbours, under a plan with one contact between A and B."""

    def __init__(self, me: NodeId, begin: int = BEGIN) -> None:
        self.me, self.other = me, B if me == A else A
        self.router = Router(me)
        self.neighbours = Neighbours(me, me, self.router, open_trust(me))
        plan = plan_from_contacts(
            ("satellite", "satellite"), [(0, 1, begin, FINISH)], 5 * MILLISECOND, (T0, 2 * FINISH)
        )
        for site, node in enumerate((A, B)):
            presence = Presence(node, f"n{site}", (f"/at/{node}",))
            self.router.handle(Learnt(node, presence, T0), T0)
        self.router.handle(PlanLoaded(plan), T0)
        self.first = self.neighbours.handle(Started(), T0)
        assert self.neighbours.handle(PlanLoaded(plan), T0) == []

    def hello(self, link: LinkId, now: int, **changes: object) -> list[Effect]:
        fields = {
            "version": VERSION,
            "node": self.other,
            "name": "",
            "sky": "",
            "policy": "",
            "standing": False,
            "sent_at": now,
            "answers": now,
        }
        hello = Hello(**(fields | changes))  # type: ignore[arg-type]
        return self.neighbours.handle(FrameReceived(link, protocols.LINK.encode(hello)), now)

    def ready(self, link: LinkId, now: int) -> None:
        self.neighbours.handle(LinkUp(link, self.other, self.me == A), now)
        assert self.hello(link, now) == [LinkReady(link, self.other, True, 0)]

    def wake(self) -> tuple[int, list[Effect]]:
        at = self.neighbours.next_deadline()
        assert at is not None
        effects = self.neighbours.handle(Woke(), at)
        after = self.neighbours.next_deadline()
        assert after is None or after > at, "a node that wants the past spins"
        return at, effects


def test_lower_node_dials_when_the_contact_begins() -> None:
    desk = Desk(A)
    assert desk.first == []
    assert desk.wake() == (BEGIN, [OpenLink(B, ("/at/B",))])


def test_higher_node_waits_but_not_for_ever() -> None:
    desk = Desk(B)
    assert desk.wake() == (BEGIN, [])
    assert desk.wake() == (BEGIN + 8 * SECOND, [LinkLost(None, A, False, "not-dialled")])


def test_contact_under_way_is_dialled_at_once() -> None:
    assert Desk(A, begin=T0).first == [OpenLink(B, ("/at/B",))]


def test_link_closes_when_the_contact_ends() -> None:
    desk = Desk(A)
    desk.wake()
    desk.ready(L1, BEGIN)
    ended = [CloseLink(L1, "contact-ended"), LinkLost(L1, B, True, "contact-ended")]
    assert desk.wake() == (FINISH, ended)


def test_both_ends_greet_and_the_answer_measures_the_way() -> None:
    desk = Desk(A)
    (greeting,) = desk.neighbours.handle(LinkUp(L1, B, True), BEGIN)
    assert isinstance(greeting, SendFrame)
    assert protocols.LINK.decode(greeting.frame) == Hello(
        VERSION, A, "A", "given", "given", False, BEGIN, 0
    )
    (answer,) = desk.hello(L1, BEGIN + SECOND, answers=0, sent_at=BEGIN - 7)
    assert isinstance(answer, SendFrame)
    said = protocols.LINK.decode(answer.frame)
    assert isinstance(said, Hello) and said.answers == BEGIN - 7
    effects = desk.hello(L1, BEGIN + 2 * SECOND, answers=BEGIN)
    assert effects == [LinkReady(L1, B, True, SECOND)]
    assert desk.hello(L1, BEGIN + 3 * SECOND, answers=BEGIN) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"node": NodeId("Z")}, "id-mismatch"), ({"version": VERSION + 1}, "version-mismatch")],
)
def test_wrong_hello_closes_the_link(changes: dict[str, object], code: str) -> None:
    desk = Desk(A)
    desk.neighbours.handle(LinkUp(L1, B, True), BEGIN)
    note, close = desk.hello(L1, BEGIN, **changes)
    assert isinstance(note, Note) and note.code == code
    assert close == CloseLink(L1, code)


def test_who_speaks_the_version_before_is_refused_in_words_by_the_bytes_it_sends() -> None:
    """The first vector of the specification as it was in version 1."""
    old = bytes.fromhex(
        "99a568656c6c6f01d934313244334b6f6f574134586f70314a6154334d487877594d6b436570597376346950"
        "566f704d5877437a35694859644266655342a3616461a433663261a677616c6b6572c2cf1886999c36a1800000"
    )
    desk, ada = Desk(A), NodeId("12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB")
    desk.neighbours.handle(LinkUp(L1, ada, True), BEGIN)
    note, close = desk.neighbours.handle(FrameReceived(L1, old), BEGIN)
    assert isinstance(note, Note) and note.code == "version-mismatch"
    assert "version 1" in str(note.fields["message"]) and "same meshd" in str(
        note.fields["message"]
    )
    assert close == CloseLink(L1, "version-mismatch")


def test_message_before_hello_closes_the_link() -> None:
    desk = Desk(A)
    desk.neighbours.handle(LinkUp(L1, B, True), BEGIN)
    frame = protocols.LINK.encode(Accepted(PacketId("p"), 1))
    note, close = desk.neighbours.handle(FrameReceived(L1, frame), BEGIN)
    assert isinstance(note, Note) and note.code == "no-hello"
    assert close == CloseLink(L1, "no-hello")
    assert desk.neighbours.handle(FrameReceived(L1, frame), BEGIN) == []  # late: it is closed


def test_message_after_hello_is_passed_on_and_nonsense_closes() -> None:
    desk = Desk(A)
    desk.ready(L1, BEGIN)
    message = Accepted(PacketId("p"), 1)
    frame = protocols.LINK.encode(message)
    effects = desk.neighbours.handle(FrameReceived(L1, frame), BEGIN)
    assert effects == [MessageReceived(L1, B, message)]
    note, close, lost = desk.neighbours.handle(FrameReceived(L1, b"\x91\xa1x"), BEGIN)
    assert isinstance(note, Note) and note.code == "unknown-message"
    assert close == CloseLink(L1, "unknown-message")
    assert lost == LinkLost(L1, B, False, "unknown-message")


def test_silent_link_is_closed_after_ten_seconds() -> None:
    desk = Desk(B)
    desk.neighbours.handle(LinkUp(L1, A, False), BEGIN)
    assert desk.wake() == (BEGIN, [])
    assert desk.wake() == (BEGIN + 10 * SECOND, [CloseLink(L1, "no-hello")])


def test_back_off_doubles_and_is_bounded() -> None:
    desk = Desk(A)
    at, _ = desk.wake()
    waits = []
    for _ in range(7):
        note, lost = desk.neighbours.handle(LinkFailed(B, "dial-refused"), at)
        assert isinstance(note, Note) and note.code == "link-failed"
        assert lost == LinkLost(None, B, False, "dial-refused")
        before = at
        at, effects = desk.wake()
        waits.append((at - before) / SECOND)
        assert effects == [OpenLink(B, ("/at/B",))]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]


def test_unanswered_dial_fails_after_fifteen_seconds() -> None:
    desk = Desk(A)
    desk.wake()
    at, effects = desk.wake()
    assert at == BEGIN + 15 * SECOND
    assert effects[-1] == LinkLost(None, B, False, "dial-timeout")


def test_greeting_ends_the_back_off() -> None:
    desk = Desk(A)
    at, _ = desk.wake()
    for _ in range(4):
        desk.neighbours.handle(LinkFailed(B, "dial-refused"), at)
        at, _ = desk.wake()
    desk.ready(L1, at)
    desk.neighbours.handle(LinkDown(L1, "peer-closed"), at)
    assert desk.neighbours.next_deadline() == at + 500 * MILLISECOND


def test_failed_dial_does_not_lose_a_link_the_other_end_made() -> None:
    desk = Desk(A)
    desk.wake()
    desk.ready(L1, BEGIN)
    (note,) = desk.neighbours.handle(LinkFailed(B, "too-many-links"), BEGIN)
    assert isinstance(note, Note) and note.code == "link-failed"
    assert desk.neighbours.link_to(B) == L1


def test_second_link_takes_over_from_the_first() -> None:
    desk = Desk(A)
    desk.ready(L1, BEGIN)
    desk.neighbours.handle(LinkUp(L2, B, False), BEGIN)
    assert desk.hello(L2, BEGIN) == []
    effects = desk.neighbours.handle(LinkDown(L1, "peer-closed"), BEGIN)
    assert effects == [LinkReady(L2, B, True, 0)]


def test_strange_sky_leaves_the_link_to_standing_traffic() -> None:
    desk = Desk(A)
    desk.neighbours.handle(LinkUp(L1, B, True), BEGIN)
    note, ready = desk.hello(L1, BEGIN, sky="other", policy="given")
    assert note == Note("sky-mismatch", {"node": B, "sky": "other"})
    assert ready == LinkReady(L1, B, False, 0)


def test_standing_link_is_kept_outside_contacts_and_over_restarts() -> None:
    desk = Desk(B)
    persist, dial = desk.neighbours.handle(StandingWanted(A, "/x"), T0)
    assert (persist, dial) == (Persist("standing/A", b"/x"), OpenLink(A, ("/x",)))
    desk.neighbours.handle(LinkUp(L1, A, True), T0)
    assert desk.hello(L1, T0) == [LinkReady(L1, A, False, 0)]
    assert desk.wake() == (BEGIN, [])
    assert desk.wake() == (FINISH, [])
    again = Neighbours(B, "B", Router(B), open_trust(B))
    assert again.handle(Started(rows=(("standing/A", b"/x"),)), T0) == [OpenLink(A, ("/x",))]


def test_unwanted_standing_link_is_closed_and_not_dialled_again() -> None:
    desk = Desk(B)
    desk.neighbours.handle(StandingWanted(A, "/x"), T0)
    desk.neighbours.handle(LinkUp(L1, A, True), T0)
    desk.hello(L1, T0)
    assert desk.neighbours.handle(StandingWanted(A, "", wanted=False), T0) == [
        Persist("standing/A", None),
        CloseLink(L1, "disconnected"),
        LinkLost(L1, A, False, "disconnected"),
    ]
    assert desk.wake() == (BEGIN, [])


def test_standing_link_that_is_unwanted_inside_a_contact_gives_way_to_the_planned_one() -> None:
    desk = Desk(A, begin=T0)
    assert desk.first == [OpenLink(B, ("/at/B",))]
    desk.neighbours.handle(StandingWanted(B, "/x"), T0)
    desk.neighbours.handle(LinkUp(L1, B, True), T0)
    assert desk.hello(L1, T0) == [LinkReady(L1, B, False, 0)]
    assert desk.neighbours.handle(StandingWanted(B, "", wanted=False), T0) == [
        Persist("standing/B", None),
        CloseLink(L1, "disconnected"),
        LinkLost(L1, B, False, "disconnected"),
        OpenLink(B, ("/at/B",)),
    ]


def test_failure_of_an_unwanted_dial_does_not_spin() -> None:
    desk = Desk(B, begin=T0)
    desk.neighbours.handle(StandingWanted(A, "/x"), T0)
    desk.neighbours.handle(StandingWanted(A, "", wanted=False), T0)
    desk.neighbours.handle(LinkFailed(A, "dial-refused"), T0)
    for _ in range(3):
        desk.wake()


def test_standing_links_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STANDING_MAX", 2)
    desk = Desk(A)
    for name in "XY":
        assert len(desk.neighbours.handle(StandingWanted(NodeId(name), "/x"), T0)) == 2
    refusal = desk.neighbours.handle(StandingWanted(NodeId("Z"), "/x"), T0)
    assert refusal == [Note("standing-full", {"node": "Z", "max": 2})]
