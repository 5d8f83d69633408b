"""Silence over a contact is doubted, silence between contacts is not, and who speaks is there."""

from __future__ import annotations

import pytest

from meshd.membership.membership import MISSED_NS, REFUTED_NS, SPARED_NS, Membership
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    Event,
    Judged,
    Learnt,
    LinkLost,
    LinkReady,
    Note,
    PlanLoaded,
    Publish,
    Woke,
)
from meshd.topology import plan_from_contacts
from protocols.bounds import DOUBTS_MAX
from protocols.record import Doubt, Doubts, LinkState, Presence
from protocols.tag import tag_of
from protocols.types import MILLISECOND, SECOND, Instant, LinkId, NodeId

T0 = 1_000 * SECOND
A, B, C, D = (NodeId(letter) for letter in "ABCD")
SQUARE = [(0, 1), (1, 2), (2, 3), (0, 3)]
"""A - B - C - D - A, by the numbers of their sites."""


class Desk:
    """One node's membership and router, under a square of contacts that stand for ten minutes."""

    def __init__(self, me: NodeId = A, edges: list[tuple[int, int]] = SQUARE) -> None:
        self.me, self.router = me, Router(me)
        self.membership = Membership(me, self.router)
        kinds = ("satellite",) * 4
        contacts = [(a, b, T0, T0 + 600 * SECOND) for a, b in edges]
        span = (T0, T0 + 3_600 * SECOND)
        plan = plan_from_contacts(kinds, contacts, 5 * MILLISECOND, span)
        for site, node in enumerate((A, B, C, D)):
            self.tell(Learnt(node, Presence(node, f"n{site}", ()), T0))
        self.tell(PlanLoaded(plan))

    def tell(self, event: Event, now: Instant = T0) -> list[Effect]:
        """To the router, then to membership; what that says comes back to both, as in a node."""
        self.router.handle(event, now)
        joined: list[Effect] = []
        for effect in self.membership.handle(event, now):
            joined.append(effect)
            if isinstance(effect, Judged):
                self.router.handle(effect, now)
            if isinstance(effect, Publish):
                joined += self.tell(Learnt(self.me, effect.body, now), now)
        return joined

    def doubted_by(self, author: NodeId, node: NodeId, epoch: int = T0, now: int = T0) -> None:
        """A neighbour says that its link to a node is down, and that it does not hear it."""
        self.tell(Learnt(author, LinkState((), (tag_of(node),)), now), now)
        self.tell(Learnt(author, doubts(node, epoch), now), now)


def doubts(node: NodeId, epoch: int = T0) -> Doubts:
    return Doubts((Doubt(tag_of(node), epoch),))


def said(effects: list[Effect]) -> list[object]:
    return [effect.body for effect in effects if isinstance(effect, Publish)]


def test_silence_over_a_contact_is_doubted_at_once_and_told() -> None:
    desk = Desk()
    effects = desk.tell(LinkLost(LinkId(1), B, False, "silent"))
    assert said(effects) == [doubts(B)]
    assert desk.membership.verdict(B) == "suspect", "C may hear it"
    assert desk.router.doubts(B)


def test_the_end_of_a_contact_is_no_evidence() -> None:
    desk = Desk()
    assert desk.tell(LinkLost(LinkId(1), B, True, "contact-ended")) == []
    assert desk.membership.next_deadline() is None


def test_a_link_that_ended_has_two_seconds_to_come_back() -> None:
    desk = Desk()
    assert desk.tell(LinkLost(LinkId(1), B, False, "peer-closed")) == []
    assert desk.membership.next_deadline() == T0 + MISSED_NS
    desk.tell(LinkReady(LinkId(2), B, True, 0), T0 + SECOND)
    assert desk.membership.next_deadline() is None
    desk.tell(LinkLost(LinkId(2), B, False, "peer-closed"), T0 + 2 * SECOND)
    assert said(desk.tell(Woke(), T0 + 2 * SECOND + MISSED_NS)) == [doubts(B)]


def test_gone_is_whom_no_neighbour_hears_and_ways_lead_around() -> None:
    desk = Desk()
    desk.tell(LinkLost(LinkId(1), B, False, "silent"))
    assert desk.router.next_hop(B, T0) is not None
    effects = []
    desk.router.handle(Learnt(C, LinkState((), (tag_of(B),)), T0), T0)
    effects = desk.tell(Learnt(C, doubts(B), T0))
    assert desk.membership.verdict(B) == "gone"
    assert Judged(B, "gone") in effects
    assert Note("node-gone", {"node": B}) in effects
    assert desk.router.next_hop(B, T0) is None
    way = desk.router.predict(A, C, T0)
    assert way is not None and way.path == (A, D, C)


