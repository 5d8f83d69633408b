"""Hosts of their own on one switch, made of network namespaces: addresses, cables, a partition.

Needs Linux, iproute2 and the right to make namespaces (root). Nothing leaves the machine: no
namespace here has a way to its host's network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

PORT = 4001


class Network:
    """`count` hosts; host n has the address 10.77.0.(n + 1)/24."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._tag = f"meshd{os.getpid()}"
        self._switch = f"{self._tag}-switch"
        self._names = [self._switch, *map(self.name, range(count))]

    def name(self, host: int) -> str:
        return f"{self._tag}-h{host}"

    def address(self, host: int) -> str:
        return f"/ip4/10.77.0.{host + 1}/tcp/{PORT}"

    def make(self) -> None:
        for name in self._names:
            run("ip", "netns", "add", name)
        for bridge in ("left", "right"):
            run(*self._on_switch, "ip", "link", "add", bridge, "type", "bridge")
            run(*self._on_switch, "ip", "link", "set", bridge, "up")
        for host in range(self.count):
            self._plug_in(host)

    def remove(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def inside(self, host: int) -> tuple[str, ...]:
        """What a command begins with that is to run on a host."""
        return ("ip", "netns", "exec", self.name(host))

    def part(self, away: Sequence[int]) -> None:
        """These hosts reach each other alone, and so do the others."""
        for host in range(self.count):
            bridge = "right" if host in away else "left"
            run(*self._on_switch, "ip", "link", "set", f"port{host}", "master", bridge)

    def heal(self) -> None:
        self.part(())

    def impair(self, delay_ms: int, loss_percent: int) -> None:
        """Every host sends late, and loses some. Raises CalledProcessError without netem."""
        for host in range(self.count):
            given = ("delay", f"{delay_ms}ms", "loss", f"{loss_percent}%")
            run(
                *self.inside(host), "tc", "qdisc", "replace", "dev", "eth0", "root", "netem", *given
            )

    def mend(self) -> None:
        for host in range(self.count):
            run(*self.inside(host), "tc", "qdisc", "del", "dev", "eth0", "root")

    @property
    def _on_switch(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._switch)

    def _plug_in(self, host: int) -> None:
        name, port = self.name(host), f"port{host}"
        ends = ("eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", self._switch)
        run("ip", "link", "add", *ends)
        run(*self._on_switch, "ip", "link", "set", port, "master", "left", "up")
        run(*self.inside(host), "ip", "addr", "add", f"10.77.0.{host + 1}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            run(*self.inside(host), "ip", "link", "set", device, "up")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)


def why_not() -> str | None:
    """Why no namespace can be made here; None if one can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    name = f"meshd{os.getpid()}-try"
    tried = subprocess.run(
        ["ip", "netns", "add", name], check=False, capture_output=True, text=True
    )
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    run("ip", "netns", "del", name)
    return None
