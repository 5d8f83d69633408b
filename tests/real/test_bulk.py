"""Blobs between real daemons, three hops apart: whole, not starving others, and after kills."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from protocols.cid import cid_of
from tests.bench.line import MESHD, Line, line


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("line"), 4) as made:
        yield made


def get(mesh: Line, cid: str, at: int, source: str = "n0") -> subprocess.Popen[str]:
    words = [*MESHD, "blob", "get", cid, "--from", source, "--json", "--home", str(mesh.home(at))]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def facts(getting: subprocess.Popen[str]) -> Any:
    out, err = getting.communicate(timeout=90)
    assert getting.returncode == 0, err
    return json.loads(out)


def come(mesh: Line, cid: str, at: int) -> int:
    """Bytes of a blob on disk there, as it comes."""
    try:
        return (mesh.home(at) / "blobs" / "partial" / cid).stat().st_size
    except FileNotFoundError:
        return 0


def test_several_blobs_come_over_three_hops_and_a_ping_gets_through(mesh: Line) -> None:
    blobs = [os.urandom(4_000_000) for _ in range(3)]
    cids = [mesh.client(0).put_blob(data) for data in blobs]
    getting = [get(mesh, cid, 3) for cid in cids]
    rows = mesh.client(3).post("/v1/ping", node="n0", count=5, interval_s=0.1)["pings"]
    assert all(row["ok"] for row in rows)
    for cid, data, process in zip(cids, blobs, getting, strict=True):
        assert facts(process)["bytes"] == len(data)
        assert mesh.client(3).blob(cid) == data


@pytest.mark.parametrize("victim", [3, 1, 0])
def test_a_fetch_outlives_the_kill_of_receiver_relay_and_source(mesh: Line, victim: int) -> None:
    """What was on disk is not asked for again."""
    data = os.urandom(24_000_000)
    cid = mesh.client(0).put_blob(data)
    assert cid == cid_of(data)
    getting = get(mesh, cid, 3)
    Line.until(lambda: come(mesh, cid, 3) > 2_000_000)
    mesh.kill(victim)
    mesh.start(victim)
    if victim == 3:
        out, err = getting.communicate(timeout=60)
        assert getting.returncode == 1 and "the same command goes on" in err + out
        Line.until(lambda: mesh.reaches(3, 0))
        getting = get(mesh, cid, 3)
    found = facts(getting)
    assert found["bytes"] == len(data)
    if victim == 3:
        assert found["resumed_bytes"] > 1_000_000
    assert mesh.client(3).blob(cid) == data


def test_an_interrupted_fetch_says_what_stays_and_goes_on_from_there(mesh: Line) -> None:
    data = os.urandom(24_000_000)
    cid = mesh.client(0).put_blob(data)
    getting = get(mesh, cid, 3)
    Line.until(lambda: come(mesh, cid, 3) > 2_000_000)
    getting.send_signal(2)
    _, err = getting.communicate(timeout=30)
    assert getting.returncode == 130 and "stay in the daemon's store" in err
    time.sleep(2.0)  # what was under way comes, and no more
    before = come(mesh, cid, 3)
    time.sleep(1.0)
    assert come(mesh, cid, 3) == before < len(data)
    assert facts(get(mesh, cid, 3))["resumed_bytes"] > 1_000_000
