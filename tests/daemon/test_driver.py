"""The trio loop around a node: what it bounds, and in which order it commits."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from meshd.driver import INBOX_BYTES_MAX, INBOX_FRAMES_MAX, Driver, Ports
from meshd.node import Node, NodeConfig
from meshd.seam import FrameReceived, LinkDown, Persist, RunShard
from protocols.types import SECOND, Instant, LinkId, NodeId
from sim.chance import make_verifier, signer, stream
from sim.stores import MemoryBlobs
from tests.daemon.conftest import until

ME = NodeId("me")


class Stub:
    """A clock that stands, links and workers that nobody uses, a store that remembers commits."""

    def __init__(self) -> None:
        self.commits: list[list[tuple[str, bytes | None]]] = []
        self.gate = trio.Event()

    def now(self) -> Instant:
        return 1_000 * SECOND

    def real_seconds_until(self, instant: Instant) -> float:
        return max(0.0, (instant - self.now()) / SECOND)

    def open(self, node: NodeId, addresses: tuple[str, ...]) -> None:
        raise AssertionError(node)

    def close(self, link: LinkId, code: str) -> None:
        raise AssertionError(code)

    def send(self, link: LinkId, frame: bytes) -> None:
        raise AssertionError(link)

    def run(self, shard: RunShard) -> None:
        raise AssertionError(shard)

    def stop(self, run: str) -> None:
        raise AssertionError(run)

    def load(self) -> tuple[tuple[str, bytes], ...]:
        return ()

    async def commit(self, rows: list[tuple[str, bytes | None]]) -> None:
        await self.gate.wait()
        self.commits.append(rows)


def a_driver(stub: Stub) -> Driver:
    node = Node(NodeConfig(ME, "me"), stream(1, "me"), signer(ME), make_verifier())
    return Driver(node, Ports(stub, stub, stub, MemoryBlobs(), stub))


@pytest.mark.parametrize(
    ("frame", "fit"), [(b"x", INBOX_FRAMES_MAX), (bytes(1 << 18), INBOX_BYTES_MAX >> 18)]
)
async def test_a_full_inbox_lets_links_wait_until_the_node_has_taken_what_came(
    frame: bytes, fit: int
) -> None:
    driver, sent = a_driver(Stub()), 0

    async def link() -> None:
        nonlocal sent
        while sent < 3 * fit:
            await driver.room()
            driver.post(FrameReceived(LinkId(1), frame))
            sent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link)
        await trio.testing.wait_all_tasks_blocked()
        assert (sent, driver.inbox_full) == (fit, 1)
        driver.post(LinkDown(LinkId(1), "peer-closed"))  # what is no frame always has room
        driver.ports.store.gate.set()  # type: ignore[attr-defined]
        nursery.start_soon(driver.run)
        await until(lambda: driver.handled >= 3 * fit + 2)
        assert sent == 3 * fit
        nursery.cancel_scope.cancel()


async def test_rows_are_committed_in_the_order_of_their_events() -> None:
    """Two batches wait for one slow commit: the later value of a key must win."""
    stub = Stub()
    driver = a_driver(stub)
    stub.gate.set()
    async with trio.open_nursery() as nursery:
        await nursery.start(driver.run)
        stub.gate = trio.Event()
        for number in range(20):
            driver._perform([Persist("key", str(number).encode())])
        stub.gate.set()
        await until(lambda: any(("key", b"19") in rows for rows in stub.commits))
        nursery.cancel_scope.cancel()
    values = [value for rows in stub.commits for key, value in rows if key == "key"]
    assert values == [str(number).encode() for number in range(20)]


async def test_nothing_is_taken_before_the_first_commit_of_a_life_is_on_disk() -> None:
    """Sequence numbers are reserved in it: seeds 5, 25 and 26 of the swarm used them before."""
    stub = Stub()
    driver = a_driver(stub)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.run)
        driver.post(LinkDown(LinkId(1), "peer-closed"))
        await trio.testing.wait_all_tasks_blocked()
        assert (driver.handled, stub.commits) == (1, [])
        stub.gate.set()
        await until(lambda: driver.handled > 1)
        assert stub.commits[0] == [("sequence", b"1000")]
        nursery.cancel_scope.cancel()
