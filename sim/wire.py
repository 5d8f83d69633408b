"""Wire: a libp2p transport without sockets: simulated hosts joined by the medium's light time."""

from __future__ import annotations

import logging
from ipaddress import IPv4Address

import trio
from libp2p.abc import IListener, IRawConnection, ITransport
from libp2p.custom_types import THandler
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr

from protocols.types import LinkId
from sim.medium import Link, Medium
from sim.pipe import Pipe, Socket
from sim.simclock import SimMission

PORT = 4001
_FIRST_HOST = IPv4Address("127.1.0.0")
"""Loopback addresses, one an end: daemons that listen on loopback alone take work from others."""


class Wire:
    """Who listens where, and every connection. An end is an index, as in `Medium`."""

    def __init__(self, medium: Medium, mission: SimMission) -> None:
        self.medium, self.mission = medium, mission
        self.listening: dict[int, WireListener] = {}
        self.connections = 0
        """Made so far."""
        self._pipes: dict[LinkId, Pipe] = {}

    def transport(self, end: int) -> WireTransport:
        """What the libp2p host at an end dials and listens with."""
        return WireTransport(self, end)

    @staticmethod
    def host_of(end: int) -> str:
        return str(_FIRST_HOST + end)

    @classmethod
    def address_of(cls, end: int) -> str:
        """The multiaddr an end listens on."""
        return f"/ip4/{cls.host_of(end)}/tcp/{PORT}"

    @staticmethod
    def end_of(address: Multiaddr) -> int:
        return int(IPv4Address(address.value_for_protocol("ip4"))) - int(_FIRST_HOST)

    def sever(self, end: int) -> None:
        """A host is gone without a word: its kernel, or the sky, ends its connections for it."""
        self.listening.pop(end, None)
        for pipe in self._of(end):
            pipe.sockets[pipe.link.side(end)].shut()

    def notice_silence(self) -> None:
        """The medium was cut somewhere: connections across break when their silence is noticed."""
        for pipe in self._living():
            pipe.notice_silence()

    def _of(self, end: int) -> list[Pipe]:
        return [pipe for pipe in self._living() if end in pipe.link.ends]

    def _living(self) -> list[Pipe]:
        for link in [link for link, pipe in self._pipes.items() if not pipe.living]:
            del self._pipes[link]
        return list(self._pipes.values())

    def join(self, a: int, b: int) -> Pipe | None:
        """A connection from a to b over what joins them now; None when nothing does."""
        path = self.medium.path(a, b, self.mission.now())
        if path is None:
            return None
        self.connections += 1
        link = Link(LinkId(self.connections), (a, b), path)
        names = (self.host_of(a), PORT), (self.host_of(b), PORT)
        pipe = Pipe(self.medium, self.mission, link, names)
        self._living()  # forgets the dead
        self._pipes[link.id] = pipe
        return pipe


class WireTransport(ITransport):
    """The transport of one simulated host."""

    def __init__(self, wire: Wire, end: int) -> None:
        self.wire, self.end = wire, end

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """There and back: two light times. Where nobody answers it waits for ever, as for a
        satellite that is not there: who dials knows how long to wait."""
        wire, mission = self.wire, self.wire.mission
        other = wire.end_of(maddr)
        path = wire.medium.path(self.end, other, mission.now())
        if path is not None:
            arrived = mission.now() + path.light(mission.now())
            await trio.sleep(mission.real_seconds_until(arrived))
            if other in wire.listening:
                answered = arrived + path.light(arrived)
                await trio.sleep(mission.real_seconds_until(answered))
                pipe, listener = wire.join(self.end, other), wire.listening.get(other)
                if pipe is not None and listener is not None:
                    mission.at(answered + pipe.light_ns, listener.accept, pipe.sockets[1])
                    return RawConnection(pipe.sockets[0], True)
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    def create_listener(self, handler_function: THandler) -> IListener:
        return WireListener(self, handler_function)

    def can_dial(self, maddr: Multiaddr) -> bool:
        return [protocol.name for protocol in maddr.protocols()][:2] == ["ip4", "tcp"]

    can_listen = can_dial

    def protocols(self) -> list[str]:
        return ["tcp"]


class WireListener(IListener):
    """Hands what was dialled to the host's handler."""

    def __init__(self, transport: WireTransport, handler: THandler) -> None:
        self.background_nursery: trio.Nursery | None = None  # set by Swarm before it calls listen
        self._transport, self._handler = transport, handler
        self._addresses: tuple[Multiaddr, ...] = ()

    async def listen(self, maddr: Multiaddr) -> None:
        """Listen on this host's one address, whatever was asked for, as on port 0."""
        wire, end = self._transport.wire, self._transport.end
        if end in wire.listening:
            raise OpenConnectionError(f"{wire.address_of(end)} is in use")
        wire.listening[end] = self
        self._addresses = (Multiaddr(wire.address_of(end)),)

    async def close(self) -> None:
        wire, end = self._transport.wire, self._transport.end
        if wire.listening.get(end) is self:
            del wire.listening[end]

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        return self._addresses

    def accept(self, socket: Socket) -> None:
        """The third part of the handshake has come."""
        wire, nursery = self._transport.wire, self.background_nursery
        if wire.listening.get(self._transport.end) is not self or nursery is None:
            socket.shut()
            return
        nursery.start_soon(self._serve, socket)

    async def _serve(self, socket: Socket) -> None:
        try:
            with socket.scope:
                await self._handler(socket)
        except Exception as error:  # noqa: BLE001 - as with sockets, a bad handshake is its own end
            logging.getLogger(__name__).debug("an inbound connection failed: %r", error)
        finally:
            socket.shut()
