"""Outgoing: the letters posted here, each sent again until its receipt comes or it expires."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

import protocols
from meshd.router.routes import Router
from meshd.seam import (
    Effect,
    LetterKept,
    LetterPosted,
    LetterSettled,
    PayloadLost,
    PayloadOffered,
    Persist,
)
from protocols.bounds import LETTER_BYTES_MAX
from protocols.forward import PacketIds
from protocols.letter import Letter, Receipt
from protocols.types import SECOND, Duration, Instant, NodeId, PacketId

LETTER_PORT = "letter"

POSTED_MAX = 1_024
POSTED_BYTES_MAX = 64 << 20
SETTLED_MAX = 1_024
"""Of so many letters it is remembered how they ended."""

RECEIPT_MARGIN_NS = 10 * SECOND
"""Beyond a predicted round trip: what custody's own second tries may take."""

PATIENCE_DOUBLED_MAX = 2
"""So 40 s at most beyond a round trip."""

BACK_OFF_NS = SECOND
BACK_OFF_DOUBLED_MAX = 5
"""So 32 s at most, where no way is known or no room."""

LETTER_ROW = "letter/"
COUNT_ROW = "letter-count"
COUNT_BLOCK = 1_000
"""Numbers are reserved on disk by so many: none is used twice, whatever happens."""


class Posted(msgspec.Struct, frozen=True, array_like=True):
    """A row: a letter of ours, without what is said anew each time it is sent."""

    destination: NodeId
    letter: Letter


_rows = msgspec.msgpack.Decoder(Posted)


@dataclass(frozen=True, slots=True)
class Sending:
    """A posted letter: the packet it is under way in, if any, and when it is looked at again."""

    posted: Posted
    packet: PacketId | None
    wake_at: Instant
    tries: int = 0


