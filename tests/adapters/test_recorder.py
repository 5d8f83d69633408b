"""A recording on disk: bounded, private, and never a harm to its daemon."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio

from meshd.adapters import recorder as limits
from meshd.adapters.recorder import Recorder
from meshd.node import NodeConfig
from meshd.recording import Ended, Happened, Header, Journal, read
from meshd.seam import FrameReceived, Woke
from protocols.errors import MeshError
from protocols.types import SECOND, LinkId, NodeId

WHO = Header("1.2", "3.11", NodeConfig(NodeId("me"), "me"), "seed", SECOND, 0, 1.0)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(limits, "BATCH_S", 0.01)
    return Recorder(tmp_path / "flights" / "a.rec", Journal(WHO), 100_000)


def note(recorder: Recorder, size: int) -> None:
    recorder.journal.begin(FrameReceived(LinkId(1), os.urandom(size)), SECOND)
    recorder.journal.end([])


def ending(path: Path) -> tuple[int, object]:
    """Events in a recording, and its last entry."""
    entries = list(read(path.read_bytes()))
    return sum(isinstance(entry, Happened) for entry in entries), entries[-1]


async def until_ended(recorder: Recorder) -> None:
    with trio.fail_after(10):
        await recorder.run()


def test_what_waits_at_the_end_is_written(recorder: Recorder) -> None:
    for _ in range(3):
        note(recorder, 100)
    recorder.close()
    assert ending(recorder.path) == (3, Ended("stopped"))
    assert recorder.path.stat().st_size == recorder.written
    assert stat.S_IMODE(recorder.path.stat().st_mode) == 0o600


async def test_batches_are_on_disk_while_life_goes_on(recorder: Recorder) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for count in (1, 2, 3):
            note(recorder, 100)
            with trio.fail_after(10):
                while ending(recorder.path)[0] < count:  # noqa: ASYNC110 - a file has no event
                    await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    recorder.close()
    assert ending(recorder.path) == (3, Ended("stopped"))


async def test_a_full_recording_ends_and_says_so(recorder: Recorder) -> None:
    for _ in range(30):
        note(recorder, 4_096)
    await until_ended(recorder)
    assert recorder.state == "full"
    note(recorder, 4_096)
    recorder.close()
    assert ending(recorder.path) == (30, Ended("full"))
    assert recorder.path.stat().st_size < 130_000


async def test_a_full_disk_ends_the_recording_and_nothing_else(recorder: Recorder) -> None:
    note(recorder, 100)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._file)
    os.close(full)
    await until_ended(recorder)
    assert recorder.state == "failed: No space left on device"
    note(recorder, 100)
    assert recorder.journal.take() == b""
    recorder.close()


def test_the_recording_before_is_kept(recorder: Recorder) -> None:
    note(recorder, 100)
    recorder.close()
    again = Recorder(recorder.path, Journal(WHO), 100_000)
    again.journal.begin(Woke(), SECOND)
    again.close()
    assert ending(recorder.path.with_name("a.rec.old"))[0] == 1
    *_, failed, ended = read(recorder.path.read_bytes())
    assert isinstance(failed, Happened) and failed.effects is None
    assert ended == Ended("stopped")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "a.rec", Path("/dev/null")):
        with pytest.raises(MeshError, match="choose another --record FILE") as refused:
            Recorder(path, Journal(WHO), 1)
        assert refused.value.code == "unwritable-file"
    assert tmp_path.is_dir() and Path("/dev/null").exists()
