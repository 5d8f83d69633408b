"""Clients over libp2p: answered beside the links, and bounded in streams and connections."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import trio
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamClosed, StreamEOF, StreamError, StreamReset
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer.exceptions import MuxedStreamError
from multiaddr import Multiaddr
from test_libp2p_kit import Station, identity, join, raw_host, raw_stream, stations, tasks, until
from test_requests import DATA, NAME, RUNNING, Library, chunks, framed

from meshd.adapters.libp2p import Limits
from meshd.adapters.links_host import UNREAD_PER_PEER_MAX, WINDOW_BYTES_MAX
from meshd.adapters.requests import RequestLimits, Requests
from meshd.seam import LinkDown, LinkUp
from protocols import BLOB_STREAM, JOB_STREAM
from protocols.client import BLOB_PROTOCOL, JOB_PROTOCOL, Get, Kept, Status
from protocols.frame import FrameDecoder, encode_frame
from protocols.types import JobId


async def connected(host: Any, to: Station) -> Any:
    """A connection of its own, however many there are."""
    where = Multiaddr(to.addresses[0].rpartition("/p2p/")[0])
    return await host.get_network().dial_addr(where, ID.from_base58(to.node))


async def opened(host: Any, connection: Any, protocol: str) -> Any:
    stream = await connection.new_stream()
    await host.multiselect_client.select_one_of(
        [TProtocol(protocol)], MultiselectCommunicator(stream), 5
    )
    return stream


async def asked(stream: Any, *messages: Any) -> list[Any]:
    codec: Any = JOB_STREAM if isinstance(messages[0], Status) else BLOB_STREAM
    for message in messages:
        await stream.write(encode_frame(codec.encode(message)))
    await stream.close_write()
    decoder, frames = FrameDecoder(), []
    with suppress(StreamEOF):
        while data := await stream.read(65_536):
            frames += decoder.feed(data)
    return [codec.decode(frame) for frame in frames]


async def test_requests_and_links_share_a_host() -> None:
    library = Library(blobs={})
    async with stations(2, requests=Requests(library)) as (a, b), raw_host(9) as host:
        await join(a, b)
        connection = await connected(host, a)
        for stream, request, answer in (
            (BLOB_PROTOCOL, chunks(DATA), [Kept(NAME, len(DATA))]),
            (BLOB_PROTOCOL, [Get(NAME, 0, 1 << 20)], chunks(DATA)),
            (JOB_PROTOCOL, [Status(JobId("j"))], [RUNNING]),
        ):
            assert await asked(await opened(host, connection, stream), *request) == answer
        theirs = a.links._host.get_network().get_connections(ID.from_base58(identity(9).node_id))
        await until(lambda: not theirs[0].muxed_conn.streams)
        assert len(a.links.peers()) == 1


async def test_connection_lives_while_a_client_asks_on_it() -> None:
    limits = Limits(negotiate_s=0.5)
    station = stations(1, requests=Requests(Library()), limits=limits)
    async with station as (a,), raw_host(9) as host:
        connection = await connected(host, a)
        for _ in range(12):
            await trio.sleep(0.12)
            stream = await opened(host, connection, JOB_PROTOCOL)
            assert await asked(stream, Status(JobId("j"))) == [RUNNING]
        await until(lambda: connection.is_closed, within_s=3.0)


async def test_connections_of_a_peer_are_bounded() -> None:
    limits = Limits(connections_per_node_max=3)
    async with stations(1, limits=limits) as (a,), raw_host(9) as host, raw_host(8) as other:
        made = [await connected(host, a) for _ in range(5)]
        await until(lambda: sum(connection.is_closed for connection in made) == 2)
        await raw_stream(other, a)
        await a.event(LinkUp)


async def test_a_thousand_streams_opened_and_none_used_hurt_nobody() -> None:
    times = RequestLimits(frame_s=1.0, end_s=0.2)
    requests, limits = Requests(Library(), times), Limits(negotiate_s=4.0)
    async with stations(2, requests=requests, limits=limits) as (a, b):
        await join(b, a)
        await trio.sleep(0.5)  # both ends have begun all that a link takes
        quiet = tasks()
        async with raw_host(9) as host, raw_host(8) as other:
            made = [await connected(host, a) for _ in range(8)]
            with suppress(StreamError, StreamReset, StreamClosed, MuxedStreamError):
                for turn in range(1_000):
                    stream = await made[turn % 8].new_stream()
                    if turn % 3 == 0:
                        await stream.write(b"\x13/multistream/1.0.0\n")
            network = a.links._host.get_network()
            theirs = network.get_connections(ID.from_base58(identity(9).node_id))
            assert sum(len(connection.streams) for connection in theirs) <= 65
            client = await connected(other, a)
            stream = await opened(other, client, BLOB_PROTOCOL)
            assert await asked(stream, Get(NAME, 0, 1 << 20)) == chunks(DATA)
            await until(lambda: not any(c.muxed_conn.streams for c in theirs if not c.is_closed))
        assert not a.of(LinkDown)
        await until(lambda: tasks() <= quiet)


async def test_peer_that_sends_beyond_its_window_is_hung_up_on() -> None:
    library = Library(hold=trio.Event())  # an answer that takes its time: nobody reads meanwhile
    async with stations(1, requests=Requests(library)) as (a,), raw_host(9) as host:
        connection = await connected(host, a)
        stream = await opened(host, connection, JOB_PROTOCOL)
        await stream.write(framed(Status(JobId("j"))))
        (theirs,) = a.links._host.get_network().get_connections()
        await until(lambda: a.links._requests._running)
        stream.muxed_stream.send_window = 1 << 30
        most = 0
        with suppress(StreamError, StreamClosed, StreamReset):
            for _ in range(512):
                await stream.write(bytes(65_536))
                buffers = theirs.muxed_conn.stream_buffers.values()
                most = max(most, sum(map(len, buffers)))
        await until(lambda: theirs.is_closed)
        assert 0 < most <= 2 * WINDOW_BYTES_MAX


async def test_peer_that_fills_many_streams_is_hung_up_on_at_four_megabytes() -> None:
    """Each of them within its window: a bound for one is none for all."""
    library = Library(hold=trio.Event())
    async with stations(1, requests=Requests(library)) as (a,), raw_host(9) as host:
        made = [await connected(host, a) for _ in range(2)]
        streams = []
        for turn in range(8):
            stream = await opened(host, made[turn % 2], JOB_PROTOCOL)
            await stream.write(framed(Status(JobId("j"))))
            stream.muxed_stream.send_window = WINDOW_BYTES_MAX
            streams.append(stream)
        network = a.links._host.get_network()
        theirs = network.get_connections(ID.from_base58(identity(9).node_id))
        most = 0
        with (
            suppress(StreamError, StreamClosed, StreamReset, trio.TooSlowError),
            trio.fail_after(20),
        ):
            for _ in range(15):
                for stream in streams:
                    await stream.write(bytes(65_536))
                    every = [c.muxed_conn.stream_buffers.values() for c in theirs]
                    most = max(most, sum(len(buffer) for buffers in every for buffer in buffers))
        await until(lambda: any(connection.is_closed for connection in theirs))
        assert WINDOW_BYTES_MAX < most <= UNREAD_PER_PEER_MAX + 2 * 65_536
