"""A blob comes piece by piece, within a window, from who was named, and stays while wanted."""

from __future__ import annotations

import pytest

import protocols
from meshd.blobs import fetch as limits
from meshd.blobs.fetch import Blobs
from meshd.router.routes import Router
from meshd.seam import (
    BlobFailed,
    BlobRejected,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    Effect,
    Note,
    PayloadArrived,
    PayloadOffered,
    ReadBlob,
    ReleaseBlob,
    ShardFinished,
    Started,
    Woke,
    WriteBlob,
)
from protocols.blob import BlobMessage, Chunk, Missing, Want
from protocols.bounds import CHUNK_BYTES_MAX
from protocols.cid import cid_of
from protocols.types import SECOND, NodeId, PacketId

T0 = 1_000 * SECOND
ME, SOURCE, OTHER = (NodeId(name) for name in ("me", "source", "other"))
SIZE = 6 * CHUNK_BYTES_MAX + 10
DATA = bytes(SIZE)
CID = cid_of(DATA)


def machine(*blobs: bytes) -> Blobs:
    made = Blobs(ME, Router(ME))
    made.handle(Started(blobs=tuple(cid_of(blob) for blob in blobs)), T0)
    return made


def want(blobs: Blobs, source: NodeId = SOURCE, lifetime_s: int = 600) -> list[Effect]:
    return blobs.handle(BlobWanted(CID, source, lifetime_s * SECOND), T0)


def say(blobs: Blobs, message: BlobMessage, source: NodeId = SOURCE) -> list[Effect]:
    data = protocols.BLOB.encode(message)
    arrived = PayloadArrived(PacketId("p"), source, "blob", data, T0, (source, ME), (T0, T0))
    return blobs.handle(arrived, T0)


def piece(number: int, size: int = SIZE) -> Chunk:
    offset = number * CHUNK_BYTES_MAX
    return Chunk(CID, offset, size, DATA[offset : offset + CHUNK_BYTES_MAX])


def asked(effects: list[Effect], source: NodeId = SOURCE) -> list[int]:
    """The numbers of the pieces these effects ask for."""
    numbers = []
    for effect in effects:
        if isinstance(effect, PayloadOffered):
            assert (effect.destination, effect.port) == (source, "blob")
            message = protocols.BLOB.decode(effect.payload)
            assert isinstance(message, Want) and message.length == CHUNK_BYTES_MAX
            numbers.append(message.offset // CHUNK_BYTES_MAX)
    return numbers


def test_first_piece_tells_the_size_and_opens_the_window() -> None:
    blobs = machine()
    assert asked(want(blobs)) == [0]
    effects = say(blobs, piece(0))
    assert effects[0] == WriteBlob(CID, 0, piece(0).data, SIZE)
    assert asked(effects) == [1, 2, 3, 4]
    assert asked(say(blobs, piece(3))) == [5]
    assert asked(say(blobs, piece(1))) == [6]
    assert [asked(say(blobs, piece(i))) for i in (2, 4, 5)] == [[], [], []]
    assert say(blobs, piece(6)) == [WriteBlob(CID, 6 * CHUNK_BYTES_MAX, bytes(10), SIZE)]
    assert blobs.next_deadline() == blobs._fetches[CID].until  # the store has not answered yet
    assert blobs.handle(BlobStored(CID, SIZE), T0) == []
    assert want(blobs) == [BlobStored(CID, 0)]


def test_empty_blob_is_one_empty_piece() -> None:
    blobs = machine()
    want(blobs)
    assert say(blobs, Chunk(CID, 0, 0, b"")) == [WriteBlob(CID, 0, b"", 0)]


def test_piece_nobody_asked_for_is_ignored() -> None:
    blobs = machine()
    assert say(blobs, piece(0)) == []
    want(blobs)
    assert say(blobs, piece(1)) == []
    assert say(blobs, piece(0), OTHER) == []
    say(blobs, piece(0))
    assert say(blobs, piece(0)) == []


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        (piece(1, SIZE + 1), "size-changed"),
        (Chunk(CID, CHUNK_BYTES_MAX, SIZE, b"short"), "piece-length"),
    ],
)
def test_lying_source_fails_the_fetch(chunk: Chunk, code: str) -> None:
    blobs = machine()
    want(blobs)
    say(blobs, piece(0))
    assert say(blobs, chunk) == [BlobFailed(CID, code)]
    assert blobs.view() == ()


