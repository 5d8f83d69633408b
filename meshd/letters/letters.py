"""Letters: the machine that posts them, sends receipts, and hands them to those who read."""

from __future__ import annotations

import protocols
from meshd.letters.mailbox import Mailbox
from meshd.letters.outgoing import LETTER_PORT, Outgoing
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    Event,
    LetterPosted,
    LetterTaken,
    Note,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    Persist,
    Started,
    Woke,
)
from protocols.errors import ProtocolError
from protocols.forward import PacketIds
from protocols.letter import Letter, Receipt
from protocols.types import SECOND, Instant, NodeId

RECEIPT_LIFETIME_NS = 300 * SECOND


class Letters:
    """Both ends of every letter: what is posted here, and what comes here."""

    def __init__(self, me: NodeId, router: Router) -> None:
        self.outgoing = Outgoing(me, router)
        self.mailbox = Mailbox()
        self._ids = PacketIds(me, "r")

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """All rows first, in one commit: what is told behind a second one comes late, after what
        the next event has told.
        """
        return sorted(self._handle(event, now), key=lambda effect: not isinstance(effect, Persist))

    def _handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started(rows=rows):
                self.outgoing.restore(rows, now)
                self.mailbox.restore(rows)
                return []
            case LetterPosted():
                return self.outgoing.post(event, now)
            case LetterTaken(number=number):
                return self.mailbox.take(number)
            case PayloadArrived():
                return self._arrived(event, now) if event.port == LETTER_PORT else []
            case PayloadLost():
                return self.outgoing.lost(event, now) if event.port == LETTER_PORT else []
            case _:
                assert isinstance(event, Woke)
                return self.outgoing.wake(now) + self.mailbox.wake(now)

    def next_deadline(self) -> Instant | None:
        times = (self.outgoing.next_deadline(), self.mailbox.next_deadline())
        return min((at for at in times if at is not None), default=None)

    def _arrived(self, arrived: PayloadArrived, now: Instant) -> list[Effect]:
        try:
            message = protocols.LETTER.decode(arrived.payload)
        except ProtocolError as error:
            return [Note(error.code, {"node": arrived.source, "message": error.message})]
        if isinstance(message, Receipt):
            return self.outgoing.receipt(arrived.source, message, now)
        assert isinstance(message, Letter)
        code, effects = self.mailbox.receive(arrived.source, message, now)
        if not code:
            return effects
        payload = protocols.LETTER.encode(Receipt(message.id, code))
        packet = self._ids.next(now)
        return [
            *effects,
            PayloadOffered(packet, arrived.source, LETTER_PORT, payload, RECEIPT_LIFETIME_NS),
        ]
