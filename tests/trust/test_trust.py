"""Whom a node believes: each refusal has its code, and time is an argument."""

from __future__ import annotations

from dataclasses import replace as changed
from random import Random

import msgspec
import pytest

import protocols
from meshd.ephemeris.elements import Elements
from meshd.ephemeris.published import orbit_of
from meshd.ephemeris.succession import TICK_NS
from meshd.forwarding.neighbours import Neighbours
from meshd.gossip.gossip import Gossip
from meshd.gossip.kept import KEPT_ROW
from meshd.router.routes import Router
from meshd.scheduler.holder import Holder, WorkPolicy
from meshd.seam import (
    Barred,
    CloseLink,
    Effect,
    ElementsHeard,
    FrameReceived,
    Learnt,
    LinkReady,
    LinkUp,
    MessageReceived,
    Note,
    OpenLink,
    Persist,
    RecordsLoaded,
    SendFrame,
    StandingWanted,
    Started,
    Woke,
)
from meshd.trust.certificates import BARS, certified, lapse, seal
from meshd.trust.policy import Operator, TrustPolicy
from meshd.trust.trust import Trust
from protocols.certificate import ELEMENTS, Certificate, Revocations, Sealed
from protocols.errors import ProtocolError
from protocols.gossip import Records
from protocols.job import Accept, Decline, Limits, Offer
from protocols.link import VERSION, Hello
from protocols.record import Body, LinkState, Presence, Record, Statement, sign
from protocols.types import HOUR, MINUTE, SECOND, JobId, LinkId, NodeId
from sim.chance import make_verifier, signer
from tests.trust.openly import EVER, Authority, allowing, hash_of, trusting

T0 = 1_000 * HOUR
ME, A, B = NodeId("me"), NodeId("A"), NodeId("B")
ACME = Authority(NodeId("acme"), ("ACE-*",))
RIVAL = Authority(NodeId("rival"), ("RIV-*",))
CROOK = Authority(NodeId("crook"))
LINK = LinkId(1)
KNOWN = make_verifier()


def said(author: NodeId, body: Body, sequence: int = 1, at: int = T0) -> Record:
    return sign(Statement(author, sequence, at, HOUR, body), signer(author))


def presence(node: NodeId, sealed: Sealed | None, site: str = "") -> Presence:
    return Presence(str(node), site, (f"/at/{node}",), None, sealed)


def judged(trust: Trust, author: NodeId, body: Body, now: int = T0) -> str:
    return trust.refusal(Statement(author, 1, now, HOUR, body), now)


def elements(name: str, **changes: float) -> Elements:
    plain = Elements(name, hash_of(NodeId(name)), T0, 53.0, 10.0, 1e-4, 90.0, 10.0, 15.2)
    return changed(plain, **changes)  # type: ignore[arg-type]


# --- certificates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sealed", "code"),
    [
        (None, "no-certificate"),
        (ACME.certify(B), "certificate-mismatch"),
        (CROOK.certify(A), "not-trusted"),
        (ACME.certify(A, operator=RIVAL.id), "bad-certificate"),
        (Sealed(ACME.certify(A).certificate, b""), "bad-certificate"),
        (Sealed(b"\x93", b""), "bad-certificate"),
        (ACME.certify(A, not_before=T0 + 1), "certificate-not-yet"),
        (ACME.certify(A, not_after=T0), "certificate-expired"),
        (ACME.certify(A, serial=13), "certificate-revoked"),
    ],
)
def test_every_certificate_that_does_not_hold_has_its_code(
    sealed: Sealed | None, code: str
) -> None:
    trust = trusting(ME, ACME, RIVAL)
    trust.handle(Learnt(ACME.id, Revocations((13,)), T0), T0)
    with pytest.raises(ProtocolError) as refused:
        trust.check_neighbour(A, sealed, T0)
    assert refused.value.code == code and code in BARS
    assert judged(trust, A, presence(A, sealed)) == code


def test_a_certificate_holds_from_its_beginning_until_its_end() -> None:
    sealed = ACME.certify(A, not_before=T0, not_after=T0 + HOUR)
    policy = TrustPolicy((ACME.trusted,))
    plain = certified(sealed, A, policy, KNOWN)
    held = [lapse(plain, T0 + at, {}) for at in (-1, 0, HOUR - 1, HOUR)]
    assert held == ["certificate-not-yet", "", "", "certificate-expired"]


