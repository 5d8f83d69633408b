"""A line of real daemons, a process each, joined by standing links: n0 - n1 - n2 ..."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from meshd.client.connection import Client

MESHD = (sys.executable, "-m", "meshd.cli")
WITHIN_S = 90.0


class Line:
    """Daemons by number. `kill` is a SIGKILL; `start` brings one up again in its old home."""

    def __init__(self, folder: Path, flags: tuple[str, ...] = ()) -> None:
        self._folder, self._flags = folder, flags
        self.facts: list[dict[str, Any]] = []

    def home(self, number: int) -> Path:
        return self._folder / f"n{number}"

    def client(self, number: int) -> Client:
        return Client(self.home(number))

    def process(self, number: int) -> psutil.Process:
        return psutil.Process(self.facts[number]["pid"])

    def start(self, *numbers: int) -> None:
        """Bring daemons up, all at once."""
        starting = [(number, self._up(number)) for number in numbers]
        self.facts += [{}] * (max(numbers) + 1 - len(self.facts))
        for number, process in starting:
            out, _ = process.communicate(timeout=WITHIN_S)
            assert process.returncode == 0, out
            self.facts[number] = json.loads(out)

    def _up(self, number: int) -> subprocess.Popen[str]:
        where = ["--home", str(self.home(number)), "--name", f"n{number}"]
        words = [*MESHD, "up", "-d", "--json", *where, *self._flags]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def kill(self, number: int) -> None:
        os.kill(self.facts[number]["pid"], signal.SIGKILL)
        self.process(number).wait(10.0) if psutil.pid_exists(self.facts[number]["pid"]) else None

    def join(self) -> None:
        """Link each to the one before it, and wait until the ends know each other."""
        for number in range(1, len(self.facts)):
            before = self.facts[number - 1]["addresses"][0]
            self.client(number).post("/v1/connect", address=before)
        last = len(self.facts) - 1
        self.until(lambda: self.reaches(last, 0) and self.reaches(0, last))

    def reaches(self, number: int, other: int) -> bool:
        rows = self.client(number).get("/v1/nodes")
        return any(row["name"] == f"n{other}" and row["reachable"] for row in rows)

    @staticmethod
    def until(done: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        ends = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < ends, "it took too long"
            time.sleep(0.1)


@contextmanager
def line(folder: Path, count: int, *flags: str) -> Iterator[Line]:
    """So many daemons in a line, up and joined."""
    made = Line(folder, flags)
    try:
        made.start(*range(count))
        made.join()
        yield made
    finally:
        for facts in made.facts:
            if facts and psutil.pid_exists(facts["pid"]):
                os.kill(facts["pid"], signal.SIGKILL)
