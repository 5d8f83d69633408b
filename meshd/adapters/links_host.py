"""A py-libp2p host made safe to run for months: what it does unasked is off, what leaks is cut.

Each item here stands against a fault of py-libp2p 0.8.1 that was measured (ARCHITECTURE.md).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import trio
from libp2p import new_host
from libp2p.abc import IHost, IListener, INetStream, IRawConnection, ITransport
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.custom_types import THandler, TProtocol
from libp2p.identity.identify_push.identify_push import ID_PUSH
from libp2p.io.trio import TrioTCPStream
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from meshd.adapters.identity import Identity

if TYPE_CHECKING:
    # trio-typing comes with py-libp2p and hides trio's own types, this one among them.
    from trio_typing import TaskStatus

STREAMS_PER_CONNECTION_MAX = 16
STREAMS_PER_PEER_MAX = 64

WINDOW_BYTES_MAX = 1 << 20
"""Credit that a stream's sender may be given; the library's own 16 MiB are for long fat pipes."""

CREDIT_BYTES_MIN = 16_384
"""A sixteenth of the window that a stream begins with is owed before credit is given anew."""

UNREAD_PER_PEER_MAX = 4 << 20
"""On all streams of all connections of a peer: then the connection that brought more is closed."""

_RECEIVE_BYTES = 65_536

# A closed connection's handler may still be tidying up; after this it only leaks (trap 6).
_TIDY_S = 1.0


class GuardedTcp(TCP):
    """TCP whose listener forgets a connection when it closes, and refuses more than it can hold.

    The library's own keeps a task, 11 kB and one of its inbound slots for every connection it
    ever accepted: after 250 of them (by default) a host accepts no more. Its sockets also share
    their port (SO_REUSEPORT), so a second daemon on the same port silently takes half the calls.
    """

    def __init__(self, inbound_max: int) -> None:
        super().__init__()
        self.inbound_max = inbound_max
        self.inbound = 0
        self.failures: list[str] = []
        """Why addresses could not be listened on: the library itself keeps silent."""

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        raw = await super().dial(maddr)
        assert isinstance(raw, RawConnection)
        assert isinstance(raw.stream, TrioTCPStream)
        raw.stream = _Socket(raw.stream.stream)
        return raw

    def create_listener(self, handler_function: THandler) -> IListener:  # type: ignore[override]
        return _Listener(self, handler_function)


class _Socket(TrioTCPStream):
    """A socket read in large pieces, whose handler, if it was accepted, ends after it is closed.

    Noise reads 2 bytes, then a message: from a buffer that is one system call, not two.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self.scope = trio.CancelScope()
        self._unread = bytearray()

    async def read(self, n: int | None = None) -> bytes:
        if n != 0 and not self._unread:
            self._unread += await super().read(_RECEIVE_BYTES)
        count = len(self._unread) if n is None else n
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    def get_remote_address(self) -> tuple[str, int] | None:
        """Also over IPv6, for which the library's own gives None."""
        try:
            name = self.stream.socket.getpeername()
        except OSError:
            return None
        return str(name[0]), int(name[1])

    async def close(self) -> None:
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + _TIDY_S)
        await super().close()


class _Buffers(dict[int, bytearray]):
    """What was received on each stream of a connection and not read."""

    def __init__(self, of_peer: Callable[[], int]) -> None:
        super().__init__()
        self._of_peer = of_peer

    def __setitem__(self, stream: int, buffer: bytearray) -> None:
        super().__setitem__(stream, _Buffer(buffer, self))

    @property
    def unread_bytes(self) -> int:
        """On all connections of the peer; before this one counts among them, on it alone."""
        return max(self._of_peer(), sum(map(len, self.values())))


