from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import InputError
from sim.cli import app
from sim.results.tracefile import TRACE, entries

cli = CliRunner()

TWO = """
name = "two"
question = "?"
method = "!"
expectation = "."
duration = "8s"
members = ["a", "b"]
cables = [{ between = ["a", "b"] }]
[[packets]]
count = 3
at = "5s"
pairs = [["a", "b"]]
"""


@pytest.fixture(params=["heap", "full"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a small run under this driver."""
    path, folder = tmp_path / "two.toml", tmp_path / "out"
    path.write_text(TWO, encoding="utf-8")
    words = ["run", str(path), "--driver", request.param, "--out", str(folder)]
    assert cli.invoke(app, words).exit_code == 0
    return folder


def test_the_file_is_what_was_hashed(kept: Path):
    data = gzip.decompress((kept / TRACE).read_bytes())
    said = json.loads((kept / "result.json").read_text())["trace_hash"]
    assert hashlib.blake2b(data, digest_size=16).hexdigest() == said
    instants = [entry.at for entry in entries(kept / TRACE)]
    assert instants == sorted(instants)


def test_a_packet_can_be_followed_in_it(kept: Path):
    everything = cli.invoke(app, ["trace", str(kept)]).stdout.splitlines()
    assert sum(" >PayloadArrived " in line for line in everything) == 3
    words = ["trace", str(kept), "--node", "b", "--from", "5s", "--to", "5.05s"]
    lines = cli.invoke(app, words).stdout.splitlines()
    assert lines
    assert all(line.startswith("5.0") and line.split()[1] == "b" for line in lines)
    assert any("<FrameReceived link 1: Packet(" in line for line in lines)


def test_a_damaged_trace_is_refused_wherever_it_is_cut(kept: Path):
    path = kept / TRACE
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        try:
            list(entries(path))
        except InputError as error:
            assert error.code == "bad-trace"
        else:
            assert size == 0
    path.unlink()
    result = cli.invoke(app, ["trace", str(kept)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no-trace" in result.stderr
