"""What was acknowledged is there after any kill; what failed is said to be unknown."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
import trio.testing

from meshd.adapters.home import HomeLock
from meshd.adapters.store import Store
from protocols.errors import MeshError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


async def test_rows_are_there_after_reopening(path: Path) -> None:
    store = Store(path)
    assert store.load() == ()
    await store.commit([("b", b"2"), ("a", b"1"), ("c", b"\x00")])
    await store.commit([("b", None), ("a", b"11"), ("none", None)])
    store.close()
    assert Store(path).load() == (("a", b"11"), ("c", b"\x00"))


async def test_later_rows_of_a_key_win_within_one_commit(path: Path) -> None:
    store = Store(path)
    await store.commit([("a", b"1"), ("a", None), ("a", b"3")])
    assert store.load() == (("a", b"3"),)


async def test_the_settings_that_survive_power_loss_are_in_force(path: Path) -> None:
    store = Store(path)
    store.open()
    assert store._connection is not None
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    await store.commit([("a", b"1")])
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        assert oct(file.stat().st_mode & 0o777) == "0o600", file
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


async def test_commits_that_wait_go_together(path: Path) -> None:
    store = Store(path)
    async with trio.open_nursery() as nursery:
        for n in range(100):
            nursery.start_soon(store.commit, [(f"{n:03}", b"x")])
    assert len(store.load()) == 100
    # The first to come goes alone or with the others of its scheduling round, the rest together.
    assert store.transactions <= 3


async def test_rows_of_one_group_keep_the_order_of_commits(path: Path) -> None:
    store = Store(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [("first", b"")])
        await trio.testing.wait_all_tasks_blocked()
        for n in range(10):
            nursery.start_soon(store.commit, [("a", b"%d" % n)])
            await trio.lowlevel.checkpoint()
    assert dict(store.load())["a"] == b"9"


async def test_a_cancelled_commit_harms_no_other(path: Path) -> None:
    store = Store(path)
    with trio.move_on_after(0):
        await store.commit([("cancelled", b"")])
    await store.commit([("kept", b"")])
    assert ("kept", b"") in store.load()


async def test_after_a_failure_the_store_refuses_all_work(path: Path) -> None:
    store = Store(path)
    await store.commit([("kept", b"1")])
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 8")  # a full disk, as SQLite reports it
    with pytest.raises(MeshError) as caught:
        await store.commit([("large", bytes(100_000))])
    assert caught.value.code == "store-failed"
    assert "full" in caught.value.message
    with pytest.raises(MeshError) as caught:
        await store.commit([("small", b"")])
    assert caught.value.code == "store-failed"
    store.close()
    assert Store(path).load() == (("kept", b"1"),)


async def test_all_of_a_failed_group_are_told(path: Path) -> None:
    store = Store(path)
    store.open()
    assert store._connection is not None
    store._connection.execute("PRAGMA query_only = ON")
    codes = []

    async def commit(key: str) -> None:
        with pytest.raises(MeshError) as caught:
            await store.commit([(key, b"")])
        codes.append(caught.value.code)

    async with trio.open_nursery() as nursery:
        for key in "abc":
            nursery.start_soon(commit, key)
    assert codes == ["store-failed"] * 3


def test_a_newer_store_is_refused(path: Path) -> None:
    store = Store(path)
    store.open()
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(MeshError, match="schema 7") as caught:
        Store(path).load()
    assert caught.value.code == "store-newer"


def test_what_is_not_a_store_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is not a database, it is a page of prose" * 100)
    with pytest.raises(MeshError) as caught:
        Store(text).load()
    assert caught.value.code == "store-failed"
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    with pytest.raises(MeshError) as caught:
        Store(other).load()
    assert caught.value.code == "bad-home"


COMMITTER = """
import sys, pathlib, trio
from meshd.adapters.store import Store

async def main():
    store = Store(pathlib.Path(sys.argv[1]))
    start = len(store.load())
    async def commit(lane):
        for n in range(1_000_000):
            key = f"{start}-{lane}-{n}"
            await store.commit([(key, key.encode() * 20)])
            sys.stdout.write(key + "\\n")
            sys.stdout.flush()
    async with trio.open_nursery() as nursery:
        for lane in range(4):
            nursery.start_soon(commit, lane)

trio.run(main)
"""


def test_every_acknowledged_row_survives_kill_9(path: Path) -> None:
    rng = random.Random(9)
    acknowledged: set[str] = set()
    for _ in range(10):
        command = [sys.executable, "-c", COMMITTER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, "the committer ended by itself"
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            said = first + process.stdout.read()
            acknowledged |= {line for line in said.split("\n")[:-1] if line}
        store = Store(path)
        rows = dict(store.load())
        store.close()
        assert acknowledged <= rows.keys()
        assert all(value == key.encode() * 20 for key, value in rows.items())
    assert len(acknowledged) > 50


def test_a_home_is_private_and_one_daemons(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with HomeLock(home):
        assert oct(home.stat().st_mode & 0o777) == "0o700"
        with pytest.raises(MeshError, match=f"process {os.getpid()}") as caught:
            HomeLock(home).acquire()
        assert caught.value.code == "home-in-use"
        assert "--home" in caught.value.message
    with HomeLock(home):
        pass


def test_the_lock_of_a_killed_daemon_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from meshd.adapters.home import HomeLock;"
        "HomeLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(MeshError, match=f"process {process.pid}"):
            HomeLock(tmp_path).acquire()
        process.kill()
        process.wait()
    with HomeLock(tmp_path):
        pass


def test_an_open_home_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with HomeLock(tmp_path):
        assert oct(tmp_path.stat().st_mode & 0o777) == "0o700"


def test_a_home_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeshError) as caught:
        HomeLock(tmp_path / "file").acquire()
    assert caught.value.code == "bad-home"