class _Buffer(bytearray):
    def __init__(self, data: bytearray, among: _Buffers) -> None:
        super().__init__(data)
        self._among = among

    def extend(self, data: Iterable[SupportsIndex]) -> None:
        super().extend(data)
        # Its sums let a little more through than the window, yet never twice as much.
        beyond = len(self) > 2 * WINDOW_BYTES_MAX
        if beyond or self._among.unread_bytes > UNREAD_PER_PEER_MAX:
            self.clear()
            # The one error that the library answers by closing the connection.
            raise trio.TooSlowError("more was sent on a stream than its window")


class _Listener(IListener):
    def __init__(self, transport: GuardedTcp, handler: THandler) -> None:
        self.background_nursery: trio.Nursery | None = None  # set by Swarm before it calls listen
        self._transport, self._handler = transport, handler
        self._sockets: Sequence[trio.SocketListener] = ()
        self._scope = trio.CancelScope()

    async def listen(self, maddr: Multiaddr) -> None:
        assert self.background_nursery is not None
        family = "ip6" if "ip6" in {protocol.name for protocol in maddr.protocols()} else "ip4"
        host, port = maddr.value_for_protocol(family), int(maddr.value_for_protocol("tcp") or 0)
        try:
            self._sockets = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            self._transport.failures.append(f"{maddr}: {error}")
            raise OpenConnectionError(f"cannot listen on {maddr}: {error}") from error
        await self.background_nursery.start(self._accept_all)

    async def _accept_all(self, task_status: TaskStatus[Any]) -> None:
        with self._scope:
            await trio.serve_listeners(self._accept, self._sockets, task_status=task_status)

    async def _accept(self, socket: trio.SocketStream) -> None:
        transport = self._transport
        if transport.inbound >= transport.inbound_max:
            await socket.aclose()
            return
        transport.inbound += 1
        accepted = _Socket(socket)
        try:
            with accepted.scope:
                await self._handler(accepted)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes make it raise
            logging.getLogger(__name__).debug("an inbound connection failed: %r", error)
        finally:
            transport.inbound -= 1
            await trio.aclose_forcefully(socket)

    async def close(self) -> None:
        self._scope.cancel()
        for socket in self._sockets:
            await socket.aclose()

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        return tuple(_multiaddr_of(listener.socket.getsockname()) for listener in self._sockets)


def _multiaddr_of(name: tuple[Any, ...]) -> Multiaddr:
    host, port = name[0], name[1]
    return Multiaddr(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}")


def build_host(
    identity: Identity, transport: ITransport, *, connections_max: int, negotiate_s: float
) -> IHost:
    """A host that speaks Noise and yamux over one transport, and does nothing unasked."""
    if not os.environ.get("LIBP2P_DEBUG"):
        # It reports each refused dial as an error, in its own words; ours are events.
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    keys = create_new_key_pair(identity.seed())
    host = new_host(
        key_pair=keys,
        # Nothing but Noise: a default host lets plaintext in (trap 3).
        sec_opt={NOISE: NoiseTransport(keys, create_new_x25519_key_pair().private_key)},
        muxer_opt={TProtocol(YAMUX): Yamux},
        transports=[transport],
        negotiate_timeout=max(1, round(negotiate_s)),
        connection_config=ConnectionConfig(
            max_connections=connections_max,
            min_connections=0,
            # It dials strangers until it has (low + high) / 2 connections, and prunes above high;
            # `hush` stops both, and at zero neither would begin.
            low_watermark=0,
            high_watermark=0,
            max_connections_per_peer=connections_max,
            inbound_upgrade_timeout=negotiate_s,
            outbound_upgrade_timeout=negotiate_s,
            inbound_stream_protocol_negotiation_timeout=negotiate_s,
            outbound_stream_protocol_negotiation_timeout=negotiate_s,
        ),
        disable_identify_address_discovery=True,
    )
    network: Any = host.get_network()
    # Whoever asked for a link decides when to ask again.
    network.retry_config = RetryConfig(max_retries=0)
    # Its limits miscount (trap 9), and its stream semaphore waits where it should refuse.
    network.set_resource_manager(None)
    _hold_to_windows(network)
    # Addresses of peers come from signed records, not from whoever pushes them.
    host.remove_stream_handler(ID_PUSH)
    # Identify is answered, not asked: it costs both ends a stream per connection.
    for notifee in list(network.notifees):
        if type(notifee).__name__ == "_IdentifyNotifee":
            network.remove_notifee(notifee)
    network.set_stream_handler(_guarded(network.common_stream_handler, network))
    # Each connection that comes or goes starts a task that prunes or dials, though both are off
    # (`hush`), unless the real clock says that another did so within the last second or five: so
    # which tasks run would hang on the machine's load, in simulated time too.
    network._schedule_prune = network._schedule_auto_connect = _do_nothing
    return host