def test_gone_stays_gone_when_the_contacts_end() -> None:
    desk = Desk(D)
    desk.doubted_by(A, B)
    desk.doubted_by(C, B)
    after = T0 + 700 * SECOND
    for author in (A, C):
        desk.tell(Learnt(author, LinkState((), ()), after), after)
    desk.tell(Woke(), after)
    assert desk.membership.verdict(B) == "gone"


def test_a_new_epoch_refutes_every_doubt() -> None:
    desk = Desk(D)
    desk.doubted_by(A, B)
    desk.doubted_by(C, B)
    effects = desk.tell(Learnt(B, Presence(B, "n1", ()), T0 + SECOND), T0 + SECOND)
    assert Judged(B, "alive") in effects
    assert not desk.router.doubts(B)


def test_who_is_doubted_says_its_presence_anew_but_not_too_often() -> None:
    desk = Desk(B)
    now = T0 + SECOND
    effects = desk.tell(Learnt(A, doubts(B), now), now)
    (publish,) = [effect for effect in effects if isinstance(effect, Publish)]
    assert publish.body == Presence(B, "n1", ()) and publish.anew
    assert said(desk.tell(Learnt(A, doubts(B), now), now + 1)) == [], "that epoch is over"
    assert said(desk.tell(Learnt(C, doubts(B, now), now + 2), now + 2)) == []
    assert desk.membership.next_deadline() == now + REFUTED_NS
    assert said(desk.tell(Woke(), now + REFUTED_NS)) == [publish.body]


def test_who_has_refuted_is_spared_unless_another_doubts_it() -> None:
    desk = Desk()
    desk.tell(LinkLost(LinkId(1), B, False, "silent"))
    spoke = T0 + SECOND
    effects = desk.tell(Learnt(B, Presence(B, "n1", ()), spoke), spoke)
    assert said(effects) == [Doubts(())]
    assert desk.membership.next_deadline() == spoke + SPARED_NS
    effects = desk.tell(Learnt(C, doubts(B, spoke), spoke + 1), spoke + 1)
    assert said(effects) == [doubts(B, spoke)]


def test_a_broken_link_is_told_ever_more_seldom() -> None:
    desk = Desk()
    desk.tell(LinkLost(LinkId(1), B, False, "silent"))
    now, waits = T0 + SECOND, []
    for _ in range(4):
        desk.tell(Learnt(B, Presence(B, "n1", ()), now), now)
        at = desk.membership.next_deadline()
        assert at is not None
        waits.append((at - now) // SECOND)
        assert said(desk.tell(Woke(), at)) == [doubts(B, now)]
        now = at + 1
    assert waits == [10, 20, 40, 80]


def test_who_is_heard_again_by_one_is_not_gone() -> None:
    desk = Desk(D)
    desk.doubted_by(A, B)
    desk.doubted_by(C, B)
    now = T0 + 5 * SECOND
    desk.tell(Learnt(C, LinkState((), ()), now), now)
    desk.tell(Learnt(C, Doubts(()), now), now)
    assert desk.membership.verdict(B) == "suspect"
    desk.tell(Learnt(A, Doubts(()), now), now)
    assert desk.membership.verdict(B) is None


def test_both_sides_of_a_partition_judge_heal_and_refute() -> None:
    left, right = Desk(A, [(0, 1), (1, 2), (2, 3)]), Desk(D, [(0, 1), (1, 2), (2, 3)])
    left.doubted_by(B, C)
    right.doubted_by(C, B)
    assert (left.membership.verdict(C), right.membership.verdict(B)) == ("gone", "gone")
    assert left.membership.verdict(D) is None, "nobody has looked for it in vain"
    now = T0 + 30 * SECOND
    left.tell(Learnt(C, Presence(C, "n2", ()), now), now)
    right.tell(Learnt(B, Presence(B, "n1", ()), now), now)
    assert left.membership.verdict(C) is right.membership.verdict(B) is None


def test_our_voice_from_a_life_before_is_taken_back() -> None:
    assert said(Desk().tell(Learnt(A, doubts(B), T0))) == [Doubts(())]


@pytest.mark.parametrize("code", ["disconnected"])
def test_what_we_end_ourselves_is_no_evidence(code: str) -> None:
    assert Desk().tell(LinkLost(LinkId(1), B, False, code)) == []


def test_who_is_not_known_is_not_doubted() -> None:
    desk = Desk()
    assert desk.tell(LinkLost(None, NodeId("X"), False, "dial-timeout")) == []
    assert desk.membership.next_deadline() is None


def test_what_is_missed_is_bounded() -> None:
    desk = Desk()
    for number in range(DOUBTS_MAX + 10):
        desk.tell(LinkLost(None, NodeId(f"X{number}"), False, "dial-timeout"))
    assert len(desk.membership._missed) == DOUBTS_MAX
