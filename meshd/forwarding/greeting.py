"""Greeting: what a hello must say, and what is known of a link by it."""

from __future__ import annotations

from meshd.forwarding.custody import FLIGHT_BYTES_MAX
from meshd.topology.plan import Contact
from protocols.errors import ProtocolError
from protocols.link import VERSION, Hello
from protocols.types import SECOND, Duration, NodeId


def check_hello(hello: Hello, node: NodeId) -> None:
    """Raises ProtocolError for a hello of another version, or of another node than its link's."""
    if hello.version != VERSION:
        raise ProtocolError(
            "version-mismatch",
            f"it speaks version {hello.version} of the link protocol, this daemon {VERSION}: "
            "run the same meshd at both ends",
        )
    if hello.node != node:
        raise ProtocolError("id-mismatch", f"its hello says {hello.node}")


def full_queue_ns(contact: Contact | None) -> Duration:
    """How long what may be under way, there and back, takes at the rate of a contact.

    Of a link that no plan predicts nothing is known.
    """
    if contact is None:
        return 0
    return round(2 * FLIGHT_BYTES_MAX * 8 * SECOND / contact.rate_bps)
