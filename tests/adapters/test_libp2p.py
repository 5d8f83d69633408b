"""Links between real libp2p hosts on loopback."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamReset
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr

from meshd.adapters.identity import Identity
from meshd.adapters.libp2p import Libp2pLinks, Limits
from meshd.adapters.links_host import GuardedTcp, build_host
from meshd.adapters.links_stream import LinkLimits
from meshd.seam import Event, FrameReceived, LinkDown, LinkFailed, LinkPort, LinkUp
from protocols.errors import MeshError
from protocols.frame import FRAME_BYTES_MAX, encode_frame
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


# --- Up, and frames ---------------------------------------------------------------------------


async def test_a_link_comes_up_at_both_ends() -> None:
    async with stations(2) as (a, b):
        port: LinkPort = a.links
        started = time.perf_counter()
        port.open(b.node, b.addresses)
        at_a, at_b = await a.event(LinkUp), await b.event(LinkUp)
        # py-libp2p's own `connect` sleeps 0.25 s after success; 0.05 s is usual here.
        assert time.perf_counter() - started < 0.25
        assert (at_a.node, at_a.dialled, at_a.address) == (b.node, True, b.addresses[0])
        assert (at_b.node, at_b.dialled) == (a.node, False)
        assert at_b.address.startswith("/ip4/127.0.0.1/tcp/")
        (info,) = a.links.peers()
        assert (info.link, info.node, info.dialled) == (at_a.link, b.node, True)


async def test_addresses_name_the_node() -> None:
    async with stations(1, listen=("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0")) as (a,):
        assert len(a.addresses) == 2
        assert all(address.endswith(f"/p2p/{a.node}") for address in a.addresses)
        assert not any("/tcp/0/" in address for address in a.addresses)
        async with stations(2) as (_, b):
            b.links.open(a.node, (a.addresses[1],))
            assert (await a.event(LinkUp)).address.startswith("/ip6/::1/tcp/")


async def test_frames_both_ways_in_order() -> None:
    async with stations(2) as (a, b):
        link_a, link_b = await join(a, b)
        there = [i.to_bytes(4, "big") * (1 + i % 50) for i in range(1000)]
        back = [bytes([i]) * FRAME_BYTES_MAX for i in range(8)]
        for frame in there:
            a.links.send(link_a, frame)
        for frame in back:
            b.links.send(link_b, frame)
        await until(lambda: len(a.frames()) == len(back) and len(b.frames()) == len(there))
        assert (a.frames(), b.frames()) == (back, there)
        (info,) = b.links.peers()
        assert (info.frames_in, info.frames_out) == (1000, 8)
        assert (info.bytes_in, info.bytes_out) == (
            sum(map(len, there)) + 4000,
            sum(map(len, back)) + 32,
        )


async def test_several_links_to_one_node_are_apart() -> None:
    async with stations(2) as (a, b):
        pairs = [await join(a, b) for _ in range(3)]
        assert len({link for link, _ in pairs}) == 3
        a.links.close(pairs[1][0], "one")
        assert await b.event(LinkDown) == LinkDown(pairs[1][1], "peer-closed")
        for link, _ in (pairs[0], pairs[2]):
            a.links.send(link, b"still here")
        await until(lambda: len(b.frames()) == 2)
        assert [event.link for event in b.of(FrameReceived)] == [pairs[0][1], pairs[2][1]]


async def test_two_that_dial_each_other_at_once_have_two_links() -> None:
    async with stations(2) as (a, b):
        a.links.open(b.node, b.addresses)
        b.links.open(a.node, a.addresses)
        await until(lambda: len(a.of(LinkUp)) == 2 and len(b.of(LinkUp)) == 2)
        assert sorted(up.dialled for up in a.of(LinkUp)) == [False, True]


async def test_emulated_light_time_is_never_short_and_frames_fly_together() -> None:
    async with stations(2, emulate=lambda node: 0.2) as (a, b):
        link, _ = await join(a, b)
        sent = []
        for i in range(50):
            sent.append(time.perf_counter())
            a.links.send(link, bytes([i]))
            await trio.sleep(0.002)
        await until(lambda: len(b.frames()) == 50)
        assert b.frames() == [bytes([i]) for i in range(50)]
        flights = [at - out for at, out in zip(b.times[1:], sent, strict=True)]
        assert min(flights) >= 0.2
        assert b.times[-1] - sent[0] < 1.5  # 50 flights, one after another, would take 10 s


# --- Ends ---------------------------------------------------------------------------------------


async def test_close_sends_what_was_queued_and_is_said_once() -> None:
    async with stations(2) as (a, b):
        link_a, link_b = await join(a, b)
        for _ in range(20):
            a.links.send(link_a, bytes(20_000))
        a.links.send(link_a, b"goodbye")
        a.links.close(link_a, "window-over")
        a.links.close(link_a, "again")
        a.links.send(link_a, b"after the end")
        assert await a.event(LinkDown) == LinkDown(link_a, "window-over")
        assert await b.event(LinkDown) == LinkDown(link_b, "peer-closed")
        assert b.frames()[-1] == b"goodbye"
        assert len(b.frames()) == 21
        await trio.sleep(0.1)
        assert len(a.of(LinkDown)) == len(b.of(LinkDown)) == 1
        assert a.links.peers() == b.links.peers() == ()
        for one in (a, b):
            await until(lambda one=one: not one.links._host.get_network().connections)


async def test_outbox_is_bounded() -> None:
    limits = Limits(link=LinkLimits(outbox_frames_max=100))
    async with stations(2, limits=limits) as (a, b):
        link_a, link_b = await join(a, b)
        for _ in range(101):
            a.links.send(link_a, b"x")
        assert await a.event(LinkDown) == LinkDown(link_a, "outbox-full")
        assert await b.event(LinkDown) == LinkDown(link_b, "peer-closed")


async def test_a_peer_that_reads_nothing_is_left() -> None:
    limits = Limits(link=LinkLimits(write_seconds_max=0.5, outbox_bytes_max=30_000_000))
    async with stations(1, limits=limits) as (a,), raw_host(9) as host:
        await raw_stream(host, a)
        up = await a.event(LinkUp)
        for _ in range(100):  # 20 MB: yamux windows grow to 16 MB, even while nothing much is read
            a.links.send(up.link, bytes(200_000))
        assert await a.event(LinkDown) == LinkDown(up.link, "write-timeout")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ((FRAME_BYTES_MAX + 1).to_bytes(4, "big"), "frame-too-long"),
        (b"\xff" * 100, "frame-too-long"),
        (bytes(4), "frame-empty"),
        (encode_frame(b"whole") + b"\x00\x00\x00\x09part", "frame-truncated"),
    ],
)
async def test_a_bad_frame_ends_its_link_alone(data: bytes, code: str) -> None:
    async with stations(2) as (a, b), raw_host(9) as host:
        link_b, _ = await join(b, a)
        bad, _ = await raw_stream(host, a)
        up = await a.event(LinkUp, 1)
        await bad.write(data)
        if code == "frame-truncated":
            await bad.close()
        assert await a.event(LinkDown) == LinkDown(up.link, code)
        b.links.send(link_b, b"unharmed")
        await until(lambda: b"unharmed" in a.frames())
        assert not b.of(LinkDown)


async def test_kill_9_is_noticed() -> None:
    code = f"""
