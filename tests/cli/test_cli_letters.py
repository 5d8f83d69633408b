"""Letters between real daemons: alice - bob - carol in a line, and three that are killed."""

from __future__ import annotations

import os
import signal
import time
from base64 import b64decode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import trio

from meshd.client import AsyncMesh, Letter, Mesh
from protocols.errors import NotFound
from tests.cli.conftest import Homes, meshd, until
from tests.cli.test_cli_daemons import assert_refused


def test_a_letter_goes_over_a_relay_and_is_read_once(mesh: Homes) -> None:
    sent = meshd("send", "carol", "the pass is at 12:04", home=mesh["alice"])
    assert sent.code == 0 and sent.out.startswith("delivered to carol ("), sent
    read = meshd("recv", "--count", "1", "--json", home=mesh["carol"])
    assert b64decode(read.json["body"]) == b"the pass is at 12:04"
    assert (read.json["name"], read.json["node"]) == ("alice", mesh.id("alice"))
    again = meshd("recv", "--count", "1", "--wait", "1s", home=mesh["carol"])
    assert_refused(again, 7, "time-out")


def test_a_file_arrives_as_it_is(mesh: Homes, tmp_path: Path) -> None:
    file = tmp_path / "image.raw"
    file.write_bytes(os.urandom(150_000))
    sent = meshd("send", "bob", "--file", str(file), "--port", "img", home=mesh["alice"])
    assert sent.code == 0, sent
    (letter,) = Mesh(mesh["bob"]).receive("img", wait_s=1)
    assert letter.body == file.read_bytes()


def test_letters_that_cannot_be_sent(mesh: Homes, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(200_000))
    alice = mesh["alice"]
    assert_refused(meshd("send", "bob", "--file", str(big), home=alice), 2, "letter-too-large")
    assert_refused(meshd("send", "nobody", "x", home=alice), 4, "unknown-node")
    assert_refused(meshd("send", "bob", "x", "--file", str(big), home=alice), 2, "usage")
    assert_refused(meshd("send", "bob", "--file", "/nowhere", home=alice), 2, "unreadable-file")
    assert_refused(meshd("send", "bob", "x", "--lifetime", "90d", home=alice), 2, "bad-request")
    assert_refused(meshd("send", "bob", "x", "--port", "", home=alice), 2, "bad-request")
    taken = Letter(77, "", "", "inbox", "", "", b"")
    with pytest.raises(NotFound, match="taken, or never came"):
        Mesh(alice).take(taken)


def test_a_stream_is_read_in_the_order_it_was_sent_in(mesh: Homes) -> None:
    alice, carol = Mesh(mesh["alice"]), Mesh(mesh["carol"])
    for number in range(20):
        alice.send("carol", str(number).encode(), "stream", stream="s", wait=False)
    read = [letter.body for letter in islice(carol.receive("stream", wait_s=20), 20)]
    assert read == [str(number).encode() for number in range(20)]


async def test_a_trio_program_reads_while_another_writes(mesh: Homes) -> None:
    bob, carol = AsyncMesh(mesh["bob"]), AsyncMesh(mesh["carol"])
    read: list[bytes] = []
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:

            async def reads() -> None:
                async for letter in carol.receive("trio"):
                    read.append(letter.body)
                    if len(read) == 3:
                        return

            nursery.start_soon(reads)
            for number in range(3):
                await bob.send("carol", bytes([number]), port="trio")
    assert read == [b"\0", b"\1", b"\2"]


# --- kill -9 --------------------------------------------------------------------------------------


class Line:
    """Three daemons a - b - c of our own, each of which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pids: dict[str, int] = {}
        for name in "abc":
            self.start(name)
        for one, other in ("ab", "bc"):
            address = meshd("id", "--json", home=self.home(other)).json["addresses"][0]
            assert meshd("connect", address, home=self.home(one)).code == 0
        until(lambda: len(Mesh(self.home("a")).nodes()) >= 3, 20)

    def home(self, name: str) -> Path:
        return self.folder / name

    def start(self, name: str) -> None:
        ran = meshd("up", "-d", "--json", "--name", name, home=self.home(name))
        self.pids[name] = ran.json["pid"]

    def kill(self, name: str) -> None:
        os.kill(self.pids.pop(name), signal.SIGKILL)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    for pid in made.pids.values():
        os.kill(pid, signal.SIGTERM)


def test_letters_outlive_a_kill_of_every_daemon_on_their_way(line: Line) -> None:
    a = Mesh(line.home("a"))
    line.kill("c")
    names = [a.send("c", f"letter {n}".encode(), wait=False, stream="s") for n in range(10)]
    time.sleep(0.5)
    line.kill("b")  # it has some of them in custody
    line.kill("a")
    for name in "abc":
        line.start(name)
    read = []
    for letter in Mesh(line.home("c")).receive(wait_s=60):
        read.append(letter.body.decode())
        if len(read) == 5:
            line.kill("c")
            line.start("c")  # the one that is being read will be read again
        if len(read) > 10:
            break
    assert list(dict.fromkeys(read)) == [f"letter {n}" for n in range(10)]
    assert len(names) == 10 and len(read) <= 11