def test_no_other_signed_thing_passes_for_a_certificate() -> None:
    """What an operator signs as a record is not signed as a certificate, and the other way."""
    plain = Certificate(A, ACME.id, (), "", 0, EVER, 1)
    data = msgspec.msgpack.encode(plain)
    record = Record(data, signer(ACME.id)(b"meshd/record/1\n" + data))
    with pytest.raises(ProtocolError, match="did not sign"):
        certified(Sealed(data, record.signature), A, TrustPolicy((ACME.trusted,)), KNOWN)
    sealed = seal(plain, signer(ACME.id))
    assert not KNOWN(ACME.id, b"meshd/record/1\n" + data, sealed.signature)


def test_an_allow_list_holds_in_an_open_mesh_too() -> None:
    trust = allowing(Trust(ME, TrustPolicy(), KNOWN), A)
    trust.check_neighbour(A, None, T0)
    with pytest.raises(ProtocolError) as refused:
        trust.check_neighbour(B, None, T0)
    assert refused.value.code == "not-allowed"


# --- who may say what -------------------------------------------------------------------------


def test_a_presence_must_match_its_certificate() -> None:
    trust = trusting(ME, ACME)
    sealed = ACME.certify(A, "ACE-1")
    assert judged(trust, A, presence(A, sealed, "ACE-1")) == ""
    assert judged(trust, A, presence(A, sealed, "ACE-2")) == "site-mismatch"


def test_links_are_told_by_those_who_have_shown_their_certificate() -> None:
    trust = trusting(ME, ACME)
    assert judged(trust, A, LinkState((), ())) == "unknown-author"
    assert judged(trust, A, presence(A, ACME.certify(A))) == ""
    assert judged(trust, A, LinkState((), ())) == ""
    trust.handle(Learnt(ACME.id, Revocations((hash_of(A),)), T0), T0)
    assert judged(trust, A, LinkState((), ())) == "certificate-revoked"


def test_revocations_are_an_operators_word() -> None:
    trust = trusting(ME, ACME)
    assert judged(trust, ACME.id, Revocations((1,))) == ""
    assert judged(trust, RIVAL.id, Revocations((1,))) == "not-trusted"
    assert judged(trust, A, Revocations((1,))) == "not-trusted"


@pytest.mark.parametrize(
    ("author", "sealed", "satellite", "code"),
    [
        (ACME.id, None, "ACE-1", ""),
        (ACME.id, None, "RIV-1", "not-entitled"),
        (ACME.id, None, "OTHER", "not-entitled"),
        (A, ACME.certify(A, "ACE-1"), "ACE-1", ""),
        (A, ACME.certify(A, "ACE-1"), "ACE-2", "not-entitled"),
        (A, ACME.certify(A, "ACE-1"), "RIV-1", "not-entitled"),
        (A, ACME.certify(A, "", roles=(ELEMENTS,)), "ACE-2", ""),
        (A, ACME.certify(A, "", roles=(ELEMENTS,)), "RIV-1", "not-entitled"),
        (A, ACME.certify(A, "RIV-1"), "RIV-1", "not-entitled"),
        (A, None, "ACE-1", "no-certificate"),
        (A, CROOK.certify(A, "ACE-1"), "ACE-1", "not-trusted"),
        (A, ACME.certify(A, "ACE-1", not_after=T0), "ACE-1", "certificate-expired"),
    ],
)
def test_a_satellite_is_moved_by_its_own_operator_alone(
    author: NodeId, sealed: Sealed | None, satellite: str, code: str
) -> None:
    trust = trusting(ME, ACME, RIVAL)
    orbit = orbit_of(elements(satellite), T0 + TICK_NS, sealed)
    assert judged(trust, author, orbit) == code


