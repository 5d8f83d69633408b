"""Mail: letters given to the nodes of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.seam import LetterPosted
from protocols.letter import INBOX
from protocols.types import HOUR, SECOND, Duration, PacketId
from sim.tally import Posted

if TYPE_CHECKING:
    from sim.world import World

READING_NS = 5 * SECOND
"""How long one lies in a mailbox before it is taken."""


def post(
    world: World,
    source: str,
    destination: str,
    body: bytes = b"",
    stream: str = "",
    lifetime_ns: Duration = HOUR,
) -> PacketId:
    """Give a node a letter; `world.tally.letters` tells what became of it."""
    host, to = world.hosts[source], world.hosts[destination]
    letter = world.packet_id(source)
    world.tally.letters[letter] = Posted(letter, host.id, to.id, stream, world.now)
    world.ask(host, LetterPosted(letter, to.id, INBOX, body, lifetime_ns, stream))
    return letter