import trio
from meshd.adapters.identity import Identity
from meshd.adapters.libp2p import Libp2pLinks
links = Libp2pLinks(Identity.from_seed(bytes([7]) * 32), {ANYWHERE!r}, lambda event: None)
async def main():
    async with trio.open_nursery() as nursery:
        async def run(task_status):
            await links.run(task_status=task_status)
        sys.stdout.write((await nursery.start(run))[0] + "\\n")
        sys.stdout.flush()
import sys
trio.run(main)
"""
    async with trio.open_nursery() as nursery, stations(1) as (a,):
        child = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, "-c", code],
                stdout=subprocess.PIPE,
                check=False,
            )
        )
        address = (await child.stdout.receive_some()).decode().strip()
        a.links.open(identity(7).node_id, (address,))
        up = await a.event(LinkUp)
        os.kill(child.pid, signal.SIGKILL)
        killed = time.perf_counter()
        assert await a.event(LinkDown) == LinkDown(up.link, "peer-closed")
        assert time.perf_counter() - killed < 1.0


async def test_cancelling_closes_every_socket() -> None:
    before_files, before_tasks = open_files(), tasks()
    async with stations(4) as made:
        hub, *others = made
        for other in others:
            await join(hub, other)
            await join(other, hub)
        started = time.perf_counter()
        hub.scope.cancel()
        for other in others:
            await until(lambda other=other: len(other.of(LinkDown)) == 2)
        assert time.perf_counter() - started < 2.0
        assert not hub.of(LinkDown)  # whoever cancels knows
    await until(lambda: open_files() == before_files)
    assert tasks() == before_tasks


async def test_a_hundred_links_leave_nothing_behind() -> None:
    async with stations(2) as (a, b):

        async def cycle() -> None:
            link, _ = await join(a, b)
            a.links.close(link, "cycle")
            await until(lambda: not b.links.peers())

        for _ in range(5):
            await cycle()
        await trio.sleep(1.6)
        before = open_files(), tasks()
        for _ in range(100):
            await cycle()
        assert len(a.of(LinkDown)) == len(b.of(LinkDown)) == 105
        await trio.sleep(1.6)
        assert (open_files(), tasks()) == before


async def test_links_do_not_use_up_a_hosts_inbound_slots() -> None:
    # py-libp2p's own listener keeps a slot for every connection it ever took.
    async with stations(2, limits=Limits(links_max=2)) as (a, b):
        for _ in range(10):
            link, _ = await join(a, b)
            a.links.close(link, "cycle")
            await until(lambda: not b.links.peers() and not a.links.peers())
            await trio.sleep(0.3)
            await until(lambda: not b.links._host.get_network().connections)
            await until(lambda: b.links._transport.inbound < 3)


# --- Dials that fail ----------------------------------------------------------------------------


async def failure(a: Station, node: NodeId, *addresses: str) -> LinkFailed:
    count = len(a.of(LinkFailed))
    a.links.open(node, addresses)
    return await a.event(LinkFailed, count)


async def test_another_node_at_the_address() -> None:
    async with stations(3) as (a, b, c):
        where = b.addresses[0].rpartition("/p2p/")[0]
        for address in (b.addresses[0], where):
            failed = await failure(a, c.node, address)
            assert (failed.node, failed.code) == (c.node, "id-mismatch")
        await join(a, b)
        await until(lambda: len(b.links._host.get_network().connections) == 1)


async def test_a_refused_dial_is_not_remembered() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        listen = (f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}",)
    async with stations(1) as (a,):
        node = identity(2).node_id
        for _ in range(3):
            assert (await failure(a, node, *listen)).code == "dial-refused"
        async with trio.open_nursery() as nursery:
            b = station(2, listen)
            b.addresses = await nursery.start(run, b)
            await join(a, b)
            nursery.cancel_scope.cancel()


async def test_addresses_are_tried_in_order() -> None:
    async with stations(2) as (a, b):
        a.links.open(b.node, ("nonsense", "/ip4/127.0.0.1/tcp/1", *b.addresses))
        assert (await a.event(LinkUp)).address == b.addresses[0]
        assert not a.of(LinkFailed)


async def test_addresses_that_cannot_be_dialled() -> None:
    async with stations(1) as (a,):
        node = identity(2).node_id
        for addresses in ((), ("nonsense",), ("/ip4/127.0.0.1/udp/1/quic-v1",)):
            assert (await failure(a, node, *addresses)).code == "bad-address"
        unresolved = await failure(a, node, "/ip4/255.255.255.255/tcp/1")
        assert unresolved.code == "dial-unreachable"


async def test_what_answers_is_no_mesh_node() -> None:
    async with stations(1, limits=Limits(dial_s=0.5, negotiate_s=2.0)) as (a,):
        node = identity(9).node_id

        async def hang_up(stream: trio.SocketStream) -> None:
            await stream.aclose()

        async def say_nothing(stream: trio.SocketStream) -> None:
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            for handler, code in ((hang_up, "dial-closed"), (say_nothing, "dial-timeout")):
                serve = partial(trio.serve_tcp, handler, 0, host="127.0.0.1")
                listeners = await nursery.start(serve)
                port = listeners[0].socket.getsockname()[1]
                assert (await failure(a, node, f"/ip4/127.0.0.1/tcp/{port}")).code == code
            nursery.cancel_scope.cancel()
        async with raw_host(9) as host:
            failed = await failure(a, node, str(host.get_addrs()[0]))
            assert failed.code == "protocol-unsupported"
        keys = create_new_key_pair(bytes([9]) * 32)
        plaintext = {PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)}
        async with raw_host(9, sec_opt=plaintext) as host:
            assert (await failure(a, node, str(host.get_addrs()[0]))).code == "noise-failed"


async def test_dials_are_bounded() -> None:
    async with stations(1, limits=Limits(dials_max=3)) as (a,):
        for _ in range(5):
            a.links.open(identity(2).node_id, ("/ip4/127.0.0.1/tcp/1",))
        await a.event(LinkFailed, 4)
        codes = sorted(failed.code for failed in a.of(LinkFailed))
        assert codes == ["dial-refused"] * 3 + ["too-many-dials"] * 2


async def until_hung_up(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


# --- Strangers ----------------------------------------------------------------------------------


async def test_strangers_leave_the_daemon_serving() -> None:
    before = open_files()
    async with stations(2, limits=Limits(negotiate_s=0.6)) as (a, b):
        port = int(a.addresses[0].split("/")[4])
        keys = create_new_key_pair(bytes([9]) * 32)
        plaintext = {PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)}
        async with raw_host(9, sec_opt=plaintext) as host:
            with pytest.raises(SwarmException, match="upgrade security"):
                await raw_stream(host, a)
        for garbage in (b"\x00", b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)):
            async with await trio.open_tcp_stream("127.0.0.1", port) as scanner:
                await scanner.send_all(garbage)
                with trio.move_on_after(0.05):
                    await until_hung_up(scanner)
        async with await trio.open_tcp_stream("127.0.0.1", port) as silent:
            with trio.fail_after(5):
                await until_hung_up(silent)  # its 0.6 s to shake hands are over
        await join(b, a)
        await until(lambda: a.links._transport.inbound == 1)
    await until(lambda: open_files() == before)


async def test_a_connection_without_a_link_is_dropped() -> None:
    async with stations(1, limits=Limits(negotiate_s=0.5)) as (a,), raw_host(9) as host:
        where = Multiaddr(a.addresses[0].rpartition("/p2p/")[0])
        connection = await host.get_network().dial_addr(where, ID.from_base58(a.node))
        await until(lambda: connection.is_closed, within_s=3.0)
        assert a.events == []


async def test_links_are_bounded_in_all_and_for_each_node() -> None:
    limits = Limits(links_max=3, links_per_node_max=2)
    async with stations(1, limits=limits) as (hub,), raw_host(9) as host, raw_host(8) as other:
        for stranger, links in ((host, 2), (other, 3)):
            for _ in range(3):
                with suppress(StreamFailure):
                    await raw_stream(stranger, hub)
            await until(lambda links=links: len(hub.of(LinkUp)) == links)
        assert len(hub.links.peers()) == 3
        assert (await failure(hub, identity(9).node_id, *ANYWHERE)).code == "too-many-links"


async def test_streams_on_a_connection_are_bounded() -> None:
    async with stations(1) as (a,), raw_host(9) as host:
        _, connection = await raw_stream(host, a)
        opened = [await connection.new_stream() for _ in range(40)]
        await trio.sleep(0.3)
        (theirs,) = a.links._host.get_network().get_connections()
        assert len(theirs.streams) <= 17
        assert len(opened) == 40
        a.links.send(a.of(LinkUp)[0].link, b"still here")
        await trio.sleep(0.05)
        assert not a.of(LinkDown)


async def test_identify_and_ping_are_answered() -> None:
    async with stations(1) as (a,), raw_host(9) as host:
        await raw_stream(host, a)
        ping, _ = await raw_stream(host, a, "/ipfs/ping/1.0.0")
        await ping.write(b"p" * 32)
        assert await ping.read(32) == b"p" * 32
        identify, _ = await raw_stream(host, a, "/ipfs/id/1.0.0")
        assert PROTOCOL.encode() in await identify.read(4096)


async def test_a_crashing_handler_does_not_stop_the_host() -> None:
    async with stations(1) as (a,), raw_host(9) as host:

        async def crash(stream: object) -> None:
            raise RuntimeError("boom")

        a.links._host.set_stream_handler(TProtocol("/crash"), crash)
        with pytest.raises((StreamFailure, StreamReset)):
            stream, _ = await raw_stream(host, a, "/crash")
            await stream.read(1)
        await raw_stream(host, a)
        await a.event(LinkUp)


# --- The host itself ----------------------------------------------------------------------------


async def test_a_taken_port_is_refused() -> None:
    # py-libp2p's own listener shares the port, and half of the calls go astray.
    async with stations(1) as (a,):
        b = station(2, (a.addresses[0].rpartition("/p2p/")[0],))
        with pytest.raises(MeshError, match="in use") as caught:
            await b.links.run()
        assert caught.value.code == "cannot-listen"


async def test_a_host_dials_no_one_unasked() -> None:
    async with stations(3) as (a, b, c):
        await join(a, b)
        await join(b, c)
        link, _ = await join(a, c)
        a.links.close(link, "done")
        await trio.sleep(0.5)
        network = a.links._host.get_network()
        assert [str(peer) for peer in network.connections] == [b.node]
        assert network.peerstore.peers_with_addrs() == []
        assert not network.auto_connector._started


async def test_a_fault_of_the_driver_is_raised_and_leaks_nothing() -> None:
    before = open_files()

    def post(event: Event) -> None:
        raise ZeroDivisionError

    async with stations(1) as (b,):
        links = Libp2pLinks(identity(5), ANYWHERE, post)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:

                async def running(task_status: Any) -> None:
                    await links.run(task_status=task_status)

                await nursery.start(running)
                links.open(b.node, b.addresses)
        assert caught.group_contains(ZeroDivisionError)
        await b.event(LinkDown)
    await until(lambda: open_files() == before)
