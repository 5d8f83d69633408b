"""Whoever asks for pieces is served in turn, no faster than the mesh takes them."""

from __future__ import annotations

import pytest

import protocols
from meshd.blobs import serve
from meshd.blobs.blobs import Blobs
from meshd.router.routes import Router
from meshd.seam import Effect, PayloadArrived, PayloadLost, PayloadTaken, ReadBlob
from protocols.blob import Want
from protocols.bounds import CHUNK_BYTES_MAX
from protocols.cid import cid_of
from protocols.types import SECOND, Cid, NodeId, PacketId

T0 = 1_000 * SECOND
ME, ONE, OTHER = NodeId("me"), NodeId("one"), NodeId("other")
CID, CID_2 = cid_of(b"1"), cid_of(b"2")


def machine() -> Blobs:
    return Blobs(ME, Router(ME))


def ask(
    blobs: Blobs, pieces: int, asker: NodeId = ONE, cid: Cid = CID, first: int = 0
) -> list[ReadBlob]:
    want = Want(cid, first * CHUNK_BYTES_MAX, pieces * CHUNK_BYTES_MAX)
    data = protocols.BLOB.encode(want)
    arrived = PayloadArrived(PacketId("p"), asker, "blob", data, T0, (asker, ME), (T0, T0))
    return read(blobs.handle(arrived, T0))


def read(effects: list[Effect]) -> list[ReadBlob]:
    found = [effect for effect in effects if isinstance(effect, ReadBlob)]
    assert len(found) == len(effects)
    return found


def test_a_question_is_answered_piece_by_piece() -> None:
    effects = ask(machine(), 3)
    assert [effect.offset // CHUNK_BYTES_MAX for effect in effects] == [0, 1, 2]
    assert {(e.cid, e.length, e.destination) for e in effects} == {(CID, CHUNK_BYTES_MAX, ONE)}
    assert len({effect.packet for effect in effects}) == 3


def test_part_of_a_piece_may_be_asked_for() -> None:
    data = protocols.BLOB.encode(Want(CID, 7, CHUNK_BYTES_MAX + 9))
    arrived = PayloadArrived(PacketId("p"), ONE, "blob", data, T0, (), ())
    effects = read(machine().handle(arrived, T0))
    assert [(e.offset, e.length) for e in effects] == [
        (7, CHUNK_BYTES_MAX),
        (7 + CHUNK_BYTES_MAX, 9),
    ]


def test_nothing_is_read_before_the_mesh_has_taken_what_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "AWAY_MAX", 3)
    blobs = machine()
    first = ask(blobs, 5)
    assert len(first) == 3
    assert read(blobs.handle(PayloadTaken(PacketId("of somebody else")), T0)) == []
    (fourth,) = read(blobs.handle(PayloadTaken(first[0].packet), T0))
    assert fourth.offset == 3 * CHUNK_BYTES_MAX
    lost = PayloadLost(first[1].packet, "blob", ONE, "no-route", ME)
    (fifth,) = read(blobs.handle(lost, T0))
    assert fifth.offset == 4 * CHUNK_BYTES_MAX
    assert blobs.handle(PayloadTaken(first[2].packet), T0) == []


def test_askers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "AWAY_MAX", 1)
    blobs = machine()
    (away,) = ask(blobs, 4)
    assert ask(blobs, 2, OTHER, CID_2) == []
    order = []
    for _ in range(5):
        (away,) = read(blobs.handle(PayloadTaken(away.packet), T0))
        order.append(away.destination)
    assert order == [ONE, OTHER, ONE, OTHER, ONE]


def test_an_asker_behind_a_slow_link_takes_no_others_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "AWAY_TO_ONE_MAX", 2)
    blobs = machine()
    assert len(ask(blobs, 8)) == 2
    assert len(ask(blobs, 2, OTHER)) == 2


def test_a_piece_that_waits_is_not_queued_twice_and_queues_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "AWAY_MAX", 1)
    monkeypatch.setattr(serve, "QUEUED_MAX", 3)
    monkeypatch.setattr(serve, "ASKERS_MAX", 2)
    blobs = machine()
    ask(blobs, 3)
    ask(blobs, 3)
    assert len(blobs._serving._queues[ONE]) == 3  # the first, asked for again, and the two
    ask(blobs, 8, first=10)
    assert len(blobs._serving._queues[ONE]) == 3
    ask(blobs, 1, OTHER)
    ask(blobs, 1, NodeId("third"))
    assert sorted(blobs._serving._queues) == [ONE, OTHER]
