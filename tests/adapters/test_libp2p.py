"""Links between real libp2p hosts on loopback: up, frames, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import trio
from test_libp2p_kit import (
    ANYWHERE,
    identity,
    join,
    open_files,
    raw_host,
    raw_stream,
    stations,
    tasks,
    until,
)

from meshd.adapters.libp2p import Limits
from meshd.adapters.links_stream import LinkLimits
from meshd.ports import LinkPort
from meshd.seam import FrameReceived, LinkDown, LinkUp
from protocols.frame import FRAME_BYTES_MAX, encode_frame


async def test_a_link_comes_up_at_both_ends() -> None:
    async with stations(2) as (a, b):
        port: LinkPort = a.links
        port.open(b.node, b.addresses)
        at_a, at_b = await a.event(LinkUp), await b.event(LinkUp)
        assert (at_a.node, at_a.dialled, at_a.address) == (b.node, True, b.addresses[0])
        assert (at_b.node, at_b.dialled) == (a.node, False)
        assert at_b.address.startswith("/ip4/127.0.0.1/tcp/")
        (info,) = a.links.peers()
        assert (info.link, info.node, info.dialled) == (at_a.link, b.node, True)


async def test_a_link_comes_up_without_the_librarys_pause() -> None:
    async with stations(2) as (a, b):
        took = []
        for _ in range(4):
            started = time.perf_counter()
            await join(a, b)
            took.append(time.perf_counter() - started)
        # py-libp2p's own `connect` sleeps 0.25 s after it has succeeded; 0.006 s is usual here.
        assert min(took) < 0.2


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
        assert {event.link for event in b.of(FrameReceived)} == {pairs[0][1], pairs[2][1]}


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