def _do_nothing() -> None:
    """What a host is to do of itself when connections come and go."""


def _hold_to_windows(network: Any) -> None:
    """Hang up on a peer who sends more on a stream than it was given credit for.

    The library only notes it, and keeps all that is sent on a stream that nobody reads just now.
    """
    streams: Any = YamuxStream
    streams._apply_autotune_epoch = _grow_window
    streams._auto_tune_and_send_window_update = _credit
    muxers = network.upgrader.muxer_multistream
    connect = muxers.new_conn

    async def bounded(connection: Any, peer: Any) -> Any:
        def unread() -> int:
            theirs = network.get_connections(peer)
            every = (each.muxed_conn.stream_buffers.values() for each in theirs)
            return sum(len(buffer) for buffers in every for buffer in buffers)

        muxed = await connect(connection, peer)
        muxed.stream_buffers = _Buffers(unread)
        return muxed

    muxers.new_conn = bounded


_grow_freely = YamuxStream._apply_autotune_epoch


def _grow_window(stream: YamuxStream, buffered: int) -> int:
    """The credit by which the library lets a window grow; none beyond our bound."""
    return 0 if 2 * stream.target_recv_window > WINDOW_BYTES_MAX else _grow_freely(stream, buffered)


_credit_now = YamuxStream._auto_tune_and_send_window_update


async def _credit(stream: Any, *, bytes_read: int = 0) -> None:
    """Credit for what was read, some thousand bytes at once: the library gives it after each read,
    so that every small frame is answered by a frame.
    """
    owed = stream.owed_bytes = getattr(stream, "owed_bytes", 0) + bytes_read
    if not bytes_read or owed >= CREDIT_BYTES_MIN:
        stream.owed_bytes = 0
        await _credit_now(stream, bytes_read=owed)


async def hush(host: IHost) -> None:
    """Once the host runs: stop its auto-connector, which dials any peer it has heard of."""
    network: Any = host.get_network()
    await network.auto_connector.stop()
    await network.connection_pruner.stop()


def listening(host: IHost, wanted: Sequence[str]) -> tuple[str, ...]:
    """The addresses, with ports and ids, that came of those wanted, in their order."""
    listeners: dict[str, IListener] = host.get_network().listeners
    found = (listeners[where] for where in map(str, map(Multiaddr, wanted)) if where in listeners)
    return tuple(f"{at}/p2p/{host.get_id()}" for listener in found for at in listener.get_addrs())


def _guarded(
    handler: Callable[[INetStream], Awaitable[None]], network: Any
) -> Callable[[INetStream], Awaitable[None]]:
    """The handler of all inbound streams, with its failures kept to the stream (trap 1)."""

    async def guarded(stream: INetStream) -> None:
        connection: Any = getattr(stream, "swarm_conn", None)
        try:
            theirs = network.get_connections(connection.muxed_conn.peer_id)
            if (
                len(connection.streams) > STREAMS_PER_CONNECTION_MAX
                or sum(len(each.streams) for each in theirs) > STREAMS_PER_PEER_MAX
            ):
                await stream.reset()
            else:
                await handler(stream)
        except Exception as error:  # noqa: BLE001 - an escaped exception stops the whole host
            logging.getLogger(__name__).debug("an inbound stream failed: %r", error)
            await stream.reset()

    return guarded
