"""Dialling and hanging up: one libp2p connection and stream per link, and why a dial failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import IOException
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.transport.exceptions import (
    MuxerUpgradeFailure,
    OpenConnectionError,
    SecurityUpgradeFailure,
)
from multiaddr import Multiaddr

from meshd.adapters.address import split_address
from meshd.adapters.links_stream import StreamLost
from protocols.errors import MeshError
from protocols.types import NodeId

# SwarmConn and Swarm: py-libp2p's interfaces lack what is used here (events, streams, dial_addr).
Connection = Any


class Libp2pStream:
    """A libp2p stream as a `ByteStream`."""

    def __init__(self, stream: INetStream, connection: Connection) -> None:
        self._stream, self._connection = stream, connection

    async def read(self, count: int) -> bytes:
        """Some bytes; b"" when the peer ended the stream. StreamLost when it vanished."""
        try:
            return await self._stream.read(count)
        except StreamEOF as error:
            # yamux says EOF for a dead connection too; only a living one can have ended a stream.
            if self._connection.muxed_conn.is_established:
                return b""
            raise StreamLost from error
        except (IOException, ValueError) as error:
            raise StreamLost from error

    async def write(self, data: bytes) -> None:
        """StreamLost when it cannot be written, or took nothing for 5 s."""
        try:
            await self._stream.write(data)
        except (IOException, ValueError) as error:
            raise StreamLost from error

    async def finish(self) -> None:
        """End our side; a peer that is gone needs no telling."""
        try:
            await self._stream.close()
        except (IOException, ValueError):
            return


async def dial(
    host: IHost, node: NodeId, address: str, protocol: str, *, dial_s: float, negotiate_s: float
) -> tuple[Connection, INetStream]:
    """A fresh connection to this node at this address, and a stream of `protocol` on it.

    MeshError: "bad-address", "id-mismatch", "dial-refused", "dial-unreachable", "dial-timeout",
    "noise-failed", "protocol-unsupported", "dial-closed" (the far end hung up) or "dial-failed".
    """
    named, where = split_address(address)
    if named not in (None, node):
        raise MeshError("id-mismatch", f"{address} is the address of {named}, not of {node}")
    network: Any = host.get_network()
    connection: Connection = None
    try:
        # Not `host.connect`: that refuses a node for 60 s after one failure, waits 250 ms after
        # each success, and takes any old connection for this one (traps 5 and 8).
        with trio.fail_after(dial_s):
            connection = await network.dial_addr(Multiaddr(where), ID.from_base58(node))
        with trio.fail_after(negotiate_s):
            stream: INetStream = await connection.new_stream()
            await host.multiselect_client.select_one_of(  # type: ignore[attr-defined]
                [TProtocol(protocol)], MultiselectCommunicator(stream), negotiate_s
            )
    except Exception as error:
        # The library raises anything here, down to KeyError; all of it is a failed dial.
        if connection is not None:
            await hang_up(connection, within_s=1.0)
        code, why = _failure(error)
        raise MeshError(code, f"{address}: {why}") from error
    stream.set_protocol(TProtocol(protocol))
    return connection, stream


async def hang_up(connection: Connection, *, within_s: float) -> None:
    """Close a connection; if its peer takes no goodbye within this time, drop the socket.

    Not cancelled half way: py-libp2p would take the connection for closed, and leak the socket.
    """

    async def drop() -> None:
        await trio.sleep(within_s)
        # Frees whoever waits to write, so that `close` below comes to its end and leaves no trace.
        await connection.muxed_conn.secured_conn.close()

    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drop)
            await connection.close()
            nursery.cancel_scope.cancel()


_CODES: tuple[tuple[type[BaseException], str, str], ...] = (
    # The first that is found in the chain of causes names the failure.
    (MeshError, "", ""),
    (PeerIDMismatchesPubkey, "id-mismatch", "another node answers there"),
    (ConnectionRefusedError, "dial-refused", "nothing listens there"),
    (TimeoutError, "dial-timeout", "no answer"),
    (trio.TooSlowError, "dial-timeout", "no answer in time"),
    (HandshakeFailure, "noise-failed", "the Noise handshake failed"),
    (MuxerUpgradeFailure, "protocol-unsupported", "it does not speak yamux"),
)


def _failure(error: BaseException) -> tuple[str, str]:
    """The code of a failed dial, and a sentence about it."""
    causes = list(_causes(error))
    for kind, code, why in _CODES:
        for cause in causes:
            if isinstance(cause, kind):
                return (cause.code, cause.message) if isinstance(cause, MeshError) else (code, why)
    kinds = {type(cause) for cause in causes}
    if SecurityUpgradeFailure in kinds:
        if any("not supported" in str(cause) for cause in causes):
            return "noise-failed", "it does not speak Noise"
        return "dial-closed", "it hung up, or does not speak libp2p"
    if MultiselectClientError in kinds and "not supported" in str(error):
        # The refusals of each protocol are folded into one plain error, with only these words.
        return "protocol-unsupported", "it is a libp2p node, but does not speak meshd"
    if OpenConnectionError in kinds:
        return "dial-unreachable", _last_words(causes)
    if MultiselectClientError in kinds:
        return "dial-closed", "it hung up while the link was agreed"
    return "dial-failed", _last_words(causes)


def _last_words(causes: list[BaseException]) -> str:
    return next((str(cause) for cause in reversed(causes) if str(cause)), "no reason was given")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that led to it."""
    waiting, seen = [error], {id(error)}
    while waiting:
        current = waiting.pop()
        yield current
        inner = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        for cause in (current.__cause__, current.__context__, *inner):
            if cause is not None and id(cause) not in seen:
                seen.add(id(cause))
                waiting.append(cause)
