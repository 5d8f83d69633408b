"""What the tests of links share: real libp2p hosts on loopback, and what they posted."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from meshd.adapters.identity import Identity
from meshd.adapters.libp2p import Libp2pLinks
from meshd.adapters.links_host import GuardedTcp, build_host
from meshd.seam import Event, FrameReceived, LinkFailed, LinkUp
from protocols.link import PROTOCOL
from protocols.types import LinkId, NodeId

ANYWHERE = ("/ip4/127.0.0.1/tcp/0",)
E = TypeVar("E")


def identity(number: int) -> Identity:
    return Identity.from_seed(bytes([number]) * 32)


@dataclass
class Station:
    """A host under test, and everything it has posted."""

    links: Libp2pLinks
    events: list[Event]
    times: list[float]
    addresses: tuple[str, ...] = ()
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def node(self) -> NodeId:
        return self.links.identity.node_id

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def event(self, kind: type[E], index: int = 0) -> E:
        """The n-th event of a kind, once it has come."""
        await until(lambda: len(self.of(kind)) > index)
        return self.of(kind)[index]

    def frames(self) -> list[bytes]:
        return [event.frame for event in self.of(FrameReceived)]


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is another library's state
            await trio.sleep(0.005)


@asynccontextmanager
async def stations(count: int, **options: Any) -> AsyncIterator[list[Station]]:
    """Hosts on loopback, running."""
    made = [station(number + 1, **options) for number in range(count)]
    async with trio.open_nursery() as nursery:
        for one in made:
            one.addresses = await nursery.start(run, one)
        yield made
        nursery.cancel_scope.cancel()


def station(number: int, listen: tuple[str, ...] = ANYWHERE, **options: Any) -> Station:
    events: list[Event] = []
    times: list[float] = []

    def post(event: Event) -> None:
        events.append(event)
        times.append(time.perf_counter())

    return Station(Libp2pLinks(identity(number), listen, post, **options), events, times)


async def run(one: Station, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    with one.scope:
        await one.links.run(task_status=task_status)


async def join(a: Station, b: Station) -> tuple[LinkId, LinkId]:
    """A link from a to b: its id at both ends."""
    ups = len(a.of(LinkUp)), len(b.of(LinkUp))
    a.links.open(b.node, b.addresses)
    return (await a.event(LinkUp, ups[0])).link, (await b.event(LinkUp, ups[1])).link


def open_files() -> int:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def tasks() -> int:
    waiting, count = [trio.lowlevel.current_root_task()], 0
    while waiting:
        task = waiting.pop()
        count += 1
        for nursery in task.child_nurseries if task else ():
            waiting += nursery.child_tasks
    return count


@asynccontextmanager
async def raw_host(number: int, **options: Any) -> AsyncIterator[Any]:
    """A libp2p host that is not ours to trust."""
    host = (
        build_host(identity(number), GuardedTcp(100), connections_max=100, negotiate_s=5.0)
        if not options
        else new_host(key_pair=create_new_key_pair(bytes([number]) * 32), **options)
    )
    async with host.run([Multiaddr(ANYWHERE[0])]):
        try:
            yield host
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(3):
                await host.close()


async def raw_stream(host: Any, to: Station, protocol: str = PROTOCOL) -> Any:
    where = Multiaddr(to.addresses[0].rpartition("/p2p/")[0])
    connection = await host.get_network().dial_addr(where, ID.from_base58(to.node))
    stream = await host.new_stream(ID.from_base58(to.node), [TProtocol(protocol)])
    return stream, connection


async def failure(a: Station, node: NodeId, *addresses: str) -> LinkFailed:
    count = len(a.of(LinkFailed))
    a.links.open(node, addresses)
    return await a.event(LinkFailed, count)
