"""Four real daemons, started once: alice - bob - carol in a line, and dave by himself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WITHIN_S = 40
MESHD = (sys.executable, "-m", "meshd.cli")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def meshd(*arguments: str, home: Path | None = None) -> Ran:
    """Run the command in a process, as a person would."""
    given = [*arguments, *(["--home", str(home)] if home is not None else [])]
    done = subprocess.run(
        [*MESHD, *given],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env={key: value for key, value in os.environ.items() if not key.startswith("MESHD_")},
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def until(holds: Callable[[], object], within_s: float) -> float:
    """Wait for what real daemons will do; how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + within_s, "not in time"
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass(frozen=True)
class Homes:
    """Where the daemons live, by name, and who they said they are when they came up."""

    folder: Path
    facts: dict[str, Any]

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def address(self, name: str) -> str:
        return str(self.facts[name]["addresses"][0])

    def id(self, name: str) -> str:
        return str(self.facts[name]["id"])


FLAGS = {
    "alice": ("--allow-command", "--slots", "2"),
    "bob": (),
    "carol": ("--allow-command",),
    "dave": (),
}


@pytest.fixture(scope="session")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    folder = tmp_path_factory.mktemp("homes")
    starting = {
        name: subprocess.Popen(
            [*MESHD, "up", "-d", "--json", "--home", str(folder / name), "--name", name, *flags],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, flags in FLAGS.items()
    }
    facts = {}
    try:
        for name, process in starting.items():
            out, _ = process.communicate(timeout=WITHIN_S)
            assert process.returncode == 0, (name, out)
            facts[name] = json.loads(out)
        yield Homes(folder, facts)
    finally:
        for name in facts:
            if (folder / name / "api.sock").exists():
                assert meshd("down", home=folder / name).code == 0


@pytest.fixture(scope="session")
def mesh(daemons: Homes) -> Homes:
    """alice and carol linked to bob, and all three known to each other."""
    for name in ("alice", "carol"):
        ran = meshd("connect", daemons.address("bob"), home=daemons[name])
        assert ran.code == 0, ran.err
        assert "linked to bob" in ran.out
    for name in ("alice", "bob", "carol"):
        for _ in range(40):
            nodes = meshd("nodes", "--json", home=daemons[name]).json
            if len([row for row in nodes if row["reachable"] and row["slots"]]) == 3:
                break
        else:
            raise AssertionError(f"{name} knows only {nodes}")
    return daemons
