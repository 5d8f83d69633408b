"""What all signed before launch is not said again; what differs from it is, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gossip import LINK, T0, A, B, C, give, gossip, known, presence, record, settle

import protocols
from meshd.gossip.gossip import Gossip
from meshd.router.roster import Roster, entry_of, roster_of
from meshd.seam import Learnt, LinkReady, MessageReceived, Publish, RosterLoaded, SendFrame, Woke
from protocols.errors import ProtocolError
from protocols.gossip import Digest, Records, Span
from protocols.record import Record
from protocols.types import HOUR, SECOND, NodeId
from sim.chance import make_verifier


def roster(*records: Record) -> Roster:
    return roster_of(records, make_verifier())


def loaded(me: NodeId, *records: Record) -> Gossip:
    machine = gossip(me)
    assert not any(isinstance(e, SendFrame) for e in machine.handle(load(*records), T0))
    return machine


def load(*records: Record) -> RosterLoaded:
    return RosterLoaded(roster(*records))


def digests(machine: Gossip) -> list[Digest]:
    """What a neighbour is sent when its link becomes ready."""
    effects = machine.handle(LinkReady(LINK, B, True, 0), T0)
    return [protocols.LINK.decode(e.frame) for e in effects if isinstance(e, SendFrame)]


ALL = (record(A, 1, "a"), record(B, 1, "b"), record(C, 4, "c"))


# --- the roster itself --------------------------------------------------------------------------


def test_digest_is_of_what_is_said_in_whatever_order() -> None:
    assert roster(*ALL).digest == roster(*reversed(ALL)).digest
    assert roster(*ALL).digest != roster(*ALL[:2]).digest
    assert list(roster(*reversed(ALL)).members) == [A, B, C]


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ((Record(ALL[0].statement, b"?"),), "bad-signature"),
        ((Record(b"?", b"?"),), "bad-record"),
        ((ALL[0], record(A, 2, "again")), "twice-in-roster"),
    ],
)
def test_bad_roster_is_refused(records: tuple[Record, ...], code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        roster(*records)
    assert caught.value.code == code


def test_a_record_met_again_is_the_same_entry() -> None:
    """So that the nodes of a process keep it once."""
    one, other = record(A, 1, "a"), record(A, 1, "a")
    assert entry_of(one) is entry_of(other)
    assert entry_of(Record(one.statement, b"forged")) is not entry_of(one)


# --- what is not said ---------------------------------------------------------------------------


def test_what_the_roster_says_of_us_is_not_published_before_it_or_after() -> None:
    before, after = gossip(A), loaded(A, *ALL)
    before.handle(Publish(presence("a"), HOUR), T0)
    before.handle(load(*ALL), T0)
    assert after.handle(Publish(presence("a"), HOUR), T0) == [Learnt(A, presence("a"), T0)]
    for machine in (before, after):
        assert digests(machine) == [Digest((Span(0, 0, 0, 0),), roster(*ALL).digest)]
        assert known(machine) == {A: 1, B: 1, C: 4}


def test_what_differs_from_the_roster_is_published_above_its_number() -> None:
    before, after = gossip(C), loaded(C, *ALL)
    before.handle(Publish(presence("moved"), HOUR), T0)
    before.handle(load(*ALL), T0)
    after.handle(Publish(presence("moved"), HOUR), T0)
    for machine in (before, after):
        assert known(machine)[C] == 5


def test_who_is_again_as_the_roster_says_tells_it_once_and_does_not_repeat_it() -> None:
    machine = loaded(A, *ALL)
    machine.handle(Publish(presence("elsewhere"), 30 * SECOND), T0)
    machine.handle(Publish(presence("a"), 30 * SECOND), T0 + SECOND)
    assert known(machine)[A] == 3
    assert machine.handle(Woke(), T0 + 20 * SECOND) == []  # at half its life
    machine.handle(Woke(), T0 + 40 * SECOND)
    assert known(machine)[A] == 1  # the roster's, which does not age


def test_one_who_hears_its_own_later_voice_says_even_what_the_roster_says() -> None:
    machine = loaded(A, *ALL)
    effects = give(machine, record(A, 900, "of an earlier life"))
    assert effects[-1] == Learnt(A, presence("a"), T0)
    assert known(machine)[A] == 901


def test_roster_does_not_put_newer_words_back() -> None:
    machine = gossip(A)
    give(machine, record(B, 7, "newer"), record(C, 3, "older"))
    machine.handle(load(*ALL), T0)
    assert known(machine) == {A: 1, B: 7, C: 4}
    assert give(machine, record(C, 4, "c"), record(B, 7, "newer")) == []


def test_records_are_handed_out_from_the_roster_too() -> None:
    assert loaded(A, *ALL).presence(B) == (ALL[1],)


# --- levelling ----------------------------------------------------------------------------------


def test_two_with_one_roster_exchange_what_differs_alone() -> None:
    many = [record(NodeId(f"n{i:03}"), 1) for i in range(500)]
    one, other = loaded(A, *many), loaded(B, *many)
    give(one, record(NodeId("n007"), 2), record(C, 1), sender=C)
    sizes = [len(e.frame) for e in one.handle(LinkReady(LINK, B, True, 0), T0)]  # type: ignore[union-attr]
    assert sum(sizes) < 300
    settle(one, other, T0)
    assert known(one) == known(other)
    assert known(other)["n007"] == 2 and known(other)[C] == 1 and len(known(other)) == 501


def test_a_strange_roster_is_answered_with_all_that_is_held() -> None:
    machine = loaded(A, *ALL)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    strange = Digest((Span(0, 0, 7, 7),), "another")
    frames = [e.frame for e in machine.handle(MessageReceived(LINK, B, strange), T0)]  # type: ignore[union-attr]
    (whole,) = [protocols.LINK.decode(frame) for frame in frames]
    assert isinstance(whole, Digest)
    (span,) = whole.spans
    assert (span.count, span.bits, whole.roster) == (3, 0, "")
    assert not any(isinstance(protocols.LINK.decode(f), Records) for f in frames)


HELD = st.dictionaries(st.integers(0, 12), st.integers(1, 4), max_size=8)


@settings(max_examples=150)
@given(HELD, HELD, HELD, HELD, st.booleans())
def test_any_two_are_levelled_with_the_same_roster_another_or_none(
    mine: dict[int, int],
    theirs: dict[int, int],
    said: dict[int, int],
    else_said: dict[int, int],
    same: bool,
) -> None:
    def records(held: dict[int, int]) -> list[Record]:
        return [record(NodeId(f"n{i:02}"), s) for i, s in sorted(held.items())]

    rosters = (said, said if same else else_said)
    one, other = gossip(A), gossip(B)
    for machine, holds, foretold in zip((one, other), (mine, theirs), rosters, strict=True):
        give(machine, *records(holds), sender=C)
        if foretold:
            machine.handle(load(*records(foretold)), T0)
    settle(one, other, T0)
    newest = {
        f"n{i:02}": max(held.get(i, 0) for held in (mine, theirs, *rosters))
        for i in sorted({*mine, *theirs, *rosters[0], *rosters[1]})
    }
    assert known(one) == known(other) == newest
