"""A js-libp2p peer, written from SPEC.md alone, and daemons: each dials the other and is heard.

`make interop` installs what the peer needs and runs this.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

from meshd.daemon.digits import labels_of, load_digits
from meshd.examples import DIGITS
from tests.cli.conftest import MESHD, meshd

HERE = Path(__file__).parent
WITHIN_S = 60
SHARDS = 2
NAMES = ("near", "middle", "far")


def missing() -> str:
    """Why the peer cannot run here; "" when it can."""
    node = shutil.which("node")
    if node is None:
        return "node is not installed; the js-libp2p peer needs node 20 or later"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.strip().lstrip("v").partition(".")[0]) < 20:
        return f"the js-libp2p peer needs node 20 or later, not {said.strip()}"
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        return "the packages of the js-libp2p peer are not installed: make interop does"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@dataclass
class Peer:
    """The js process, and what it has told, by step."""

    process: subprocess.Popen[str]
    lines: Queue[dict[str, Any]]
    told: dict[str, dict[str, Any]]

    def step(self, name: str) -> dict[str, Any]:
        """What it told of a step, once it has."""
        while name not in self.told:
            line = self.lines.get(timeout=WITHIN_S)
            assert line["step"] != "ended", f"the peer ended before it told of {name}"
            self.told[line["step"]] = line
        assert "error" not in self.told[name], self.told[name]["error"]
        return self.told[name]


@dataclass(frozen=True)
class Scene:
    """Three daemons in a line, the peer beside the first, and where its results are put."""

    homes: dict[str, Path]
    facts: dict[str, dict[str, Any]]
    peer: Peer
    folder: Path


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Homes of three daemons, near - middle - far."""
    folder = tmp_path_factory.mktemp("interop")
    homes = {name: folder / name for name in NAMES}
    try:
        starting = {
            name: subprocess.Popen(
                [*MESHD, "up", "-d", "--json", "--home", str(home), "--name", name],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name, home in homes.items()
        }
        address = {}
        for name, process in starting.items():
            out, _ = process.communicate(timeout=WITHIN_S)
            assert process.returncode == 0, out
            address[name] = json.loads(out)["addresses"][0]
        for a, b in (("near", "middle"), ("middle", "far")):
            assert meshd("connect", address[b], home=homes[a]).code == 0
        yield homes
    finally:
        for home in homes.values():
            meshd("down", home=home)


@pytest.fixture(scope="module")
def scene(line: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("peer")
    facts = {name: meshd("id", "--json", home=home).json for name, home in line.items()}
    inputs = [folder / f"input-{shard}.npy" for shard in range(SHARDS)]
    images = load_digits(DIGITS).images
    for path, part in zip(inputs, np.array_split(images, SHARDS), strict=True):
        np.save(path, part)
    given = {
        "near": facts["near"]["addresses"][0],
        "far": facts["far"]["id"],
        "nodes": NAMES,
        "model": str(DIGITS / "digits.onnx"),
        "inputs": [str(path) for path in inputs],
        "outputs": str(folder),
    }
    process = subprocess.Popen(
        ["node", "--import", "./poly.mjs", "peer.mjs", json.dumps(given)],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    peer = Peer(process, Queue(), {})
    reader = threading.Thread(target=read_lines, args=(process, peer.lines), daemon=True)
    reader.start()
    try:
        yield Scene(line, facts, peer, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_lines(process: subprocess.Popen[str], lines: Queue[dict[str, Any]]) -> None:
    assert process.stdout is not None
    for text in process.stdout:
        lines.put(json.loads(text))
    lines.put({"step": "ended"})


def test_ping_of_libp2p_is_answered(scene: Scene) -> None:
    assert scene.peer.step("ping")["ms"] < 5_000


def test_identify_names_the_streams_that_there_are(scene: Scene) -> None:
    said = scene.peer.step("identify")["protocols"]
    assert {"/meshd/link/1.0.0", "/meshd/job/1.0.0", "/meshd/blob/1.0.0"} <= set(said)


def test_blob_is_put_and_comes_back_whole_or_in_part(scene: Scene) -> None:
    told = scene.peer.step("blob")
    assert (told["whole"], told["part"], told["size"]) == (True, True, 8_000_001)


def test_refusals_are_the_codes_of_the_page(scene: Scene) -> None:
    assert scene.peer.step("refusals")["codes"] == {
        "get": "blob-missing",
        "range": "bad-range",
        "status": "unknown-job",
        "submit": "blob-missing",
        "hash": "hash-mismatch",
        "deep": "bad-message",
        "unknown": "unknown-message",
        "long": "frame-too-long",
        "cut": "frame-truncated",
    }


def test_job_of_a_stranger_runs_and_its_results_are_fetched(scene: Scene) -> None:
    told = scene.peer.step("job")
    assert (told["state"]["status"], told["state"]["delivered"]) == ("completed", SHARDS)
    assert (told["again"], told["shards"]) == ("from-js", [0, 1])
    outputs = [(scene.folder / f"shard-{shard}.npz").read_bytes() for shard in range(SHARDS)]
    assert np.array_equal(np.concatenate([*map(labels_of, outputs)]), load_digits(DIGITS).local())
    seen = meshd("job", "show", "from-js", "--json", home=scene.homes["near"]).json
    assert seen["status"] == "completed"


def test_hellos_are_exchanged_when_the_peer_dials(scene: Scene) -> None:
    told = scene.peer.step("link")
    assert told["name"] == "near"
    assert 0 <= told["delay_ms"] < 5_000


def test_gossip_tells_the_peer_of_nodes_beyond_its_neighbour(scene: Scene) -> None:
    assert scene.peer.step("gossip")["nodes"] == sorted([*NAMES, "js"])


def test_packet_goes_through_two_daemons_to_a_third_and_is_answered(scene: Scene) -> None:
    told = scene.peer.step("packet")
    assert told["payload"] == "hello"
    assert told["hops"] == [scene.facts[name]["id"] for name in reversed(NAMES)]


def test_letter_of_the_peer_is_read_at_the_third(scene: Scene) -> None:
    assert scene.peer.step("letter")["receipt"] == ["receipt", "js-1", "ok"]
    read = meshd("recv", "--count", "1", "--json", home=scene.homes["far"])
    assert read.code == 0, read.err
    sender = scene.peer.step("listening")["node"]
    assert (read.json["node"], b64decode(read.json["body"])) == (sender, b"from js")


def test_daemon_dials_the_peer_and_pings_it(scene: Scene) -> None:
    address = scene.peer.step("listening")["address"]
    linked = meshd("connect", address, home=scene.homes["far"])
    assert linked.code == 0, linked.err
    assert linked.out.startswith("linked to js ")
    assert scene.peer.step("dialled")["by"] == scene.facts["far"]["id"]
    pinged = meshd("ping", "js", "--count", "1", home=scene.homes["far"])
    assert pinged.code == 0, pinged.err
