"""Foe: a node that has been taken over: what it swallows, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import protocols
from meshd.membership.membership import PRESENCE_TTL_NS
from meshd.seam import SendFrame
from protocols.errors import ProtocolError
from protocols.forward import Accepted, Packet
from protocols.gossip import Records
from protocols.record import Body, LinkState, Presence, Record, Standing, Statement, sign
from protocols.tag import tag_of
from protocols.types import HOUR, SECOND, Instant, NodeId
from sim.chance import stream
from sim.faults.traitor import treason
from sim.host import Host

if TYPE_CHECKING:
    from sim.world import World

AHEAD = 50
"""Sequence numbers between a lie and what its author has said: the author numbers on from it."""


def swallowed(host: Host, frame: bytes) -> Packet | None:
    """The packet of a frame that a black hole drops: any that is for another."""
    try:
        message = protocols.LINK.decode(frame)
    except ProtocolError:
        return None
    if isinstance(message, Packet) and message.destination != host.id:
        return message
    return None


def accepted(packet: Packet) -> bytes:
    return protocols.LINK.encode(Accepted(packet.id, len(packet.hops)))


def tell(world: World, host: Host, lie: str) -> None:
    """Send a lie over every greeted link of a node that is up."""
    if host.node is None:
        return
    for number, neighbour in enumerate(host.node.neighbours.view()):
        if not neighbour.ready:
            continue
        if lie in _RECORDS:
            records = _RECORDS[lie](world, host, number)
            frame = protocols.LINK.encode(Records(tuple(records)))
        else:
            frame = treason(world, host, lie)
        world.links.send(host, SendFrame(neighbour.link, frame))


def _victim(world: World, host: Host) -> Host:
    others = [other for other in world.hosts.values() if other is not host]
    return stream(world.seed, "victim", host.name, world.now).choice(others)


def _said(author: NodeId, sequence: int, at: Instant, body: Body, by: Host) -> Record:
    return sign(Statement(author, sequence, at, PRESENCE_TTL_NS, body), by.sign)


def _sequence(host: Host) -> int:
    assert host.node is not None
    return max((s.sequence for s in host.node.gossip.view() if s.author == host.id), default=0)


def _forged(world: World, host: Host, number: int) -> list[Record]:
    victim = _victim(world, host)
    body = Presence(victim.name, "", ("/sim/nowhere",))
    return [_said(victim.id, 1_000_000, world.now, body, by=host)]


def _stale(world: World, host: Host, number: int) -> list[Record]:
    """What a neighbour may have kept: genuine, and long overtaken."""
    victim = _victim(world, host)
    at = world.now - 60 * SECOND
    return [_said(victim.id, 1, at, LinkState((), ()), by=victim)]


def _future(world: World, host: Host, number: int) -> list[Record]:
    body = host.presence
    return [_said(host.id, _sequence(host) + AHEAD, world.now + HOUR, body, by=host)]


def _equivocal(world: World, host: Host, number: int) -> list[Record]:
    body = Presence(host.name, host.config.site, (f"/sim/{host.name}/{number}",))
    return [_said(host.id, _sequence(host) + AHEAD, world.now, body, by=host)]


def _poisoned(world: World, host: Host, number: int) -> list[Record]:
    last = _sequence(host)
    # A false site would part it from all that its contacts join, for as long as the record lives.
    nowhere = Presence(host.name, host.config.site, ("", "x" * 1_000, "/ip4/0.0.0.0/tcp/0"))
    others = (other.id for other in world.hosts.values() if other is not host)
    near = LinkState(tuple(Standing(tag_of(other), 0) for other in others), ())
    return [
        _said(host.id, last + AHEAD, world.now, nowhere, by=host),
        _said(host.id, last + AHEAD + 1, world.now, near, by=host),
    ]


_RECORDS = {
    "forged": _forged,
    "stale": _stale,
    "future": _future,
    "equivocal": _equivocal,
    "poisoned": _poisoned,
}
