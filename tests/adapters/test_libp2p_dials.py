"""Dials that fail, each with its reason; and the host itself."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from test_libp2p_kit import (
    ANYWHERE,
    failure,
    identity,
    join,
    open_files,
    raw_host,
    run,
    station,
    stations,
    until,
)

from meshd.adapters.libp2p import Libp2pLinks, Limits
from meshd.seam import Event, LinkDown, LinkFailed, LinkUp
from protocols.errors import MeshError


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
