"""Whatever instant the power fails at, what was acknowledged is there, and nothing is half there.

Every prefix of what the stores did to the disk is a crash point. Each gives two images: one of a
killed process, and one of a power loss, which a kill cannot show.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import Disk, Done, lay_out, promises, read_log
from workload import (
    BLOBS_BYTES_MAX,
    COMMITS,
    KEPT,
    VERSIONS,
    WRITERS,
    blob_of,
    value_of,
    version_of,
)

from meshd.adapters.blobstore import BlobStore
from meshd.adapters.store import Store
from protocols import cid as cids
from protocols.errors import MeshError
from protocols.types import Cid

HERE = Path(__file__).parent
IMAGES_MIN = 500


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not sys.platform.startswith("linux") or shutil.which("gcc") is None:
        pytest.skip("the recorder of writes is preloaded: that needs Linux and gcc")
    built = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = str(HERE / "recorder.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


def record(recorder: Path, folder: Path, synchronous: str) -> list[Done]:
    home, log = folder / "home", folder / "log"
    home.mkdir(mode=0o700)
    under = {"LD_PRELOAD": str(recorder), "CRASH_ROOT": str(home), "CRASH_LOG": str(log)}
    command = [sys.executable, str(HERE / "workload.py"), str(home), synchronous]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, **under})
    return read_log(log)


def images(done: list[Done], seed: int) -> Iterator[tuple[str, int, Disk, dict[str, bytes]]]:
    disk, rng = Disk(), random.Random(seed)
    for cut, one in enumerate(done, start=1):
        disk.do(one)
        yield "kill", cut, disk, disk.killed()
        yield "power", cut, disk, disk.unpowered(rng)


def lost(home: Path, kept: list[str]) -> list[str]:
    """What an image lacks of what was promised; nothing it has may be wrong."""
    try:
        rows = dict(Store(home / "store.db").load())
    except MeshError as error:
        return [f"the store cannot be opened: {error}"]
    check = sqlite3.connect(home / "store.db").execute("PRAGMA integrity_check").fetchone()
    wrong = [] if check == ("ok",) else [f"integrity: {check}"]
    blobs = BlobStore(home / "blobs", bytes_max=BLOBS_BYTES_MAX)
    wrong += [f"{cid} is damaged" for cid in blobs.cids() if cids.cid_of(blobs.get(cid)) != cid]
    dropped = {line.split()[1] for line in kept if line.startswith("drop")}
    last = Counter(line.split()[1].split("/")[0] for line in kept if line.startswith("row"))
    if not is_whole(home / "book", kept):
        wrong.append("a file is lost, or not whole")
    for line in kept:
        kind, name, *cid = line.split()
        if kind == "row":
            writer, n = map(int, name.split("/"))
            newest = last[str(writer)] - 1
            # The commit after the newest may be on disk too, with the row that it deletes.
            if n > newest + 1 - KEPT and rows.get(name) != value_of(writer, n):
                wrong.append(f"row {name} is lost")
            if n <= newest - KEPT and name in rows:
                wrong.append(f"row {name} was deleted and is back")
        elif kind == "blob" and name not in dropped and blobs.get(Cid(*cid)) != blob_of(int(name)):
            wrong.append(f"blob {name} is lost")
    return wrong


def is_whole(book: Path, kept: list[str]) -> bool:
    """Whether a file is what was promised last, or what was to come after that."""
    newest = max((int(line.split()[1]) for line in kept if line.startswith("file")), default=-1)
    if not book.exists():
        return newest < 0
    return book.read_bytes() in [version_of(n) for n in range(max(newest, 0), VERSIONS)]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for images: in memory if there is such a place, since a real disk takes minutes."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def survey(done: list[Done], folder: Path, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """How many images were looked at by kind, and what was wrong with any."""
    seen: Counter[str] = Counter()
    wrong = []
    for kind, cut, disk, files in images(done, seed):
        place = folder / "image"
        lay_out(files, disk.folders, place)
        kept = promises(done[:cut])
        wrong += [f"{kind} after {cut} of {len(done)}: {what}" for what in lost(place, kept)]
        seen[kind] += 1
        shutil.rmtree(place)
    return seen, wrong


def test_no_crash_point_loses_what_was_acknowledged(
    recorder: Path, tmp_path: Path, memory: Path
) -> None:
    done = record(recorder, tmp_path, "FULL")
    seen, wrong = survey(done, memory)
    assert wrong == []
    assert seen.total() >= IMAGES_MIN, seen
    assert (
        len(promises(done)) == WRITERS * COMMITS + 24 + 8 + VERSIONS
    )  # the workload was there to its end
    assert {one.what for one in done} == set("cwtsrdm"), "a kind of write was not seen"


def test_the_survey_finds_what_a_looser_setting_loses(
    recorder: Path, tmp_path: Path, memory: Path
) -> None:
    _, wrong = survey(record(recorder, tmp_path, "NORMAL"), memory)
    assert [line for line in wrong if line.startswith("kill")] == []  # a kill shows nothing
    assert [line for line in wrong if "is lost" in line]
