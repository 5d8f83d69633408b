"""Traitor: what a node says that its operator never allowed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import protocols
from meshd.ephemeris.elements import Elements
from meshd.ephemeris.published import orbit_of
from meshd.ephemeris.succession import TICK_NS
from meshd.membership.membership import PRESENCE_TTL_NS
from protocols.certificate import Revocations, Sealed
from protocols.gossip import Records
from protocols.link import VERSION, Hello
from protocols.record import Body, Presence, Record, Statement, sign
from protocols.types import SECOND, NodeId
from sim.chance import node_id, signer
from sim.host import Host

if TYPE_CHECKING:
    from sim.world import World

STRANGER = "stranger"
"""A node that no operator knows."""


def treason(world: World, host: Host, lie: str) -> bytes:
    """The frame of one that a neighbour is to be told."""
    if lie == "expired hello":
        sealed, now = _expired(world, host), world.now
        hello = Hello(VERSION, host.id, host.name, "", "", True, now, now, sealed)
        return protocols.LINK.encode(hello)
    record = _RECORDS[lie](world, host)
    return protocols.LINK.encode(Records((record,)))


def _expired(world: World, host: Host) -> Sealed:
    return world.authorities.certify(host.index, host.id, host.config.site, world.now - SECOND)


def _own(world: World, host: Host, body: Body) -> Record:
    """Of a sequence that its author has not come to: what is refused must leave no trace of it."""
    said = Statement(host.id, 1_000_000, world.now, PRESENCE_TTL_NS, body)
    return sign(said, host.sign)


def _uncertified(world: World, host: Host) -> Record:
    """Who is not in the mesh joins it, by a friend who is."""
    stranger = NodeId(node_id(world.seed, STRANGER))
    body = Presence(STRANGER, "", ("/sim/nowhere",))
    said = Statement(stranger, 1, world.now, PRESENCE_TTL_NS, body)
    return sign(said, signer(stranger))


def _borrowed(world: World, host: Host) -> Record:
    """With the certificate of its friend."""
    stranger = NodeId(node_id(world.seed, STRANGER))
    body = Presence(STRANGER, "", (), None, host.config.trust.certificate)
    said = Statement(stranger, 2, world.now, PRESENCE_TTL_NS, body)
    return sign(said, signer(stranger))


def _expired_presence(world: World, host: Host) -> Record:
    body = Presence(host.name, host.config.site, (), None, _expired(world, host))
    return _own(world, host, body)


def _moved(world: World, host: Host) -> Record:
    """Elements of a satellite that another operator flies."""
    other = (host.index + 1) % len(world.authorities.ids)
    other = other if other != host.index % len(world.authorities.ids) else 99
    moved = Elements(f"sat-{other}-1", 7, world.now, 53.0, 0.0, 1e-4, 0.0, 0.0, 15.2)
    at = world.now - world.now % TICK_NS + TICK_NS
    return _own(world, host, orbit_of(moved, at, host.config.trust.certificate))


def _impossible(world: World, host: Host) -> Record:
    """Elements of its own operator's satellite, that lead under the ground."""
    number = host.index % len(world.authorities.ids)
    moved = Elements(f"sat-{number}-1", 8, world.now, 53.0, 0.0, 0.9, 0.0, 0.0, 15.2)
    at = world.now - world.now % TICK_NS + TICK_NS
    return _own(world, host, orbit_of(moved, at, host.config.trust.certificate))


def _revoking(world: World, host: Host) -> Record:
    """Who is no operator takes back the certificates of all."""
    return _own(world, host, Revocations(tuple(range(1, 100))))


_RECORDS = {
    "uncertified": _uncertified,
    "borrowed": _borrowed,
    "expired": _expired_presence,
    "moved": _moved,
    "impossible": _impossible,
    "revoking": _revoking,
}
