"""Real sockets: daemons, a process each, beside a raw py-libp2p stream of the same run.

`python -m tests.bench.sockets listen MB` and `... write ADDRESS MB` are the ends of the raw stream;
`... offer HOME ADDRESS NODE` is a daemon that sends packets.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import trio
from rich.console import Console
from rich.table import Table

from tests.bench.line import Line, line
from tests.bench.measure import ROOT

RAW_MB = 96
BLOB_BYTES = 96_000_000
RUNS = 3
WRITE_BYTES = 65_536
"""At which a raw stream is quickest; smaller writes are slower by far."""

IDLE_S = 20.0

PACKETS = 20_000
OFFERED_MAX = 512
"""Packets of 256 bytes of the sender that the daemon beside it has not accepted yet."""


def raw_mb_s() -> float:
    """Megabytes a second over one Noise and yamux stream between two processes."""
    words = [sys.executable, "-m", "tests.bench.sockets"]
    with subprocess.Popen(
        [*words, "listen", str(RAW_MB)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        address = one.stdout.readline().strip()
        told = subprocess.run(
            [*words, "write", address, str(RAW_MB)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        one.kill()
    return float(told.stdout)


def bulk_mb_s(mesh: Line, hops: int) -> float:
    """Of one blob from the first daemon to that so many hops away, on disk and verified."""
    cid = mesh.client(0).put_blob(os.urandom(BLOB_BYTES))
    began = time.perf_counter()
    rows = mesh.client(hops).lines_of(f"/v1/blobs/{cid}/fetch", node="n0")
    for row in rows:
        assert row["event"] in ("progress", "stored"), row
        if row["event"] == "stored":
            break
    took = time.perf_counter() - began
    rows.close()
    return BLOB_BYTES / 1e6 / took


def ping_ms(mesh: Line, hops: int) -> float:
    """The median round trip of 40 pings."""
    told = mesh.client(0).post("/v1/ping", node=f"n{hops}", count=40, interval_s=0.05)
    return statistics.median(row["measured_rtt_ms"] for row in told["pings"] if row["ok"])


def cpu_share(process: psutil.Process, seconds: float) -> float:
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - before) / seconds


def forwarding(mesh: Line, folder: Path) -> tuple[float, float]:
    """Packets a second through the second daemon, from a sender beside it to the first; and what
    one takes of its processor, in seconds: under load the truer figure.
    """
    middle = mesh.process(1)
    before = sum(middle.cpu_times()[:2])
    words = [sys.executable, "-m", "tests.bench.sockets", "offer", str(folder / "sender")]
    words += [mesh.facts[1]["addresses"][0], mesh.facts[0]["id"]]
    told = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    count, took = (float(word) for word in told.stdout.split())
    return count / took, (sum(middle.cpu_times()[:2]) - before) / count


def show(console: Console) -> None:
    """Bulk, packets, delay, and what an idle daemon takes."""
    with tempfile.TemporaryDirectory() as folder, line(Path(folder), 4) as mesh:
        idle = mesh.process(3)
        time.sleep(10.0)  # gossip has settled
        share, memory = cpu_share(idle, IDLE_S), idle.memory_info().rss / 1e6
        one_ms, three_ms = ping_ms(mesh, 1), ping_ms(mesh, 3)
        rate, packet_s = forwarding(mesh, Path(folder))
        rounds = [(raw_mb_s(), bulk_mb_s(mesh, 1), bulk_mb_s(mesh, 3)) for _ in range(RUNS)]
    raw, one, three = (statistics.median(values) for values in zip(*rounds, strict=True))
    table = Table(box=None)
    for title in ("real sockets", "found", "goal"):
        table.add_column(title, justify="left" if title == "real sockets" else "right")
    hop_ms = (three_ms - one_ms) / 4
    table.add_row("a stream of py-libp2p, raw", f"{raw:.1f} MB/s", "")
    table.add_row("a blob over one hop", f"{one:.1f} MB/s, {one / raw:.0%} of raw", "70%")
    table.add_row("a blob over three hops", f"{three:.1f} MB/s, {three / raw:.0%} of raw", "50%")
    table.add_row("what a hop adds, one way, median", f"{hop_ms:.2f} ms", "3 ms")
    table.add_row("packets through one daemon", f"{rate:,.0f} /s", "2,000 /s")
    table.add_row("what one takes there of a core", f"{packet_s * 1e6:,.0f} us", "500 us")
    table.add_row("an idle daemon, of a core", f"{share:.1%}", "1%")
    table.add_row("an idle daemon, memory", f"{memory:.0f} MB", "280 MB")
    console.print(table)


# --- the raw stream ---------------------------------------------------------------------------


def _host() -> Any:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
    from libp2p.security.noise.transport import Transport
    from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
    from libp2p.stream_muxer.yamux.yamux import Yamux

    keys = create_new_key_pair()
    noise = Transport(keys, create_new_x25519_key_pair().private_key)
    return new_host(key_pair=keys, sec_opt={NOISE: noise}, muxer_opt={TProtocol(YAMUX): Yamux})


RAW = "/raw/1.0.0"


async def listen(megabytes: int) -> None:
    """Take so much on a stream, and say so at its end."""
    from multiaddr import Multiaddr

    host = _host()

    async def take(stream: Any) -> None:
        left = megabytes << 20
        while left > 0:
            left -= len(await stream.read(WRITE_BYTES))
        await stream.write(b"all")

    host.set_stream_handler(RAW, take)
    async with host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        print(host.get_addrs()[0], flush=True)  # noqa: T201 - read by the bench
        await trio.sleep_forever()


async def write(address: str, megabytes: int) -> None:
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    host, peer = _host(), info_from_p2p_addr(Multiaddr(address))
    async with host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        await host.connect(peer)
        stream = await host.new_stream(peer.peer_id, [RAW])
        data = os.urandom(WRITE_BYTES)
        began = time.perf_counter()
        for _ in range((megabytes << 20) // WRITE_BYTES):
            await stream.write(data)
        assert await stream.read(3) == b"all"
        took = time.perf_counter() - began
        print((megabytes << 20) / 1e6 / took, flush=True)  # noqa: T201 - read by the bench
        os._exit(0)  # its own end takes as long again


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - machines are pure: they wake no one
        await trio.sleep(0.001)


async def offer(home: Path, address: str, to: str) -> None:
    """A daemon that sends packets as fast as the one beside it takes them; how many, how long."""
    from meshd.config import load_config
    from meshd.daemon.daemon import Daemon, Shared
    from meshd.seam import PayloadOffered
    from protocols.types import SECOND, NodeId, PacketId

    config = load_config(home, {"name": "sender"}, {})
    daemon = Daemon(home, config, Shared.for_config(config))
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.shared.pool.run)
        await nursery.start(daemon.run)
        await daemon.console.connect(address)
        held, inbox, node = daemon.node.forwarder._hold.packets, daemon.driver._inbox, NodeId(to)
        router, clock = daemon.node.router, daemon.shared.clock
        await _until(lambda: router.next_hop(node, clock.now(), (), 256) is not None)
        began = time.perf_counter()
        for number in range(PACKETS):
            await _until(lambda: len(held) + len(inbox) < OFFERED_MAX)
            what = (PacketId(f"bench{number}"), node, "bench", bytes(256), 60 * SECOND)
            daemon.driver.post(PayloadOffered(*what))
        await _until(lambda: not held and not inbox)
        print(PACKETS, time.perf_counter() - began, flush=True)  # noqa: T201 - read by the bench
        os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        trio.run(listen, int(sys.argv[2]))
    elif sys.argv[1] == "write":
        trio.run(write, sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "offer":
        trio.run(offer, Path(sys.argv[2]), sys.argv[3], sys.argv[4])
