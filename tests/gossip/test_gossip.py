"""The newest true word of every author, and nothing else, reaches everyone."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import protocols
from meshd.gossip import gossip as limits
from meshd.gossip import level, peer, wants
from meshd.gossip.gossip import Gossip
from meshd.gossip.peer import ADDED_NS, CLOSED_NS, RELAY_NS
from meshd.seam import (
    CloseLink,
    Effect,
    Learnt,
    LinkLost,
    LinkReady,
    MessageReceived,
    Note,
    Persist,
    Publish,
    RecordsLoaded,
    SendFrame,
    Started,
    Woke,
)
from protocols.bounds import RECORD_BYTES_MAX
from protocols.errors import ProtocolError
from protocols.gossip import Ask, Digest, Have, Held, Records, Span
from protocols.record import Beacon, LinkState, Presence, Record, Standing, Statement, read, sign
from protocols.tag import tag_of
from protocols.types import HOUR, MILLISECOND, SECOND, LinkId, NodeId
from sim.chance import make_verifier, signer
from tests.trust.openly import open_trust

T0 = 1_000 * SECOND
A, B, C = (NodeId(letter) for letter in "ABC")
LINK = LinkId(1)


def gossip(me: NodeId, rows: tuple[tuple[str, bytes], ...] = ()) -> Gossip:
    machine = Gossip(me, Random(me), signer(me), make_verifier(), open_trust(me))
    machine.handle(Started(rows), T0)
    return machine


def presence(text: str = "") -> Presence:
    return Presence(text, "", ())


def record(author: NodeId, sequence: int, text: str = "", at: int = T0, ttl: int = HOUR) -> Record:
    return sign(Statement(author, sequence, at, ttl, presence(text)), signer(author))


def give(machine: Gossip, *records: Record, sender: NodeId = B, now: int = T0) -> list[Effect]:
    return machine.handle(MessageReceived(LINK, sender, Records(records)), now)


def known(machine: Gossip) -> dict[NodeId, int]:
    return {statement.author: statement.sequence for statement in machine.view()}


def settle(
    one: Gossip, other: Gossip, now: int, rounds: int = 100, traffic: list[int] | None = None
) -> int:
    """Carry frames between two, and wake them, until neither has more to say."""
    names = {id(one): A, id(other): B}
    effects = {
        id(m): m.handle(LinkReady(LINK, peer, True, 0), now) for m, peer in ((one, B), (other, A))
    }
    frames = 0
    for _ in range(rounds):
        sent = [
            (other if m is one else one, names[id(m)], e.frame)
            for m in (one, other)
            for e in effects[id(m)]
            if isinstance(e, SendFrame)
        ]
        frames += len(sent)
        if traffic is not None:
            traffic += [len(frame) for _, _, frame in sent]
        effects = {id(one): [], id(other): []}
        for to, source, frame in sent:
            message = protocols.LINK.decode(frame)
            effects[id(to)] += to.handle(MessageReceived(LINK, source, message), now)
        now += 100 * MILLISECOND
        for m in (one, other):
            due = [p.due_at for p in m._peers.values() if p.due_at is not None]
            if due and min(due) <= now:
                effects[id(m)] += m.handle(Woke(), now)
        if not sent and not any(effects.values()):
            return frames
    raise AssertionError("they never stop talking")


def test_own_statement_is_learnt_and_sent_to_neighbours_soon() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    assert machine.handle(Publish(presence("a"), HOUR), T0) == [Learnt(A, presence("a"), T0)]
    flush = T0 + 100 * MILLISECOND
    frame = protocols.LINK.encode(Records((record(A, 1, "a"),)))
    assert machine.handle(Woke(), flush) == [SendFrame(LINK, frame)]


def test_newer_statement_is_learnt_and_stale_ones_are_not() -> None:
    machine = gossip(A)
    assert give(machine, record(C, 5, "new")) == [Learnt(C, presence("new"), T0)]
    assert give(machine, record(C, 4, "old"), record(C, 5, "new")) == []
    assert known(machine) == {C: 5}


def sent(effects: list[Effect]) -> list[tuple[LinkId, object]]:
    """What goes out, on which link."""
    frames = [effect for effect in effects if isinstance(effect, SendFrame)]
    return [(frame.link, protocols.LINK.decode(frame.frame)) for frame in frames]


Z = NodeId("Z")
TAG = tag_of(Z, "presence")


def test_news_goes_on_to_others_and_not_back() -> None:
    """Announced, and sent to who asks."""
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    machine.handle(LinkReady(LinkId(2), C, True, 0), T0)
    give(machine, record(Z, 1), sender=B)
    effects = machine.handle(Woke(), T0 + RELAY_NS)
    assert sent(effects) == [(LinkId(2), Have((Held(TAG, 1),)))]
    asked = machine.handle(MessageReceived(LinkId(2), C, Ask((TAG,))), T0 + RELAY_NS)
    assert sent(asked) == [(LinkId(2), Records((record(Z, 1),)))]


def test_news_is_asked_of_one_neighbour_and_of_the_next_if_that_is_silent() -> None:
    machine = gossip(A)
    for link, node in ((LINK, B), (LinkId(2), C)):
        machine.handle(LinkReady(link, node, True, 0), T0)
    have = Have((Held(TAG, 1),))
    assert sent(machine.handle(MessageReceived(LINK, B, have), T0)) == [(LINK, Ask((TAG,)))]
    assert sent(machine.handle(MessageReceived(LinkId(2), C, have), T0)) == []
    at = machine.next_deadline()
    assert at == T0 + wants.ASK_NS
    assert sent(machine.handle(Woke(), at)) == [(LinkId(2), Ask((TAG,)))]
    give(machine, record(Z, 1), sender=C, now=at)
    assert sent(machine.handle(MessageReceived(LINK, B, have), at)) == []


def test_who_is_never_answered_stops_asking() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    effects = machine.handle(MessageReceived(LINK, B, Have((Held(TAG, 1),))), T0)
    now, asked = T0, 0
    while now < T0 + 4 * SECOND:
        asked += sum(isinstance(message, Ask) for _, message in sent(effects))
        now += 100 * MILLISECOND
        effects = machine.handle(Woke(), now)
    assert asked == 1 + wants.TRIES_MAX
    assert len(machine._wants) == 0


def test_a_neighbour_that_leaves_is_asked_no_more() -> None:
    machine = gossip(A)
    for link, node in ((LINK, B), (LinkId(2), C)):
        machine.handle(LinkReady(link, node, True, 0), T0)
        machine.handle(MessageReceived(link, node, Have((Held(TAG, 1),))), T0)
    lost = machine.handle(LinkLost(LINK, B, False, "peer-closed"), T0)
    assert sent(lost) == [(LinkId(2), Ask((TAG,)))]
    machine.handle(LinkLost(LinkId(2), C, False, "peer-closed"), T0)
    assert len(machine._wants) == 0


def links(author: NodeId, sequence: int, *peers: NodeId) -> Record:
    body = LinkState(tuple(Standing(tag_of(peer), 1) for peer in peers), ())
    return sign(Statement(author, sequence, T0, HOUR, body), signer(author))


def test_a_lost_way_is_told_at_once_and_one_more_to_the_same_place_later() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LinkId(2), C, True, 0), T0)
    y = NodeId("Y")

    def told_after(*records: Record) -> int:
        give(machine, *records)
        (peer,) = machine._peers.values()
        assert peer.due_at is not None
        waited = peer.due_at - T0
        machine.handle(Woke(), T0 + ADDED_NS)
        return waited

    assert told_after(links(y, 1, Z)) == RELAY_NS  # Z is heard of for the first time
    assert told_after(links(Z, 1, y)) == RELAY_NS
    assert told_after(links(B, 1, Z)) == ADDED_NS
    assert told_after(links(y, 2)) == CLOSED_NS
    assert told_after(links(Z, 2)) == ADDED_NS  # the other end had said so


def test_beacons_go_a_few_hops_and_are_in_no_digest() -> None:
    beacon = Beacon(1, 1, 0, SECOND, 1.0, ("onnx",))
    said = sign(Statement(Z, 1, T0, 30 * SECOND, beacon), signer(Z))
    for hops, on in ((3, [(LinkId(2), Records((said,), 2))]), (0, [])):
        machine = gossip(A)
        machine.handle(LinkReady(LinkId(2), C, True, 0), T0)
        machine.handle(MessageReceived(LINK, B, Records((said,), hops)), T0)
        assert sent(machine.handle(Woke(), T0 + RELAY_NS)) == on
        assert machine.view() == (read(said),)
        again = sent(machine.handle(LinkReady(LINK, B, True, 0), T0))
        assert again[-1] == (LINK, Digest((Span(0, 0, 0, 0),)))


def test_a_beacon_that_goes_no_further_takes_the_place_of_one_that_would() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LinkId(2), C, True, 0), T0)
    for number, hops in ((1, 3), (2, 0)):
        beacon = Beacon(1, number, 0, SECOND, 1.0, ("onnx",))
        said = sign(Statement(Z, number, T0, 30 * SECOND, beacon), signer(Z))
        machine.handle(MessageReceived(LINK, B, Records((said,), hops)), T0)
    assert sent(machine.handle(Woke(), T0 + RELAY_NS)) == []


def test_a_node_says_no_more_than_it_foretold() -> None:
    idle, busy = Beacon(1, 0, 0, 0, 1.0, ()), Beacon(1, 1, 0, 0, 1.0, ())
    machine = gossip(A)
    machine.handle(Publish(Presence("a", "", (), idle), HOUR), T0)
    assert machine.handle(Publish(idle, 30 * SECOND), T0) == [Learnt(A, idle, T0)]
    assert known(machine) == {A: 1}
    for number, beacon in ((2, busy), (3, idle)):  # idle again it must say so
        machine.handle(Publish(beacon, 30 * SECOND), T0)
        assert {s.sequence for s in machine.view()} == {1, number}


def test_forged_record_closes_the_link() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    forged = Record(record(C, 1).statement, signer(B)(b"anything"))
    note, close = give(machine, forged)
    assert isinstance(note, Note) and note.code == "bad-signature"
    assert close == CloseLink(LINK, "bad-signature")
    assert known(machine) == {}


def test_a_forged_answer_does_not_pass_for_what_was_asked() -> None:
    machine, forged = gossip(A), Record(record(Z, 9).statement, b"forged")
    for link, node in ((1, B), (2, C)):
        machine.handle(LinkReady(LinkId(link), node, True, 0), T0)
        machine.handle(MessageReceived(LinkId(link), node, Have((Held(TAG, 9),))), T0)
    assert CloseLink(LINK, "bad-signature") in give(machine, forged)
    asked = protocols.LINK.encode(Ask((TAG,)))
    effects = machine.handle(LinkLost(LINK, B, False, "bad-signature"), T0)
    assert SendFrame(LinkId(2), asked) in effects


@pytest.mark.parametrize("statement", [b"", b"\xc1", b"\x95\xa1\xff", b"\x91" * 9_000])
def test_unreadable_record_closes_the_link(statement: bytes) -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    note, close = give(machine, Record(statement, b""))
    assert isinstance(note, Note) and note.code == "bad-record"
    assert close == CloseLink(LINK, "bad-record")


def test_oversized_record_is_no_message() -> None:
    frame = protocols.LINK.encode(Records((Record(bytes(RECORD_BYTES_MAX + 1), b""),)))
    with pytest.raises(ProtocolError) as caught:
        protocols.LINK.decode(frame)
    assert caught.value.code == "bad-message"


def test_record_from_the_future_is_refused() -> None:
    machine = gossip(A)
    early = record(C, 1, at=T0 + 61 * SECOND)
    assert give(machine, early) == [Note("record-from-future", {"author": C, "via": B})]
    assert give(machine, record(C, 1, at=T0 + 60 * SECOND)) != []


def test_expired_record_is_ignored_and_old_ones_are_forgotten() -> None:
    machine = gossip(A)
    assert give(machine, record(C, 1, at=T0 - SECOND, ttl=SECOND)) == []
    give(machine, record(C, 1, ttl=5 * SECOND))
    machine.handle(Woke(), T0 + 20 * SECOND)
    assert known(machine) == {}


def test_roster_is_verified_like_any_other() -> None:
    machine = gossip(A)
    forged = Record(record(C, 1).statement, b"")
    loaded = machine.handle(RecordsLoaded((record(B, 1), forged)), T0)
    assert loaded[0] == Learnt(B, presence(), T0)
    assert [e.code for e in loaded[1:] if isinstance(e, Note)] == ["bad-signature"]
    assert machine.presence(B) == (record(B, 1),)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1_200), min_size=1, max_size=4))
def test_own_sequence_is_never_used_again(lives: list[int]) -> None:
    disk: dict[str, bytes] = {}
    used: list[int] = []
    for said in lives:
        machine = Gossip(A, Random(1), signer(A), make_verifier(), open_trust(A))
        effects = machine.handle(Started(tuple(disk.items())), T0)
        for number in range(said + 1):
            if number:
                effects = machine.handle(Publish(presence(), HOUR), T0)
                used.append(machine.view()[0].sequence)
            for effect in effects:
                if isinstance(effect, Persist) and effect.value is not None:
                    disk[effect.key] = effect.value
    assert used == sorted(set(used))


def test_own_voice_from_a_lost_store_is_overtaken() -> None:
    machine = gossip(A)
    machine.handle(Publish(presence("now"), HOUR), T0)
    effects = give(machine, record(A, 7_000, "before"))
    assert effects[0] == Persist("sequence", b"8000")
    assert effects[-1] == Learnt(A, presence("now"), T0)
    assert known(machine) == {A: 7_001}


def test_own_statement_is_said_again_at_half_its_life() -> None:
    machine = gossip(A)
    machine.handle(Publish(presence("here"), 10 * HOUR), T0)
    soon = T0 + 5 * HOUR - 11 * SECOND
    assert machine.handle(Woke(), soon) == []
    effects = machine.handle(Woke(), T0 + 5 * HOUR)
    assert effects == [Learnt(A, presence("here"), T0 + 5 * HOUR)]
    assert known(machine) == {A: 2}


def test_two_are_levelled_by_digests() -> None:
    one, other = gossip(A), gossip(B)
    give(one, *(record(NodeId(f"n{i}"), 2) for i in range(0, 30)))
    give(other, *(record(NodeId(f"n{i}"), 1 + i % 3) for i in range(20, 50)))
    settle(one, other, T0)
    assert known(one) == known(other)
    assert len(known(one)) == 50 and known(one)["n20"] == 3 and known(one)["n21"] == 2
    # Levelled, one digest from each end says so and nothing more is sent.
    assert settle(one, other, T0 + SECOND) == 2


@settings(max_examples=40)
@given(
    st.dictionaries(st.integers(0, 60), st.integers(1, 4)),
    st.dictionaries(st.integers(0, 60), st.integers(1, 4)),
    st.sampled_from([1, 8, 64]),
)
def test_any_two_are_levelled_in_pieces(
    mine: dict[int, int], theirs: dict[int, int], listed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for where in (level, peer):
            patch.setattr(where, "DIGEST_ENTRIES_MAX", 5)
        patch.setattr(level, "LISTED_MAX", listed)
        one, other = gossip(A), gossip(B)
        for machine, holds in ((one, mine), (other, theirs)):
            give(machine, *(record(NodeId(f"n{i:02}"), s) for i, s in holds.items()), sender=C)
        settle(one, other, T0)
        newest = {f"n{i:02}": max(mine.get(i, 0), theirs.get(i, 0)) for i in {**mine, **theirs}}
        assert known(one) == known(other) == newest


def test_lost_neighbour_gets_nothing_more() -> None:
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    machine.handle(Publish(presence(), HOUR), T0)
    assert machine.handle(LinkLost(LINK, B, True, "contact-ended"), T0) == []
    assert machine.handle(Woke(), T0 + 100 * MILLISECOND) == []
    assert machine.handle(MessageReceived(LINK, B, Digest((Span(0, 0, 9, 9),))), T0) == []


def test_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TABLE_MAX", 2)
    machine = gossip(A)
    assert len(give(machine, record(NodeId("X"), 1), record(NodeId("Y"), 1))) == 2
    assert give(machine, record(C, 1)) == [Note("gossip-table-full", {"author": C, "max": 2})]
    assert len(give(machine, record(NodeId("X"), 2))) == 1  # known authors are still heard


def test_a_neighbour_is_not_told_what_it_has_told_us() -> None:
    """Whether it told us before it came from another, or after."""
    machine = gossip(A)
    for link, node in ((LINK, B), (LinkId(2), C)):
        machine.handle(LinkReady(link, node, True, 0), T0)
    y = NodeId("Y")
    both = Have((Held(TAG, 1), Held(tag_of(y, "presence"), 1)))
    machine.handle(MessageReceived(LINK, B, both), T0)
    machine.handle(MessageReceived(LinkId(2), C, Have(both.held[:1])), T0)
    give(machine, record(Z, 1), record(y, 1), sender=B)
    machine.handle(MessageReceived(LinkId(2), C, Have(both.held[1:])), T0 + 1)
    assert sent(machine.handle(Woke(), T0 + RELAY_NS)) == []
    assert not any(neighbour.busy for neighbour in machine._peers.values())


def test_what_is_wanted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wants, "WANTED_MAX", 5)
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    held = tuple(Held(number, 1) for number in range(10))
    effects = machine.handle(MessageReceived(LINK, B, Have(held)), T0)
    assert sent(effects) == [(LINK, Ask(tuple(range(5))))]


def test_a_full_table_asks_for_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TABLE_MAX", 1)
    machine = gossip(A)
    machine.handle(LinkReady(LINK, B, True, 0), T0)
    give(machine, record(Z, 1))
    have = Have((Held(TAG, 2), Held(tag_of(C, "presence"), 1)))
    assert sent(machine.handle(MessageReceived(LINK, B, have), T0)) == [(LINK, Ask((TAG,)))]


def test_a_thousand_that_differ_in_one_exchange_little() -> None:
    one, other = gossip(A), gossip(B)
    many = [record(NodeId(f"n{i}"), 1) for i in range(1_000)]
    for machine in (one, other):
        give(machine, *many, sender=C)
    give(one, record(NodeId("n7"), 2), sender=C)
    traffic: list[int] = []
    settle(one, other, T0, traffic=traffic)
    assert known(one) == known(other) and known(other)["n7"] == 2
    assert sum(traffic) < 2_000  # its listing alone would be 13,000
