"""A blob is whole and verified, or not there; the folder stays within its bound."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.adapters.blobpart import Part
from meshd.adapters.blobstore import BlobStore, name_file
from protocols.cid import cid_of
from protocols.errors import MeshError
from protocols.types import Cid

HELLO = b"hello world"
NAME = cid_of(HELLO)
OTHER = cid_of(b"other")


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs", 1000)


def files(store: BlobStore) -> set[str]:
    return {path.name for path in store.folder.rglob("*") if path.is_file()}


def test_what_is_put_can_be_got(store: BlobStore) -> None:
    assert store.put(HELLO) == NAME
    assert store.get(NAME) == HELLO
    assert store.has(NAME) and store.size(NAME) == 11
    assert store.read(NAME, 6, 100) == b"world"
    assert store.read(NAME, 11, 5) == b""
    assert store.read(NAME, 12, 1) is None
    assert store.read(NAME, -1, 1) is None
    assert oct((store.folder / NAME).stat().st_mode & 0o777) == "0o600"


def test_what_is_not_here_is_none(store: BlobStore) -> None:
    assert store.get(NAME) is None
    assert store.size(NAME) is None
    assert not store.has(NAME)


def test_the_empty_blob(store: BlobStore) -> None:
    empty = store.put(b"")
    assert store.get(empty) == b""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_pieces_in_any_order_make_the_whole(tmp_path: Path, data: st.DataObject) -> None:
    store = BlobStore(tmp_path / "any", 1000)
    whole = data.draw(st.binary(min_size=1, max_size=60))
    cuts = data.draw(st.sets(st.integers(1, max(1, len(whole) - 1)), max_size=6))
    edges = [0, *sorted(cuts - {len(whole)}), len(whole)]
    pieces = data.draw(st.permutations(list(itertools.pairwise(edges))))
    extra = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    cid = cid_of(whole)
    sent = [*extra, *pieces]
    codes = [store.write(cid, low, whole[low:high], len(whole)) for low, high in sent]
    assert set(codes[:-1]) <= {"partial", "stored"}
    assert codes[-1] == "stored"
    assert store.get(cid) == whole
    store._blobs.clear()
    (store.folder / cid).unlink()


def test_overlapping_pieces_fill_only_gaps(store: BlobStore) -> None:
    assert store.write(NAME, 2, HELLO[2:5], 11) == "partial"
    assert store.write(NAME, 0, b"heXXX wo", 11) == "partial"  # XXX falls on bytes already here
    assert store.write(NAME, 4, HELLO[4:], 11) == "stored"
    assert store.get(NAME) == HELLO


def test_bytes_that_do_not_hash_to_the_name_are_dropped(store: BlobStore) -> None:
    assert store.write(NAME, 0, b"hello", 11) == "partial"
    assert store.write(NAME, 5, b" there", 11) == "hash-mismatch"
    assert not store.has(NAME)
    assert files(store) == set()
    assert store.bytes_used == 0
    assert store.write(NAME, 0, HELLO, 11) == "stored"


@pytest.mark.parametrize(
    ("offset", "data", "size", "code"),
    [
        (-1, b"h", 11, "bad-piece"),
        (11, b"h", 11, "bad-piece"),
        (5, b"h" * 7, 11, "bad-piece"),
        (0, b"h", 12, "bad-piece"),  # another size than before
        (0, b"", 11, "bad-piece"),
    ],
)
def test_bad_pieces(store: BlobStore, offset: int, data: bytes, size: int, code: str) -> None:
    assert store.write(NAME, 2, HELLO[2:4], 11) == "partial"
    assert store.write(NAME, offset, data, size) == code
    assert store.write(NAME, 0, HELLO, 11) == "stored"


def test_a_declared_size_over_the_bound_is_refused_before_a_byte(store: BlobStore) -> None:
    assert store.write(NAME, 0, b"x", 10_000_000_000) == "blob-too-large"
    assert store.write(NAME, 0, b"x", -1) == "bad-piece"
    assert files(store) == set()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", ".", NAME + "/x"])
def test_no_name_leaves_the_folder(store: BlobStore, name: str) -> None:
    cid = Cid(name)
    assert store.write(cid, 0, b"x", 1) == "bad-cid"
    assert store.read(cid, 0, 1) is None
    assert store.get(cid) is None
    store.release(cid)
    assert files(store) == set()


def test_a_list_of_blobs_uses_none_of_them(store: BlobStore) -> None:
    names = [store.put(bytes([number]) * 400) for number in range(2)]
    store.release(names[0])
    expected = [(names[0], 400, False), (names[1], 400, True)]
    assert store.view() == tuple(sorted(expected))
    store.release(names[1])
    assert [kept for _, _, kept in store.view()] == [False, False]
    store.put(HELLO * 20)  # the one that was put first has to go, wherever it stands in the list
    assert not store.has(names[0])


def test_released_blobs_make_room_the_least_recently_used_first(store: BlobStore) -> None:
    first, second, third = (store.put(bytes([n]) * 300) for n in range(3))
    for cid in (first, second):
        store.release(cid)
    assert store.has(first)  # used: second is now the older
    store.put(b"x" * 400)
    assert not store.has(second)
    assert store.has(first) and store.has(third)
    assert store.bytes_used == 1000


def test_kept_blobs_are_not_evicted(store: BlobStore) -> None:
    kept = store.put(b"a" * 900)
    with pytest.raises(MeshError) as caught:
        store.put(b"b" * 101)
    assert caught.value.code == "store-full"
    store.release(kept)
    with store.using(kept) as (path,), pytest.raises(MeshError):
        store.put(path.read_bytes()[:1] + b"b" * 100)
    store.put(b"b" * 101)
    assert not store.has(kept)


def test_a_blob_put_again_is_kept_again(store: BlobStore) -> None:
    cid = store.put(b"a" * 900)
    store.release(cid)
    store.put(b"a" * 900)
    assert store.write(NAME, 0, b"b" * 101, 101) == "store-full"
    assert store.has(cid)


def test_unfinished_blobs_count_and_are_bounded(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1000, partials_max=2)
    names = [cid_of(bytes([n])) for n in range(3)]
    assert store.write(names[0], 0, b"x", 600) == "partial"
    assert store.write(names[1], 0, b"x", 600) == "store-full"
    assert store.write(names[1], 0, b"x", 100) == "partial"
    assert store.write(names[2], 0, b"x", 100) == "store-full"
    store.release(names[1])
    assert store.write(names[2], 0, b"x", 100) == "partial"
    assert store.bytes_used == 700


def test_a_restart_goes_on_with_the_pieces_that_came(store: BlobStore) -> None:
    kept, released = store.put(b"kept"), store.put(b"released")
    store.release(released)
    assert store.write(NAME, 0, b"hel", 11) == store.write(NAME, 6, b"wor", 11) == "partial"
    (store.folder / "notes.txt").write_text("not a blob")
    (store.folder / "partial" / "new-0").write_text("half put by a client")
    (store.folder / OTHER).symlink_to("/etc/passwd")
    again = BlobStore(store.folder, 23)
    assert again.cids() == tuple(sorted((kept, released)))
    assert again.bytes_used == len(b"keptreleased") + 11
    assert again.resume(NAME) == (11, ((0, 3), (6, 9)))
    assert again.resume(OTHER) == (None, ())
    assert again.write(NAME, 3, b"lo ", 11) == "partial"
    assert again.write(NAME, 9, b"ld", 11) == "stored"
    assert again.get(NAME) == HELLO and again.has(kept)
    assert {name.partition(".")[0] for name in files(again)} == {
        kept,
        released,
        NAME,
        OTHER,
        "notes",
    }


@pytest.mark.parametrize("harm", ["byte", "end", "journal", "journal gone", "file gone"])
def test_what_a_loss_of_power_took_has_not_come(store: BlobStore, harm: str) -> None:
    store.write(NAME, 0, b"hello", 11)
    store.write(NAME, 6, b"wor", 11)
    part = store.folder / "partial" / NAME
    journal = part.with_name(part.name + ".held")
    match harm:
        case "byte":
            part.write_bytes(b"hello worl".replace(b"w", b"W"))
        case "end":
            part.write_bytes(b"hello wo")
        case "journal":
            journal.write_bytes(journal.read_bytes()[:-1])
        case "journal gone":
            journal.unlink()
        case "file gone":
            part.unlink()
    again = BlobStore(store.folder, 1000)
    size, held = again.resume(NAME)
    assert (size, held) == ((None, ()) if "gone" in harm else (11, ((0, 5),)))
    low = held[-1][1] if held else 0
    assert again.write(NAME, low, HELLO[low:], 11) == "stored"
    assert again.get(NAME) == HELLO


def test_a_blob_whose_end_was_not_told_is_told_once_its_last_piece_comes_again(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlobStore, "_finish", lambda self, cid, part: "killed here")
    store.write(NAME, 0, HELLO, 11)
    monkeypatch.undo()
    again = BlobStore(store.folder, 1000)
    assert again.resume(NAME) == (11, ())
    assert again.write(NAME, 0, HELLO, 11) == "stored"


def test_unfinished_blobs_that_nobody_fetches_go_after_the_cache(store: BlobStore) -> None:
    cached = store.put(b"c" * 300)
    store.release(cached)
    for cid in (NAME, OTHER):
        assert store.write(cid, 0, b"x", 200) == "partial"
    store.close(NAME, keep=True)
    store.put(b"1" * 301)
    assert not store.has(cached) and store.bytes_used == 701
    store.put(b"2" * 301)
    assert store.resume(NAME) == (None, ())
    assert store.resume(OTHER) == (200, ((0, 1),))
    assert store.write(NAME, 0, b"x", 300) == "store-full"
    store.close(OTHER, keep=False)
    assert store.write(NAME, 0, b"x", 300) == "partial"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40)), max_size=8), st.booleans())
def test_a_part_holds_what_was_written_also_after_it_was_closed(
    tmp_path: Path, runs: list[tuple[int, int]], closed: bool
) -> None:
    whole = bytes(range(100))
    part = Part.begin(tmp_path / "part", 100)
    wanted: set[int] = set()
    for low, length in runs:
        part.write(low, whole[low : low + length])
        wanted |= set(range(low, min(100, low + length)))
    if closed:
        part.close()
        resumed = Part.resume(part.path)
        assert resumed is not None
        part = resumed
    held = {at for low, high in part.held for at in range(low, high)}
    assert held == (wanted if len(wanted) < 100 or not closed else held)
    for low, high in part.missing(0, 100):
        part.write(low, whole[low:high])
    assert part.finish() == cid_of(whole) and part.missing(0, 100) == []
    part.drop()
    assert list(tmp_path.glob("part*")) == []


def test_a_file_is_adopted_under_its_name(store: BlobStore) -> None:
    for _ in range(2):
        path = store.fresh_path()
        path.write_bytes(HELLO)
        cid, size = name_file(path)
        store.adopt(path, cid, size)
    assert store.get(NAME) == HELLO
    assert files(store) == {NAME}
    path = store.fresh_path()
    path.write_bytes(bytes(2000))
    with pytest.raises(MeshError) as caught:
        store.adopt(path, *name_file(path))
    assert caught.value.code == "blob-too-large"
    assert files(store) == {NAME}


def test_a_file_that_vanished_is_not_here(store: BlobStore) -> None:
    store.put(HELLO)
    (store.folder / NAME).unlink()
    assert store.get(NAME) is None
    assert store.bytes_used == 0


def test_a_full_disk_is_a_code(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store.write(NAME, 0, b"hello", 11)
    monkeypatch.setattr(os, "fsync", no_space)
    assert store.write(NAME, 5, b" world", 11) == "store-failed"
    monkeypatch.undo()
    assert not store.has(NAME)
    assert store.bytes_used == 0
    assert store.write(NAME, 0, HELLO, 11) == "stored"


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeshError) as caught:
        BlobStore(tmp_path / "file", 10).put(b"x")
    assert caught.value.code == "store-failed"
