"""A daemon that is stopped (SIGSTOP) is noticed by its neighbour, and linked when it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MESHD, WITHIN_S, meshd, until


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Two daemons of their own: home and facts of each. Nobody is left standing still."""
    facts: dict[str, Any] = {}
    for name in ("ann", "ben"):
        up = (*MESHD, "up", "-d", "--json", "--home", str(tmp_path / name), "--name", name)
        done = subprocess.run(up, capture_output=True, text=True, timeout=WITHIN_S, check=True)
        facts[name] = {**json.loads(done.stdout), "folder": tmp_path / name}
    try:
        address = facts["ben"]["addresses"][0]
        assert meshd("connect", address, home=tmp_path / "ann").code == 0
        yield facts
    finally:
        for each in facts.values():
            os.kill(each["pid"], signal.SIGCONT)
            meshd("down", home=each["folder"])


def peers(of: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in meshd("peers", "--json", home=of["folder"]).json if row["ready"]]


def state(of: dict[str, Any], name: str) -> str:
    """What a daemon thinks of another."""
    rows = meshd("nodes", "--json", home=of["folder"]).json
    return next((str(row["state"]) for row in rows if row["name"] == name), "unknown")


def test_a_stopped_process_is_noticed_and_comes_back(pair: dict[str, Any]) -> None:
    ann, ben = pair["ann"], pair["ben"]
    until(lambda: len(peers(ann)) == 1 and state(ann, "ben") == "alive", 10)
    os.kill(ben["pid"], signal.SIGSTOP)
    until(lambda: peers(ann) == [], 10)  # two beats, and what a command takes on a busy computer
    until(lambda: state(ann, "ben") == "gone", 10)
    os.kill(ben["pid"], signal.SIGCONT)
    until(lambda: len(peers(ann)) == 1 and len(peers(ben)) == 1, 30)
    until(lambda: state(ann, "ben") == state(ben, "ann") == "alive", 10)
