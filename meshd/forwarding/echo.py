"""Echo: what arrives on port "ping" goes back unchanged on port "pong"."""

from __future__ import annotations

from meshd.seam import Effect, Event, PayloadArrived, PayloadOffered
from protocols.forward import answer_id
from protocols.types import SECOND, Instant

PING_PORT = "ping"
PONG_PORT = "pong"
PONG_LIFETIME_NS = 60 * SECOND


class Echo:
    """Answers pings. The answer is a packet of its own and finds its own way back."""

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        if not isinstance(event, PayloadArrived) or event.port != PING_PORT:
            return []
        pong = answer_id(event.packet, "~")
        return [PayloadOffered(pong, event.source, PONG_PORT, event.payload, PONG_LIFETIME_NS)]

    def next_deadline(self) -> Instant | None:
        return None