class Outgoing:
    """Pure: each method gives the effects. One count numbers the letters of all streams."""

    def __init__(self, me: NodeId, router: Router) -> None:
        self._router = router
        self._ids = PacketIds(me, "l")
        self._sending: dict[PacketId, Sending] = {}
        self._bytes = 0
        self._settled: OrderedDict[PacketId, str] = OrderedDict()
        self._letters: dict[PacketId, PacketId] = {}
        """The letter that a packet under way carries."""
        self._count = self._reserved = 0

    def view(self) -> tuple[Sending, ...]:
        """In the order in which they were posted, those of a life before first."""
        return tuple(self._sending.values())

    def state(self, letter: PacketId) -> str | None:
        """ "sending", "ok" or why it was given up; None for one not known (any more)."""
        return "sending" if letter in self._sending else self._settled.get(letter)

    def next_deadline(self) -> Instant | None:
        return min((sending.wake_at for sending in self._sending.values()), default=None)

    def restore(self, rows: Iterable[tuple[str, bytes]], now: Instant) -> None:
        for key, value in rows:
            if key.startswith(LETTER_ROW):
                posted = _rows.decode(value)
                self._sending[posted.letter.id] = Sending(posted, None, now)
                self._bytes += len(posted.letter.body)
            elif key == COUNT_ROW:
                self._count = self._reserved = int(value)

    def post(self, event: LetterPosted, now: Instant) -> list[Effect]:
        """Keep a letter and send it; refused at once if it cannot be kept."""
        refusal = self._why_not(event)
        if refusal:
            return [LetterSettled(event.letter, event.destination, refusal)]
        letter = Letter(event.letter, event.port, event.body, now + event.lifetime_ns, event.stream)
        rows: list[Effect] = []
        if event.stream:
            self._count += 1
            letter = msgspec.structs.replace(letter, number=self._count)
            if self._count > self._reserved:
                self._reserved += COUNT_BLOCK
                rows.append(Persist(COUNT_ROW, str(self._reserved).encode()))
        posted = Posted(event.destination, letter)
        rows.append(Persist(LETTER_ROW + letter.id, msgspec.msgpack.encode(posted)))
        self._sending[letter.id] = Sending(posted, None, now)
        self._bytes += len(letter.body)
        return [*rows, LetterKept(letter.id), *self._send(self._sending[letter.id], now)]

    def _why_not(self, event: LetterPosted) -> str:
        if len(event.body) > LETTER_BYTES_MAX:
            return "letter-too-large"
        if event.letter in self._sending:
            return "duplicate-id"
        few = len(self._sending) < POSTED_MAX
        return "" if few and self._bytes + len(event.body) <= POSTED_BYTES_MAX else "letters-full"

    def receipt(self, source: NodeId, receipt: Receipt, now: Instant) -> list[Effect]:
        sending = self._sending.get(receipt.letter)
        if sending is None or sending.posted.destination != source:
            return []
        if receipt.code == "ok":
            return self._settle(sending, "ok")
        return self._wait(sending, now)

    def lost(self, event: PayloadLost, now: Instant) -> list[Effect]:
        """The packet was given up: the letter is not."""
        letter = self._letters.get(event.packet)
        sending = self._sending.get(letter) if letter is not None else None
        if sending is None or sending.packet != event.packet:
            return []
        return self._wait(sending, now)

    def wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for sending in [each for each in self._sending.values() if each.wake_at <= now]:
            effects += self._send(sending, now)
        return effects

    # --- one letter -----------------------------------------------------------------------------

    def _send(self, sending: Sending, now: Instant) -> list[Effect]:
        letter, destination = sending.posted.letter, sending.posted.destination
        if letter.expires_at <= now:
            return self._settle(sending, "expired")
        self._forget_packet(sending)
        packet, tries = self._ids.next(now), sending.tries + 1
        wake_at = min(now + self._patience(destination, tries, now), letter.expires_at)
        self._sending[letter.id] = Sending(sending.posted, packet, wake_at, tries)
        self._letters[packet] = letter.id
        payload = protocols.LETTER.encode(self._in_order(sending.posted))
        lifetime = letter.expires_at - now
        return [PayloadOffered(packet, destination, LETTER_PORT, payload, lifetime, durable=True)]

    def _patience(self, destination: NodeId, tries: int, now: Instant) -> Duration:
        trip = self._router.round_trip(destination, now)
        there_and_back = trip[1].arrive - now if trip is not None else 0
        return there_and_back + (RECEIPT_MARGIN_NS << min(tries - 1, PATIENCE_DOUBLED_MAX))

    def _in_order(self, posted: Posted) -> Letter:
        """The letter, with what is now known of those before it in its stream."""
        letter = posted.letter
        if not letter.stream:
            return letter
        earlier = [
            each.posted.letter
            for each in self._sending.values()
            if each.posted.destination == posted.destination
            and each.posted.letter.stream == letter.stream
            and each.posted.letter.number < letter.number
        ]
        return msgspec.structs.replace(
            letter,
            after=max((each.number for each in earlier), default=0),
            gap_until=max((each.expires_at for each in earlier), default=0),
        )

    def _wait(self, sending: Sending, now: Instant) -> list[Effect]:
        """Try again in a while."""
        self._forget_packet(sending)
        back_off = BACK_OFF_NS << min(sending.tries, BACK_OFF_DOUBLED_MAX)
        wake_at = min(now + back_off, sending.posted.letter.expires_at)
        waiting = replace(sending, packet=None, wake_at=wake_at)
        self._sending[sending.posted.letter.id] = waiting
        return []

    def _settle(self, sending: Sending, code: str) -> list[Effect]:
        letter = sending.posted.letter
        self._forget_packet(sending)
        del self._sending[letter.id]
        self._bytes -= len(letter.body)
        self._settled[letter.id] = code
        if len(self._settled) > SETTLED_MAX:
            self._settled.popitem(last=False)
        settled = LetterSettled(letter.id, sending.posted.destination, code)
        return [Persist(LETTER_ROW + letter.id, None), settled]

    def _forget_packet(self, sending: Sending) -> None:
        if sending.packet is not None:
            self._letters.pop(sending.packet, None)