def test_what_two_operators_claim_neither_may_move() -> None:
    grasping = Authority(NodeId("grasping"), ("*",))
    trust = trusting(ME, ACME, grasping)
    orbit = orbit_of(elements("ACE-1"), T0 + TICK_NS)
    assert judged(trust, ACME.id, orbit) == judged(trust, grasping.id, orbit) == "not-entitled"
    policy = TrustPolicy((Operator(A, "a", ("X-*",)), Operator(B, "b", ("*-1",))))
    assert [policy.owner_of(name) for name in ("X-2", "Y-1", "X-1", "Y-2")] == [A, B, None, None]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"inclination_deg": float("nan")}, "bad-number"),
        ({"bstar": float("inf")}, "bad-number"),
        ({"eccentricity": 1.0}, "bad-elements"),
        ({"eccentricity": -0.1}, "bad-elements"),
        ({"mean_motion_rev_day": 17.5}, "underground"),
        ({"eccentricity": 0.5}, "underground"),
    ],
)
def test_elements_that_no_satellite_can_have_are_refused(
    changes: dict[str, float], code: str
) -> None:
    """In an open mesh as well: they would break everyone's plan."""
    orbit = orbit_of(elements("ACE-1", **changes), T0 + TICK_NS)
    assert judged(trusting(ME, ACME), ACME.id, orbit) == code
    assert judged(Trust(ME, TrustPolicy(), KNOWN), A, orbit) == code


def test_elements_count_from_a_tick_that_all_can_share() -> None:
    trust = trusting(ME, ACME)
    for at in (T0 + 1, T0 + 8 * 24 * HOUR):
        assert judged(trust, ACME.id, orbit_of(elements("ACE-1"), at)) == "bad-time"
    assert judged(trust, ACME.id, orbit_of(elements("ACE-1"), T0 - TICK_NS)) == ""  # late


# --- what follows -----------------------------------------------------------------------------


def test_who_is_revoked_or_expires_is_barred_once() -> None:
    trust = trusting(ME, ACME, mine=ACME.certify(ME))
    trust.handle(Started(), T0)
    judged(trust, A, presence(A, ACME.certify(A, not_after=T0 + HOUR)))
    judged(trust, B, presence(B, ACME.certify(B)))
    assert trust.next_deadline() == T0 + HOUR
    revoked = Learnt(ACME.id, Revocations((hash_of(B),)), T0)
    assert [e for e in trust.handle(revoked, T0) if isinstance(e, Barred)] == [
        Barred(B, "certificate-revoked")
    ]
    assert trust.handle(revoked, T0) == []
    assert [e for e in trust.handle(Woke(), T0 + HOUR) if isinstance(e, Barred)] == [
        Barred(A, "certificate-expired")
    ]
    assert (trust.bars(A), trust.bars(B)) == ("certificate-expired", "certificate-revoked")
    assert trust.next_deadline() == EVER
    judged(trust, A, presence(A, ACME.certify(A, serial=99)), T0 + HOUR)  # a new one
    assert trust.bars(A) == ""


def gossip(trust: Trust, rows: tuple[tuple[str, bytes], ...] = ()) -> tuple[Gossip, list[Effect]]:
    machine = Gossip(ME, Random(1), signer(ME), KNOWN, trust)
    return machine, machine.handle(Started(rows), T0)


def give(machine: Gossip, *records: Record, now: int = T0) -> list[Effect]:
    return machine.handle(MessageReceived(LINK, B, Records(records)), now)


def test_what_is_not_to_be_believed_is_neither_held_nor_passed_on() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    machine.handle(LinkReady(LinkId(2), NodeId("C"), True, 0), T0)
    effects = give(machine, said(A, presence(A, CROOK.certify(A))))
    assert [e.code for e in effects if isinstance(e, Note)] == ["not-trusted"]
    assert not any(isinstance(e, CloseLink) for e in effects)  # who carried it is innocent
    assert machine.view() == ()
    woken = machine.handle(Woke(), T0 + SECOND)
    assert not any(isinstance(e, SendFrame) for e in woken)


def test_a_statement_waits_for_its_authors_presence() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    state, who = said(A, LinkState((), ()), 2), said(A, presence(A, ACME.certify(A)))
    assert give(machine, state) == []
    learnt = [e.body for e in give(machine, who) if isinstance(e, Learnt)]
    assert [type(body) for body in learnt] == [Presence, LinkState]


def test_nothing_is_held_of_who_is_barred() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    give(machine, said(A, presence(A, ACME.certify(A))), said(A, LinkState((), ()), 2))
    assert len(machine.view()) == 2
    machine.handle(Barred(A, "certificate-revoked"), T0)
    assert machine.view() == ()


def test_revocations_outlive_the_process() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    effects = give(machine, ACME.revoke(7, at=T0))
    rows = tuple((e.key, e.value) for e in effects if isinstance(e, Persist) and e.value)
    assert [key.startswith(KEPT_ROW) for key, _ in rows] == [True]
    _, again = gossip(trusting(ME, ACME), rows)
    assert Learnt(ACME.id, Revocations((7,)), T0) in again