def test_missing_blob_fails_when_its_source_says_so() -> None:
    blobs = machine()
    want(blobs)
    assert say(blobs, Missing(CID), OTHER) == []
    assert say(blobs, Missing(CID)) == [BlobFailed(CID, "blob-missing")]
    assert say(blobs, Missing(CID)) == []


def test_rejected_bytes_fail_the_fetch() -> None:
    blobs = machine()
    want(blobs)
    rejected = BlobRejected(CID, "hash-mismatch")
    assert blobs.handle(rejected, T0) == [BlobFailed(CID, "hash-mismatch")]


def test_late_piece_is_asked_again_more_patiently_then_given_up() -> None:
    blobs = machine()
    want(blobs)
    waits, now = [], T0
    while True:
        at = blobs.next_deadline()
        assert at is not None
        effects = blobs.handle(Woke(), at)
        waits.append((at - now) // SECOND)
        now = at
        if not asked(effects):
            break
    assert waits == [4, 8, 12, 16, 20]
    assert effects == [BlobFailed(CID, "fetch-timeout")]
    assert blobs.next_deadline() is None


def test_fetch_ends_when_nobody_waits_for_it_any_more() -> None:
    blobs = machine()
    want(blobs, lifetime_s=4)
    at = blobs.next_deadline()
    assert at is not None
    assert blobs.handle(Woke(), at) == [BlobFailed(CID, "fetch-timeout")]


def test_blob_stays_while_anyone_wants_it() -> None:
    blobs = machine()
    assert asked(want(blobs)) == [0]
    assert want(blobs) == []
    say(blobs, Chunk(CID, 0, 0, b""))
    blobs.handle(BlobStored(CID, 0), T0)
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]
    assert blobs.handle(BlobUnwanted(CID), T0) == []


def test_blob_nobody_wants_when_it_comes_is_released() -> None:
    blobs = machine()
    want(blobs)
    blobs.handle(BlobUnwanted(CID), T0)
    assert blobs.handle(BlobStored(CID, SIZE), T0) == [ReleaseBlob(CID)]


def test_output_of_a_shard_is_wanted_once() -> None:
    blobs = machine()
    blobs.handle(ShardFinished("j/0/1", "ok", "", CID, SIZE, 1), T0)
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]


def test_later_source_takes_over() -> None:
    blobs = machine()
    want(blobs)
    assert asked(want(blobs, OTHER), OTHER) == [0]
    assert say(blobs, piece(0), SOURCE) == []
    assert asked(say(blobs, piece(0), OTHER), OTHER) == [1, 2, 3, 4]


def test_own_blob_is_here_or_missing() -> None:
    assert want(machine(DATA), ME) == [BlobStored(CID, 0)]
    assert want(machine(), ME) == [BlobFailed(CID, "blob-missing")]


def test_fetches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCHES_MAX", 1)
    blobs = machine()
    blobs.handle(BlobWanted(cid_of(b"x"), SOURCE, SECOND), T0)
    assert want(blobs) == [BlobFailed(CID, "fetches-full")]


def test_piece_asked_for_is_read_and_sent() -> None:
    asks = say(machine(), Want(CID, 7, 9))
    assert asks == [ReadBlob(CID, 7, 9, SOURCE, 120 * SECOND)]


def test_nonsense_is_noted() -> None:
    arrived = PayloadArrived(PacketId("p"), SOURCE, "blob", b"\xc1", T0, (), ())
    (note,) = machine().handle(arrived, T0)
    assert isinstance(note, Note) and note.code == "bad-message"


def test_a_blob_that_a_shard_here_puts_out_is_fetched_no_more_and_both_keep_it() -> None:
    """Mended: the holder's word that it needs its output no more was taken for the sink's, too, so
    a result that was told to be stored was dropped."""
    blobs = machine()
    want(blobs)
    made = ShardFinished("run", "ok", "", CID, SIZE, SECOND)
    assert blobs.handle(made, T0) == [BlobStored(CID, 0)]
    assert blobs.view() == () and say(blobs, piece(0)) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]
