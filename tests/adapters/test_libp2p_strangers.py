"""What strangers do to a daemon on loopback, and what it costs them."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr
from test_libp2p_kit import (
    ANYWHERE,
    failure,
    identity,
    join,
    open_files,
    raw_host,
    raw_stream,
    stations,
    until,
)

from meshd.adapters.libp2p import Limits
from meshd.seam import LinkDown, LinkUp
from protocols.link import PROTOCOL


async def until_hung_up(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


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
        with pytest.raises((StreamFailure, StreamReset, StreamEOF)):
            stream, _ = await raw_stream(host, a, "/crash")
            await stream.read(1)
        await raw_stream(host, a)
        await a.event(LinkUp)