def test_a_list_of_a_lower_sequence_takes_nothing_back() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    give(machine, ACME.revoke(7, 8, sequence=2, at=T0))
    assert give(machine, ACME.revoke(7, sequence=1, at=T0)) == []


def test_elements_go_to_who_makes_the_plans() -> None:
    machine, _ = gossip(trusting(ME, ACME))
    orbits = [orbit_of(elements(f"ACE-{n}"), T0 + TICK_NS) for n in (1, 2)]
    effects = machine.handle(
        RecordsLoaded(tuple(said(ACME.id, orbit, n) for n, orbit in enumerate(orbits, 1))), T0
    )
    assert [e.orbit for e in effects if isinstance(e, ElementsHeard)] == orbits
    assert len(machine.view()) == 2  # one for each satellite


class Desk:
    """Neighbours under an operator."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.machine = Neighbours(ME, "me", Router(ME), trust)
        self.machine.handle(Started(), T0)
        self.machine.handle(LinkUp(LINK, A, False), T0)

    def hello(self, sealed: Sealed | None, now: int = T0) -> list[Effect]:
        hello = Hello(VERSION, A, "a", "", "", True, now, now, sealed)
        return self.machine.handle(FrameReceived(LINK, protocols.LINK.encode(hello)), now)


def test_a_neighbour_without_a_certificate_loses_its_link() -> None:
    desk = Desk(trusting(ME, ACME))
    effects = desk.hello(None)
    assert CloseLink(LINK, "no-certificate") in effects
    assert [e.code for e in effects if isinstance(e, Note)] == ["no-certificate"]
    assert desk.machine.link_to(A) is None


def test_a_hello_shows_our_certificate() -> None:
    mine = ACME.certify(ME)
    (sent,) = Neighbours(ME, "", Router(ME), trusting(ME, ACME, mine=mine)).handle(
        LinkUp(LINK, A, True), T0
    )
    assert isinstance(sent, SendFrame)
    hello = protocols.LINK.decode(sent.frame)
    assert isinstance(hello, Hello) and hello.certificate == mine


def test_a_revoked_node_loses_its_links_and_is_not_dialled() -> None:
    desk = Desk(trusting(ME, ACME))
    desk.machine.handle(StandingWanted(A, "/at/A"), T0)
    assert any(isinstance(e, LinkReady) for e in desk.hello(ACME.certify(A)))
    barred = desk.trust.handle(Learnt(ACME.id, Revocations((hash_of(A),)), T0), T0)[-1]
    assert isinstance(barred, Barred)
    assert CloseLink(LINK, "certificate-revoked") in desk.machine.handle(barred, T0)
    later = desk.machine.handle(Woke(), T0 + MINUTE)
    assert not any(isinstance(e, OpenLink) for e in later)


# --- work -------------------------------------------------------------------------------------


def test_a_foreign_operator_gets_a_third_of_the_slots() -> None:
    trust = trusting(ME, ACME, RIVAL, mine=ACME.certify(ME))
    trust.handle(Started(), T0)
    friend, foreigner, other = NodeId("friend"), NodeId("foreigner"), NodeId("other")
    judged(trust, friend, presence(friend, ACME.certify(friend)))
    for node in (foreigner, other):
        judged(trust, node, presence(node, RIVAL.certify(node)))
    holder = Holder(ME, WorkPolicy(slots=6, kinds=("command",)), trust)

    def answer(scheduler: NodeId, shard: int) -> object:
        offer = Offer(
            JobId("j"),
            shard,
            1,
            "command",
            None,
            (),
            (),
            ("true",),
            Limits(),
            SECOND,
            MINUTE,
            EVER,
            0,
        )
        mail = holder.offered(scheduler, offer, T0)[0]
        word = protocols.JOB.decode(mail.payload)  # type: ignore[union-attr]
        return word.code if isinstance(word, Decline) else type(word)

    assert [answer(foreigner, 0), answer(other, 1)] == [Accept, Accept]
    assert [answer(foreigner, 2), answer(other, 3)] == ["foreign-share"] * 2
    assert [answer(friend, n) for n in range(4, 9)] == [Accept] * 5
    trust.handle(Learnt(RIVAL.id, Revocations((hash_of(foreigner),)), T0), T0)
    assert answer(foreigner, 10) == "certificate-revoked"
