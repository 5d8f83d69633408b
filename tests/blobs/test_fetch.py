"""A blob comes piece by piece, within a window, from who was named, and stays while wanted."""

from __future__ import annotations

import pytest

import protocols
from meshd.blobs import blobs as limits
from meshd.blobs.blobs import Blobs
from meshd.blobs.fetch import WINDOW_MAX
from meshd.router.routes import Router
from meshd.seam import (
    BlobFailed,
    BlobKept,
    BlobOpened,
    BlobRejected,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    CloseBlob,
    Effect,
    Note,
    OpenBlob,
    PayloadArrived,
    PayloadOffered,
    Persist,
    PieceWritten,
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


def begin(blobs: Blobs, size: int | None = None, *held: tuple[int, int]) -> list[Effect]:
    """Want it, and be told what is on disk."""
    assert want(blobs) == [OpenBlob(CID)]
    return blobs.handle(BlobOpened(CID, size, held), T0)


def wrote(blobs: Blobs, *numbers: int) -> list[Effect]:
    """The disk has these pieces."""
    effects: list[Effect] = []
    for number in numbers:
        length = len(piece(number).data)
        effects += blobs.handle(PieceWritten(CID, number * CHUNK_BYTES_MAX, length), T0)
    return effects


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
            assert isinstance(message, Want)
            ends = range(message.offset, message.offset + message.length, CHUNK_BYTES_MAX)
            numbers += [offset // CHUNK_BYTES_MAX for offset in ends]
    return numbers


def test_first_piece_tells_the_size_and_opens_the_window() -> None:
    blobs = machine()
    assert asked(begin(blobs)) == [0]
    effects = say(blobs, piece(0))
    assert effects[0] == WriteBlob(CID, 0, piece(0).data, SIZE)
    assert asked(effects) == [1, 2, 3, 4]  # a window of five, and one is on its way to disk
    assert asked(wrote(blobs, 0)) == [5]
    assert asked(say(blobs, piece(3))) == [6]
    assert [asked(say(blobs, piece(i))) for i in (1, 2, 4, 5)] == [[], [], [], []]
    assert say(blobs, piece(6)) == [WriteBlob(CID, 6 * CHUNK_BYTES_MAX, bytes(10), SIZE)]
    assert wrote(blobs, 1, 2, 3, 4, 5) == []
    (progress,) = blobs.view()
    assert (progress.size, progress.come, progress.resumed) == (SIZE, SIZE - 10, 0)
    assert blobs.next_deadline() == blobs._fetches[CID].until  # the store has not answered yet
    assert blobs.handle(BlobStored(CID, SIZE), T0) == []
    assert want(blobs) == [BlobStored(CID, 0)]


def test_what_is_on_disk_is_not_asked_for_again() -> None:
    blobs, piece_bytes = machine(), CHUNK_BYTES_MAX
    held = ((0, 2 * piece_bytes), (3 * piece_bytes, 4 * piece_bytes), (6 * piece_bytes, SIZE))
    assert asked(begin(blobs, SIZE, *held)) == [2, 4, 5]
    (progress,) = blobs.view()
    assert progress.come == progress.resumed == 3 * piece_bytes + 10


def test_no_more_is_asked_than_the_disk_takes() -> None:
    blobs, size = machine(), 500 * CHUNK_BYTES_MAX
    begin(blobs)
    come = 0
    effects = say(blobs, Chunk(CID, 0, size, bytes(CHUNK_BYTES_MAX)))
    while new := asked(effects):
        effects = []
        for number in new:
            come += 1
            chunk = Chunk(CID, number * CHUNK_BYTES_MAX, size, bytes(CHUNK_BYTES_MAX))
            effects += say(blobs, chunk)
    assert come + 1 == WINDOW_MAX  # and then it waits for the disk
    more = asked(blobs.handle(PieceWritten(CID, 0, 20 * CHUNK_BYTES_MAX), T0))
    assert more == [*range(48, 64)]  # in questions of five to eight, while that much is free


def test_rejected_bytes_of_a_fetch_before_are_fetched_once_more_from_nothing() -> None:
    blobs = machine()
    begin(blobs, SIZE, (0, CHUNK_BYTES_MAX))
    rejected = BlobRejected(CID, "hash-mismatch")
    assert blobs.handle(rejected, T0) == [OpenBlob(CID)]
    assert asked(blobs.handle(BlobOpened(CID, None), T0)) == [0]
    assert blobs.handle(rejected, T0) == [CloseBlob(CID, False), BlobFailed(CID, "hash-mismatch")]


def test_empty_blob_is_one_empty_piece() -> None:
    blobs = machine()
    begin(blobs)
    assert say(blobs, Chunk(CID, 0, 0, b"")) == [WriteBlob(CID, 0, b"", 0)]


def test_piece_nobody_asked_for_is_ignored() -> None:
    blobs = machine()
    assert say(blobs, piece(0)) == []
    begin(blobs)
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
    begin(blobs)
    say(blobs, piece(0))
    assert say(blobs, chunk) == [CloseBlob(CID, keep=False), BlobFailed(CID, code)]
    assert blobs.view() == ()


def test_missing_blob_fails_when_its_source_says_so() -> None:
    blobs = machine()
    begin(blobs)
    assert say(blobs, Missing(CID), OTHER) == []
    assert say(blobs, Missing(CID)) == [CloseBlob(CID, True), BlobFailed(CID, "blob-missing")]
    assert say(blobs, Missing(CID)) == []


def test_rejected_bytes_fail_the_fetch() -> None:
    blobs = machine()
    begin(blobs)
    rejected = BlobRejected(CID, "hash-mismatch")
    failed = [CloseBlob(CID, keep=False), BlobFailed(CID, "hash-mismatch")]
    assert blobs.handle(rejected, T0) == failed


def test_late_piece_is_asked_again_more_patiently_until_nothing_came_for_too_long() -> None:
    blobs = machine()
    begin(blobs)
    waits, now = [], T0
    while True:
        at = blobs.next_deadline()
        assert at is not None
        effects = blobs.handle(Woke(), at)
        if not asked(effects):
            break
        waits.append((at - now) // SECOND)
        now = at
    assert waits[:7] == [4, 8, 12, 16, 20, 20, 20]
    assert at == T0 + 600 * SECOND
    assert effects == [CloseBlob(CID, keep=True), BlobFailed(CID, "fetch-timeout")]
    assert blobs.next_deadline() is None


def test_a_fetch_to_which_pieces_come_goes_on() -> None:
    blobs = machine()
    assert want(blobs, lifetime_s=3) == [OpenBlob(CID)]
    blobs.handle(BlobOpened(CID, None), T0)
    for number in range(7):
        now = T0 + number * 2 * SECOND
        data = protocols.BLOB.encode(piece(number))
        arrived = PayloadArrived(PacketId("p"), SOURCE, "blob", data, T0, (), ())
        blobs.handle(Woke(), now)
        blobs.handle(arrived, now)
        blobs.handle(PieceWritten(CID, number * CHUNK_BYTES_MAX, len(piece(number).data)), now)
    assert blobs.view()[0].come == SIZE


def test_blob_stays_while_anyone_wants_it() -> None:
    blobs = machine()
    assert asked(begin(blobs)) == [0]
    assert want(blobs) == []
    say(blobs, Chunk(CID, 0, 0, b""))
    blobs.handle(BlobStored(CID, 0), T0)
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]
    assert blobs.handle(BlobUnwanted(CID), T0) == []


def test_a_fetch_that_nobody_wants_any_more_ends_and_what_came_is_kept() -> None:
    blobs = machine()
    begin(blobs)
    assert want(blobs) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == [CloseBlob(CID, keep=True)]
    assert say(blobs, piece(0)) == []
    assert blobs.handle(BlobOpened(CID, None), T0) == wrote(blobs, 0) == []


def test_a_blob_that_a_person_keeps_outlives_restarts_and_releases() -> None:
    blobs = machine(DATA)
    row = Persist(f"blob/{CID}", b"")
    assert blobs.handle(BlobKept(CID, True), T0) == [row]
    assert blobs.handle(BlobKept(CID, True), T0) == []
    assert want(blobs) == [BlobStored(CID, 0)]
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    again = Blobs(ME, Router(ME))
    again.handle(Started(((row.key, b""),), (CID,)), T0)
    assert again.next_deadline() is None and again.kept() == (CID,)
    gone = [Persist(row.key, None), ReleaseBlob(CID)]
    assert again.handle(BlobKept(CID, False), T0) == gone
    assert again.handle(BlobKept(CID, False), T0) == []


def test_a_blob_to_be_kept_may_come_later() -> None:
    blobs = machine()
    blobs.handle(BlobKept(CID, True), T0)
    begin(blobs)
    blobs.handle(BlobStored(CID, SIZE), T0)
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobKept(CID, False), T0)[1:] == [ReleaseBlob(CID)]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT_MAX", 1)
    blobs = machine(DATA)
    blobs.handle(BlobKept(CID, True), T0)
    (note,) = blobs.handle(BlobKept(cid_of(b"other"), True), T0)
    assert isinstance(note, Note) and note.code == "kept-full"


def test_output_of_a_shard_is_wanted_once() -> None:
    blobs = machine()
    blobs.handle(ShardFinished("j/0/1", "ok", "", CID, SIZE, 1), T0)
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]


def test_later_source_takes_over() -> None:
    blobs = machine()
    begin(blobs)
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
    assert blobs.handle(made, T0) == [CloseBlob(CID, keep=False), BlobStored(CID, 0)]
    assert blobs.view() == () and say(blobs, piece(0)) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == []
    assert blobs.handle(BlobUnwanted(CID), T0) == [ReleaseBlob(CID)]
