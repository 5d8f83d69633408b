"""Letters: sent until they are there, kept until they are read, each once, streams in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import protocols
from meshd.letters import mailbox as mailboxes
from meshd.letters import outgoing as outgoings
from meshd.letters.letters import Letters
from meshd.letters.outgoing import LETTER_PORT
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    LetterArrived,
    LetterKept,
    LetterPosted,
    LetterSettled,
    LetterTaken,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    Persist,
    Started,
    Woke,
)
from protocols.bounds import LETTER_BYTES_MAX
from protocols.letter import Letter, Receipt
from protocols.types import SECOND, Instant, NodeId, PacketId

T0 = 1_000 * SECOND
A, B = NodeId("A"), NodeId("B")


class End:
    """One end: its machine, and the disk it persists to."""

    def __init__(self, me: NodeId) -> None:
        self.me = me
        self.rows: dict[str, bytes] = {}
        self.told: list[Effect] = []
        self.machine = Letters(me, Router(me))

    def restart(self, now: Instant) -> None:
        self.machine = Letters(self.me, Router(self.me))
        self.machine.handle(Started(tuple(sorted(self.rows.items()))), now)

    def do(self, effects: list[Effect]) -> list[PayloadOffered]:
        """Perform effects in order; what is to be carried is given back."""
        offers = []
        for effect in effects:
            if isinstance(effect, PayloadOffered):
                offers.append(effect)
            elif isinstance(effect, Persist):
                self._persist(effect)
            else:
                self.told.append(effect)
        return offers

    def _persist(self, row: Persist) -> None:
        if row.value is None:
            self.rows.pop(row.key, None)
        else:
            self.rows[row.key] = row.value

    def post(
        self,
        name: str,
        now: Instant = T0,
        stream: str = "",
        lifetime_s: int = 3_600,
        body: bytes = b"hi",
    ) -> list[PayloadOffered]:
        event = LetterPosted(PacketId(name), B, "inbox", body, lifetime_s * SECOND, stream)
        return self.do(self.machine.handle(event, now))

    def get(self, offer: PayloadOffered, source: NodeId, now: Instant = T0) -> list[PayloadOffered]:
        arrived = PayloadArrived(offer.packet, source, offer.port, offer.payload, now, (), ())
        return self.do(self.machine.handle(arrived, now))

    def wake(self) -> tuple[Instant, list[PayloadOffered]]:
        at = self.machine.next_deadline()
        assert at is not None
        return at, self.do(self.machine.handle(Woke(), at))

    @property
    def unread(self) -> list[str]:
        return [kept.letter.id for _, kept in self.machine.mailbox.unread("inbox")]


def letter_of(offer: PayloadOffered) -> Letter:
    found = protocols.LETTER.decode(offer.payload)
    assert isinstance(found, Letter)
    return found


def test_a_letter_is_kept_then_sent_and_settled_by_its_receipt() -> None:
    a, b = End(A), End(B)
    (offer,) = a.post("x")
    assert a.told == [LetterKept(PacketId("x"))] and list(a.rows) == ["letter/x"]
    assert (offer.destination, offer.port, offer.durable) == (B, LETTER_PORT, True)
    (receipt,) = b.get(offer, A)
    assert b.unread == ["x"] and b.told == [LetterArrived(1, "inbox")]
    assert a.get(receipt, B) == []
    assert a.told[-1] == LetterSettled(PacketId("x"), B, "ok")
    assert a.rows == {} and a.machine.next_deadline() is None


def test_what_is_promised_stands_behind_its_row() -> None:
    a, b = End(A), End(B)
    event = LetterPosted(PacketId("x"), B, "inbox", b"hi", SECOND, "")
    kinds = [type(effect) for effect in a.machine.handle(event, T0)]
    assert kinds == [Persist, LetterKept, PayloadOffered]
    (offer,) = End(A).post("x")
    arrived = PayloadArrived(offer.packet, A, offer.port, offer.payload, T0, (), ())
    assert [type(e) for e in b.machine.handle(arrived, T0)] == [
        Persist, LetterArrived, PayloadOffered,
    ]  # fmt: skip
    # So does the receipt of a copy: the row of the first may still be under way.
    assert [type(e) for e in b.machine.handle(arrived, T0)] == [Persist, PayloadOffered]


def test_a_receipt_from_somebody_else_settles_nothing() -> None:
    a = End(A)
    a.post("x")
    payload = protocols.LETTER.encode(Receipt(PacketId("x"), "ok"))
    a.get(PayloadOffered(PacketId("r"), A, LETTER_PORT, payload, SECOND), NodeId("C"))
    assert a.told == [LetterKept(PacketId("x"))]


def test_without_a_receipt_it_is_sent_again_with_growing_patience_until_it_expires() -> None:
    a = End(A)
    first = a.post("x", lifetime_s=100)
    packets = {first[0].packet}
    waits, before = [], T0
    while True:
        at, offers = a.wake()
        waits.append((at - before) // SECOND)
        before = at
        if not offers:
            break
        packets.add(offers[0].packet)
    assert waits == [10, 20, 40, 30]
    assert len(packets) == 4  # no packet's name is used twice
    assert a.told[-1] == LetterSettled(PacketId("x"), B, "expired") and a.rows == {}


def test_a_packet_that_is_given_up_does_not_give_up_the_letter() -> None:
    a = End(A)
    (offer,) = a.post("x")
    a.machine.handle(PayloadLost(offer.packet, LETTER_PORT, B, "no-route", A), T0)
    at, offers = a.wake()
    assert at == T0 + 2 * SECOND and letter_of(offers[0]).id == "x"
    old = PayloadLost(offer.packet, LETTER_PORT, B, "expired", B)  # of the packet before
    assert a.machine.handle(old, at) == [] and a.machine.next_deadline() == at + 20 * SECOND


def test_a_restarted_sender_goes_on() -> None:
    a = End(A)
    a.post("x")
    a.restart(T0 + SECOND)
    assert a.wake()[0] == T0 + SECOND
    assert [letter.posted.letter.id for letter in a.machine.outgoing.view()] == ["x"]


def test_a_letter_that_comes_again_is_there_once_before_and_after_it_is_read() -> None:
    a, b = End(A), End(B)
    (offer,) = a.post("x")
    assert len(b.get(offer, A)) == len(b.get(offer, A)) == 1
    b.restart(T0)
    assert len(b.get(offer, A)) == 1 and b.unread == ["x"]
    b.do(b.machine.handle(LetterTaken(1), T0))
    assert len(b.get(offer, A)) == 1 and b.unread == []
    b.restart(T0)
    assert len(b.get(offer, A)) == 1 and b.unread == []


def test_what_was_read_is_remembered_until_it_expires() -> None:
    a, b = End(A), End(B)
    (offer,) = a.post("x", lifetime_s=60)
    b.get(offer, A)
    b.do(b.machine.handle(LetterTaken(1), T0))
    assert list(b.rows) == ["mail-taken/A/x"]
    assert b.wake() == (T0 + 60 * SECOND, []) and b.rows == {}
    assert b.get(offer, A, T0 + 60 * SECOND) == [] and b.unread == []


def test_a_full_mailbox_says_so_and_the_letter_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "UNREAD_MAX", 1)
    a, b = End(A), End(B)
    (one,), (two,) = a.post("x"), a.post("y")
    b.get(one, A)
    (receipt,) = b.get(two, A)
    assert protocols.LETTER.decode(receipt.payload) == Receipt(PacketId("y"), "mailbox-full")
    a.get(receipt, B)
    b.do(b.machine.handle(LetterTaken(1), T0))
    at, (again,) = a.wake()
    assert at == T0 + 2 * SECOND and letter_of(again).id == "y"
    b.get(again, A, at)
    assert b.unread == ["y"]


@pytest.mark.parametrize(("limit", "value"), [("POSTED_MAX", 1), ("POSTED_BYTES_MAX", 3)])
def test_what_may_wait_to_be_sent_is_bounded(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoings, limit, value)
    a = End(A)
    assert a.post("x") != [] and a.post("y") == []
    assert a.told[-1] == LetterSettled(PacketId("y"), B, "letters-full")


def test_letters_too_large_and_named_twice_are_refused() -> None:
    a = End(A)
    assert a.post("x", body=bytes(LETTER_BYTES_MAX + 1)) == []
    assert a.told == [LetterSettled(PacketId("x"), B, "letter-too-large")]
    assert a.post("y", body=bytes(LETTER_BYTES_MAX)) != [] and a.post("y") == []
    assert a.told[-1] == LetterSettled(PacketId("y"), B, "duplicate-id")


def test_what_is_no_letter_is_noted() -> None:
    b = End(B)
    b.get(PayloadOffered(PacketId("p"), B, LETTER_PORT, b"\xff", SECOND), A)
    (note,) = b.told
    assert note.code == "bad-message"  # type: ignore[union-attr]


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_is_read_in_order_though_it_comes_in_disorder() -> None:
    a, b = End(A), End(B)
    one, two, three = (a.post(name, stream="s")[0] for name in "xyz")
    other = a.post("o")[0]
    b.get(three, A)
    b.get(other, A)
    assert b.unread == ["o"]
    b.restart(T0)
    b.get(one, A)
    assert b.unread == ["o", "x"]
    b.get(two, A)
    assert b.unread == ["o", "x", "y", "z"]
    assert [e.number for e in b.told if isinstance(e, LetterArrived)] == [1, 2, 3, 4]


def test_what_is_told_stands_behind_one_commit() -> None:
    """Mended: of three letters whose turn came at once two were told behind a second commit, when
    the next letter had been told already."""
    a, b = End(A), End(B)
    one, two, three = (a.post(name, stream="s")[0] for name in "xyz")
    b.get(two, A)
    b.get(three, A)
    arrived = PayloadArrived(one.packet, A, one.port, one.payload, T0, (), ())
    kinds = [type(effect) is Persist for effect in b.machine.handle(arrived, T0)]
    assert kinds == sorted(kinds, reverse=True) and kinds.count(False) == 4


def test_a_letter_that_expired_on_its_way_holds_its_stream_up_no_longer() -> None:
    a, b = End(A), End(B)
    a.post("x", stream="s", lifetime_s=30)
    b.get(a.post("y", stream="s")[0], A)
    assert b.unread == []
    assert b.wake()[0] == T0 + 30 * SECOND
    assert b.unread == ["y"]


def test_numbers_go_on_after_a_restart() -> None:
    a = End(A)
    first = letter_of(a.post("x", stream="s")[0]).number
    a.restart(T0)
    assert letter_of(a.post("y", stream="s")[0]).number > first


def test_streams_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "STREAMS_MAX", 2)
    a, b = End(A), End(B)
    for stream in "stu":
        b.get(a.post(stream, stream=stream)[0], A)
    assert sorted(key for key in b.rows if key.startswith("mail-stream/")) == [
        "mail-stream/A/t", "mail-stream/A/u",
    ]  # fmt: skip


@settings(max_examples=200)
@given(st.integers(0, 1 << 32))
def test_whatever_is_lost_doubled_delayed_or_killed_all_letters_come_once_in_order(
    seed: int,
) -> None:
    """A wire that loses a third, doubles a third, and mixes; both ends restart now and then."""
    rng = random.Random(seed)
    a, b = End(A), End(B)
    wire: list[tuple[Instant, End, NodeId, PayloadOffered]] = []
    read: list[str] = []

    def carry(now: Instant, offers: list[PayloadOffered]) -> None:
        for offer in offers:
            to, source = (b, A) if offer.destination == B else (a, B)
            for _ in range(rng.choice((0, 1, 2))):
                wire.append((now + rng.randrange(5 * SECOND), to, source, offer))

    now = T0
    for number in range(8):
        stream = rng.choice(("", "s"))
        carry(now, a.post(f"{stream}{number}", now, stream))
        now += rng.randrange(SECOND)
    for second in range(3_000):
        now = T0 + (8 + second) * SECOND
        for entry in sorted((e for e in wire if e[0] <= now), key=lambda e: e[0]):
            wire.remove(entry)
            carry(now, entry[1].get(entry[3], entry[2], now))
        for end in (a, b):
            if rng.random() < 0.02:
                end.restart(now)
            due = end.machine.next_deadline()
            if due is not None and due <= now:
                carry(now, end.do(end.machine.handle(Woke(), now)))
        for taken, kept in b.machine.mailbox.unread("inbox")[: rng.choice((0, 0, 1))]:
            read.append(kept.letter.id)
            b.do(b.machine.handle(LetterTaken(taken), now))
        if a.machine.outgoing.view() == () and not b.unread and len(read) == 8:
            break
    assert sorted(name[-1] for name in read) == list("01234567")
    assert [name for name in read if name[0] == "s"] == sorted(n for n in read if n[0] == "s")
