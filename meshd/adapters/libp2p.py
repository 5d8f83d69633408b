"""Links over libp2p: TCP, Noise, yamux, and one long-lived stream of frames for each link."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from libp2p.abc import IHost, INetStream, ITransport
from libp2p.custom_types import TProtocol
from multiaddr import Multiaddr

from meshd.adapters.identity import Identity
from meshd.adapters.links_dial import Connection, Libp2pStream, dial, hang_up
from meshd.adapters.links_host import GuardedTcp, build_host, hush, listening
from meshd.adapters.links_stream import LinkLimits, LinkStream
from meshd.adapters.links_uses import Crowd, Uses, connections
from meshd.adapters.requests import Requests
from meshd.seam import Event, FrameReceived, LinkDown, LinkFailed, LinkUp
from protocols.errors import MeshError
from protocols.link import PROTOCOL
from protocols.priority import Priority
from protocols.types import Instant, LinkId, NodeId

if TYPE_CHECKING:
    # trio-typing comes with py-libp2p and hides trio's own types, this one among them.
    from trio_typing import TaskStatus


HANDSHAKE_LIGHTS = 15
"""Light times of TCP, Noise, yamux and a stream on it, until the dialled end has its link
(tests/parity): a laboratory that holds frames lets a dial wait as long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What all links together may take. Times are seconds of trio's clock."""

    links_max: int = 256
    links_per_node_max: int = 8
    connections_per_node_max: int = 8
    dials_max: int = 64
    dials_at_once_max: int = 16
    dial_s: float = 10.0
    negotiate_s: float = 10.0
    link: LinkLimits = field(default_factory=LinkLimits)


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """One link as it was when asked for."""

    link: LinkId
    node: NodeId
    dialled: bool
    address: str
    since: Instant
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int


@dataclass(slots=True, eq=False)
class _Up:
    """A link that is up, and what it stands on."""

    link: LinkId
    node: NodeId
    dialled: bool
    address: str
    since: Instant
    connection: Connection
    raw: INetStream
    stream: LinkStream
    kindly: bool
    closed: trio.Event


