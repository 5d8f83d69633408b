"""Five daemons on five hosts with addresses of their own: cut apart, killed, stopped, slowed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from network import Network, why_not

from meshd.client import Mesh
from meshd.client.connection import Client
from meshd.examples import DIGITS
from tests.cli.conftest import MESHD, meshd, until

HOSTS = 5
WITHIN_S = 90.0
_WHY_NOT = why_not()

pytestmark = pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))


class Hosts:
    """The daemons h0 - h1 - h2 - h3 - h4 - h0, in a ring, each on its host."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self._folder = folder
        self._pids: dict[int, int] = {}

    def begin(self) -> None:
        for host in range(HOSTS):
            self.start(host)
        for host in range(HOSTS):
            beside = (host + 1) % HOSTS
            (address,) = meshd("id", "--json", home=self.home(beside)).json["addresses"]
            assert address.startswith(self.network.address(beside) + "/p2p/")
            assert meshd("connect", address, home=self.home(host)).code == 0
        for host in range(HOSTS):
            self.settle(host)

    def settle(self, host: int) -> None:
        """Wait until a host's daemon has both its links, and a way to every other."""
        until(partial(is_settled, self.mesh(host)), WITHIN_S)

    def state(self, host: int, letter: str) -> str:
        return str(Client(self.home(host)).get(f"/v1/letters/{letter}")["state"])

    def end(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)

    def home(self, host: int) -> Path:
        return self._folder / f"h{host}"

    def mesh(self, host: int) -> Mesh:
        return Mesh(self.home(host))

    def start(self, host: int) -> None:
        up = ("up", "-d", "--json", "--name", f"h{host}", "--accept-jobs", "yes")
        where = ("--listen", self.network.address(host), "--home", str(self.home(host)))
        command = [*self.network.inside(host), *MESHD, *up, *where]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        assert ran.returncode == 0, ran
        self._pids[host] = meshd("id", "--json", home=self.home(host)).json["pid"]

    def kill(self, host: int) -> None:
        os.kill(self._pids.pop(host), signal.SIGKILL)

    @contextlib.contextmanager
    def stopped(self, host: int) -> Iterator[None]:
        os.kill(self._pids[host], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pids[host], signal.SIGCONT)


def is_settled(mesh: Mesh) -> bool:
    reachable = sum(node["reachable"] for node in mesh.nodes())
    return reachable == HOSTS and mesh.status()["peers"] == 2


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    network = Network(HOSTS)
    made = Hosts(network, tmp_path_factory.mktemp("hosts"))
    try:
        network.make()
        made.begin()
        yield made
    finally:
        made.end()
        network.remove()


def read(mesh: Mesh, port: str, count: int) -> list[bytes]:
    return [letter.body for letter in islice(mesh.receive(port, wait_s=WITHIN_S), count)]


def test_letters_wait_for_a_partition_to_heal(hosts: Hosts) -> None:
    hosts.network.part((0, 1))
    sent = [hosts.mesh(0).send("h3", b"%d" % n, "cut", wait=False) for n in range(5)]
    # The two sides work on: within each, letters arrive at once.
    near = hosts.mesh(1).send("h0", b"here", "near"), hosts.mesh(4).send("h2", b"there", "near")
    assert (hosts.state(1, near[0]), hosts.state(4, near[1])) == ("delivered", "delivered")
    assert {hosts.state(0, letter) for letter in sent} == {"sending"}
    hosts.network.heal()
    assert sorted(read(hosts.mesh(3), "cut", 5)) == [b"%d" % n for n in range(5)]
    hosts.settle(0)


def test_a_stream_outlives_a_kill_on_its_way(hosts: Hosts) -> None:
    sent = [b"%d" % n for n in range(20)]
    for n, body in enumerate(sent):
        hosts.mesh(1).send("h3", body, "kill", stream="s", wait=False)
        if n == 10:
            hosts.kill(2)
    hosts.start(2)
    assert read(hosts.mesh(3), "kill", 20) == sent
    hosts.settle(2)


def test_letters_go_round_a_host_that_stands_still(hosts: Hosts) -> None:
    with hosts.stopped(2):
        for n in range(5):
            hosts.mesh(1).send("h3", b"%d" % n, "stop", wait=False)
        assert sorted(read(hosts.mesh(3), "stop", 5)) == [b"%d" % n for n in range(5)]
    hosts.settle(2)


def test_a_job_completes_though_a_host_is_killed(hosts: Hosts) -> None:
    file = str(DIGITS / "digits.job.toml")
    ran = meshd("job", "submit", file, "--detach", home=hosts.home(0))
    assert ran.code == 0, ran
    hosts.kill(3)
    watched = meshd("job", "watch", ran.out.strip(), "--json", home=hosts.home(0))
    last = json.loads(watched.out.splitlines()[-1])
    assert (watched.code, last["status"]) == (0, "completed"), watched
    hosts.start(3)
    hosts.settle(3)


def test_what_the_network_delays_and_loses_still_arrives(hosts: Hosts) -> None:
    try:
        hosts.network.impair(delay_ms=20, loss_percent=2)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this kernel has no netem: {error.stderr.strip()}")
    try:
        hosts.settle(1)
        ping = meshd("ping", "h2", "--count", "3", "--json", home=hosts.home(1)).json
        assert min(row["measured_rtt_ms"] for row in ping["pings"] if row["ok"]) >= 40.0
        for n in range(20):
            hosts.mesh(1).send("h4", b"%d" % n, "slow", wait=False)
        assert sorted(read(hosts.mesh(4), "slow", 20)) == sorted(b"%d" % n for n in range(20))
    finally:
        hosts.network.mend()
