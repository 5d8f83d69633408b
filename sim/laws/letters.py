"""Letters: kept before they are promised, read once, and in the order of their stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from meshd.letters.mailbox import MAIL_ROW
from meshd.letters.outgoing import LETTER_ROW
from meshd.seam import Effect, Event, LetterArrived, LetterKept
from protocols import LinkMessage
from protocols.record import Verifier
from protocols.types import Instant, NodeId, PacketId
from sim.host import Host
from sim.laws.law import Law, require

Stream: TypeAlias = tuple[int, NodeId, str]


class Letters(Law):
    """Remembers every letter that could be read, by host."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)
        self._read: set[tuple[int, NodeId, PacketId]] = set()
        self._last: dict[Stream, int] = {}

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        assert host.node is not None
        early = bool(host.node.letters.mailbox.early())
        self.saw["a letter waited for those before it in its stream"] += early

    def effect(self, host: Host, effect: Effect) -> None:
        match effect:
            case LetterKept(letter=letter):
                kept = LETTER_ROW + letter in host.rows
                require(kept, "a letter that is kept is on disk", host.name, letter)
            case LetterArrived(number=number):
                self._arrived(host, number)

    def _arrived(self, host: Host, number: int) -> None:
        assert host.node is not None
        row = f"{MAIL_ROW}{number:012x}" in host.rows
        require(row, "a letter that may be read is on disk", host.name, number)
        found = host.node.letters.mailbox.find(number)
        if found is None or "custody" in host.excused:
            return  # taken at once, or of a time before an old copy of the database
        name = (host.index, found.source, found.letter.id)
        require(name not in self._read, "a letter is read once", host.name, found.letter.id)
        self._read.add(name)
        if not found.letter.stream:
            return
        stream, of = (host.index, found.source, found.letter.stream), found.letter.number
        rises = of > self._last.get(stream, 0)
        require(rises, "a stream is read in its order", host.name, *stream, of)
        self._last[stream] = of