class Libp2pLinks:
    """A `LinkPort` of one libp2p host. `open`, `close` and `send` never wait; while `run` runs,
    what comes of them is posted: for each link one LinkUp, its frames in order, one LinkDown.

    Before a frame is posted `room` is waited for; until then that link is not read. `requests`
    answers what clients ask on other streams. `emulate` gives the seconds by which a
    frame just received from a node is held before it is posted; while they are infinite nothing
    passes between it and here, dials included. `transport` replaces TCP (a simulator's). `now`
    stamps `LinkInfo.since`.
    """

    def __init__(
        self,
        identity: Identity,
        listen: tuple[str, ...],
        post: Callable[[Event], None],
        *,
        room: Callable[[], Awaitable[None]] | None = None,
        requests: Requests | None = None,
        emulate: Callable[[NodeId], float] | None = None,
        limits: Limits | None = None,
        transport: ITransport | None = None,
        now: Callable[[], Instant] = time.time_ns,
    ) -> None:
        self.identity, self.limits = identity, limits or Limits()
        self._listen, self._post_event, self._emulate, self._now = listen, post, emulate, now
        self._room, self._requests = room, requests
        self._stopping = False
        # Connections that carry no link yet, or none any more, need room beside the links.
        self._connections_max = 2 * self.limits.links_max
        self._transport = transport or GuardedTcp(self._connections_max)
        self._host: IHost | None = None
        self._nursery: trio.Nursery | None = None
        self._links: dict[LinkId, _Up] = {}
        self._uses = Uses()
        self._dials = 0
        self._dialling = trio.CapacityLimiter(self.limits.dials_at_once_max)
        self._last_link = 0

    # --- LinkPort -------------------------------------------------------------------------------

    def open(self, node: NodeId, addresses: tuple[str, ...]) -> None:
        """Dial a node at its addresses, in order; LinkUp or LinkFailed follows."""
        if not self._stopping:
            self._running().start_soon(self._open, node, addresses)

    def send(self, link: LinkId, frame: bytes, priority: Priority = Priority.CONTROL) -> None:
        """Queue a frame; on a link that is down it is dropped (its LinkDown is on the way)."""
        up = self._links.get(link)
        if up is not None:
            up.stream.send(frame, priority)

    def close(self, link: LinkId, code: str) -> None:
        """End a link; frames sent before may still leave. LinkDown with this code follows."""
        up = self._links.get(link)
        if up is not None and up.stream.code is None:
            up.kindly = True
            up.stream.end(code, kindly=True)

    def break_off(self, link: LinkId, code: str) -> None:
        """End a link without a word to its peer: a laboratory's way to have it fall silent."""
        up = self._links.get(link)
        if up is not None:
            up.stream.end(code)

    def peers(self) -> tuple[LinkInfo, ...]:
        """The links that are up, in the order in which they came up."""
        return tuple(
            LinkInfo(
                up.link,
                up.node,
                up.dialled,
                up.address,
                up.since,
                up.stream.counts.frames_in,
                up.stream.counts.frames_out,
                up.stream.counts.bytes_in,
                up.stream.counts.bytes_out,
            )
            for up in self._links.values()
        )

    # --- Life -----------------------------------------------------------------------------------

    async def run(
        self, *, task_status: TaskStatus[tuple[str, ...]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run the host until cancelled, then close every socket; nothing is posted after that.

        `started` gives the addresses, each with /p2p/ID. MeshError "cannot-listen".
        """
        stop, done = trio.CancelScope(), trio.Event()
        refusals: list[MeshError] = []

        async def shielded() -> None:
            # Cancelling py-libp2p leaks sockets and tasks (trap 2): it is asked to stop instead.
            try:
                with trio.CancelScope(shield=True):
                    await self._run_host(stop, task_status, refusals)
            finally:
                done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded)
            try:
                await done.wait()
            finally:
                self._stopping = True
                stop.cancel()
        for refusal in refusals:
            raise refusal

    async def _run_host(
        self,
        stop: trio.CancelScope,
        task_status: TaskStatus[tuple[str, ...]],
        refusals: list[MeshError],
    ) -> None:
        """Until `stop`; at once, with a refusal, when an address cannot be listened on."""
        limits = self.limits
        host = build_host(
            self.identity,
            self._transport,
            connections_max=self._connections_max,
            negotiate_s=limits.negotiate_s,
        )
        host.set_stream_handler(TProtocol(PROTOCOL), self._accept)
        for protocol in self._requests.protocols if self._requests is not None else ():
            host.set_stream_handler(TProtocol(protocol), partial(self._answer, protocol))
        host.get_network().register_notifee(Crowd(limits.connections_per_node_max))
        async with host.run([Multiaddr(address) for address in self._listen]):
            try:
                with stop:
                    await hush(host)
                    addresses = listening(host, self._listen)
                    if len(addresses) < len(self._listen):
                        refusals.append(self._refusal())
                        return
                    async with trio.open_nursery() as nursery:
                        self._host, self._nursery = host, nursery
                        nursery.start_soon(self._drop_idle, host)
                        task_status.started(addresses)
                        await trio.sleep_forever()
            finally:
                self._stopping = True
                self._nursery = None
                self._links.clear()
                with trio.CancelScope(shield=True):
                    await self._hang_up_all(host)
                    await host.close()

    def _refusal(self) -> MeshError:
        reasons: list[str] = getattr(self._transport, "failures", [])
        return MeshError("cannot-listen", "; ".join(reasons) or f"cannot listen on {self._listen}")

    async def _hang_up_all(self, host: IHost) -> None:
        within_s = self.limits.link.close_seconds_max
        async with trio.open_nursery() as nursery:
            for connection in connections(host):
                nursery.start_soon(partial(hang_up, connection, within_s=within_s))

    async def _drop_idle(self, host: IHost) -> None:
        """Close connections of no use: a stranger has 5 to 10 s to open a link or ask something."""
        while True:
            await trio.sleep(self.limits.negotiate_s / 2)
            for connection in self._uses.idle(connections(host)):
                self._running().start_soon(self._drop, connection)

    def _running(self) -> trio.Nursery:
        assert self._nursery is not None, "the links are not running"
        return self._nursery

    def _post(self, event: Event) -> None:
        if not self._stopping:
            self._post_event(event)

    # --- One link -------------------------------------------------------------------------------

    async def _open(self, node: NodeId, addresses: tuple[str, ...]) -> None:
        if self._dials >= self.limits.dials_max:
            self._post(LinkFailed(node, "too-many-dials", f"{self._dials} dials are under way"))
            return
        self._dials += 1
        try:
            up = await self._dial(node, addresses)
        except MeshError as error:
            self._post(LinkFailed(node, error.code, error.message))
            return
        finally:
            self._dials -= 1
        await self._carry(up)

    async def _dial(self, node: NodeId, addresses: tuple[str, ...]) -> _Up:
        limits, failure = self.limits, MeshError("bad-address", f"no address of {node} is known")
        full = MeshError("too-many-links", f"as many links are up as may be, or to {node}")
        assert self._host is not None
        began = trio.current_time()
        await self._cross(node)
        for address in addresses:
            if not self._has_room(node):
                raise full
            try:
                async with self._dialling:
                    connection, raw = await dial(
                        self._host,
                        node,
                        address,
                        PROTOCOL,
                        dial_s=limits.dial_s,
                        negotiate_s=limits.negotiate_s,
                    )
            except MeshError as error:
                failure = error
                if error.code == "dial-refused" and self._emulate is not None:
                    # The kernel's word for someone who, at a distance, would just not answer.
                    await trio.sleep_until(began + limits.dial_s)
                    failure = MeshError("dial-timeout", "no answer")
                continue
            if not self._has_room(node):
                await self._drop(connection)
                raise full
            return self._link(node, connection, raw, dialled=True, address=address)
        raise failure

    async def _cross(self, node: NodeId) -> None:
        """What a handshake takes in a laboratory. MeshError "dial-timeout" behind a cut."""
        wait_s = HANDSHAKE_LIGHTS * self._emulate(node) if self._emulate is not None else 0.0
        await trio.sleep(min(wait_s, self.limits.dial_s))
        if wait_s == math.inf:
            raise MeshError("dial-timeout", "no answer")

    async def _accept(self, raw: INetStream) -> None:
        """A peer has opened a stream of our protocol. Returns when the link is over."""
        connection: Any = raw.swarm_conn  # type: ignore[attr-defined]
        node = NodeId(str(raw.muxed_conn.peer_id))
        nursery = self._nursery
        if nursery is None or not self._has_room(node):
            await raw.reset()
            if not self._uses.any(connection):
                await self._drop(connection)
            return
        up = self._link(node, connection, raw, dialled=False, address=_remote(raw))
        nursery.start_soon(self._carry, up)
        await up.closed.wait()

    async def _answer(self, protocol: str, raw: INetStream) -> None:
        """A client has opened a stream for a request."""
        connection: Any = raw.swarm_conn  # type: ignore[attr-defined]
        peer = NodeId(str(raw.muxed_conn.peer_id))
        assert self._requests is not None
        with self._uses.during(connection):
            await self._requests.answer(protocol, peer, Libp2pStream(raw, connection))
        with trio.move_on_after(self.limits.link.close_seconds_max):
            await raw.reset()  # says nothing to a client that has ended its side, too

    def _has_room(self, node: NodeId) -> bool:
        limits = self.limits
        return (
            len(self._links) < limits.links_max
            and sum(up.node == node for up in self._links.values()) < limits.links_per_node_max
        )

    def _link(
        self, node: NodeId, connection: Connection, raw: INetStream, *, dialled: bool, address: str
    ) -> _Up:
        self._last_link += 1
        link, emulate = LinkId(self._last_link), self._emulate
        stream = LinkStream(
            Libp2pStream(raw, connection),
            lambda frame: self._post(FrameReceived(link, frame)),
            self.limits.link,
            None if emulate is None else lambda: emulate(node),
            self._room,
        )
        closed, since = trio.Event(), self._now()
        up = _Up(link, node, dialled, address, since, connection, raw, stream, False, closed)
        self._uses.begin(connection)
        self._links[link] = up
        return up

    async def _carry(self, up: _Up) -> None:
        try:
            self._post(LinkUp(up.link, up.node, up.dialled, up.address))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(up.stream.carry)
                await up.stream.ended.wait()
                self._links.pop(up.link, None)
                self._post(LinkDown(up.link, up.stream.code or ""))
            await self._leave(up)
        finally:
            up.closed.set()

    async def _leave(self, up: _Up) -> None:
        """Let the stream go, and the connection with its last link."""
        within_s = self.limits.link.close_seconds_max
        self._uses.end(up.connection)
        if not up.kindly:
            with trio.move_on_after(within_s):
                await up.raw.reset()
        if self._uses.any(up.connection):
            return
        if up.kindly:
            # yamux throws away what its reader has not fetched when a connection ends: let the
            # peer end it, which it does when it has read all.
            with trio.move_on_after(within_s):
                await up.connection.event_closed.wait()
        await self._drop(up.connection)

    async def _drop(self, connection: Connection) -> None:
        await hang_up(connection, within_s=self.limits.link.close_seconds_max)


def _remote(raw: INetStream) -> str:
    name = raw.get_remote_address()
    if name is None:
        return ""
    return f"/{'ip6' if ':' in name[0] else 'ip4'}/{name[0]}/tcp/{name[1]}"
