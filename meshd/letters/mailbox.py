"""Mailbox: the letters that came here, each once, kept until an application has taken them."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from meshd.seam import Effect, LetterArrived, Persist
from protocols.letter import Letter
from protocols.types import Instant, NodeId, PacketId

UNREAD_MAX = 1_024
UNREAD_BYTES_MAX = 64 << 20
TAKEN_MAX = 16_384
"""So many letters that were read are remembered, until they expire: a copy may still come."""

STREAMS_MAX = 1_024
"""Of more, that is forgotten which was silent longest."""

MAIL_ROW = "mail/"
EARLY_ROW = "mail-early/"
TAKEN_ROW = "mail-taken/"
STREAM_ROW = "mail-stream/"

Name = tuple[NodeId, PacketId]
Stream = tuple[NodeId, str]


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A row: a letter, who sent it, and when it came."""

    source: NodeId
    letter: Letter
    arrived_at: Instant


_rows = msgspec.msgpack.Decoder(Kept)


class Mailbox:
    """Pure: each method gives the effects.

    What may be read has a number, in the order in which it may. A letter of a stream that comes
    before its turn waits without one.
    """

    def __init__(self) -> None:
        self._unread: dict[int, Kept] = {}
        self._numbers: dict[Name, int] = {}
        self._early: dict[Stream, dict[int, Kept]] = {}
        self._read: OrderedDict[Stream, int] = OrderedDict()
        """The highest number of each stream that may be read."""
        self._taken: dict[Name, Instant] = {}
        self._fades: list[tuple[Instant, Name]] = []
        self._bytes = 0
        self._count = 0
        self._last = 0

    # --- what is asked --------------------------------------------------------------------------

    def unread(self, port: str) -> tuple[tuple[int, Kept], ...]:
        """The letters to a port, by number, in their order."""
        return tuple((n, kept) for n, kept in self._unread.items() if kept.letter.port == port)

    def find(self, number: int) -> Kept | None:
        """The letter of this number, if it waits to be read."""
        return self._unread.get(number)

    def early(self) -> tuple[Kept, ...]:
        """Those that wait for others of their stream."""
        return tuple(kept for early in self._early.values() for kept in early.values())

    def knows(self, source: NodeId, letter: PacketId) -> bool:
        """Whether a letter waits to be read, or was read and has not expired."""
        return (source, letter) in self._numbers or (source, letter) in self._taken

    def ports(self) -> dict[str, int]:
        """How many letters wait at each port."""
        counts: dict[str, int] = {}
        for kept in self._unread.values():
            counts[kept.letter.port] = counts.get(kept.letter.port, 0) + 1
        return counts

    def next_deadline(self) -> Instant | None:
        times = [kept.letter.gap_until for kept in self.early()]
        if self._fades:
            times.append(self._fades[0][0])
        return min(times, default=None)

    # --- what changes ---------------------------------------------------------------------------

    def restore(self, rows: Iterable[tuple[str, bytes]]) -> None:
        for key, value in rows:
            if key.startswith(MAIL_ROW):
                number = int(key[len(MAIL_ROW) :], 16)
                self._enter(number, _rows.decode(value))
            elif key.startswith(EARLY_ROW):
                self._keep_early(_rows.decode(value))
            elif key.startswith(TAKEN_ROW):
                source, _, letter = key[len(TAKEN_ROW) :].partition("/")
                self._remember((NodeId(source), PacketId(letter)), int(value))
            elif key.startswith(STREAM_ROW):
                source, _, stream = key[len(STREAM_ROW) :].partition("/")
                self._read[NodeId(source), stream] = int(value)
        self._last = max(self._unread, default=0)

    def receive(self, source: NodeId, letter: Letter, now: Instant) -> tuple[str, list[Effect]]:
        """Keep a letter that has come: the code of its receipt, "" for none, and the effects.

        A receipt must stand behind them: then what it says is on disk.
        """
        if letter.expires_at <= now:
            return "", []
        kept = Kept(source, letter, now)
        known = self._row_of(kept)
        if known is not None:
            return "ok", [known]
        stream = (source, letter.stream)
        if letter.stream and letter.number <= self._read.get(stream, 0):
            return "ok", [_barrier(kept)]  # read, and forgotten since
        if self._count >= UNREAD_MAX or self._bytes + len(letter.body) > UNREAD_BYTES_MAX:
            return "mailbox-full", []
        if not letter.stream:
            return "ok", self._admit(kept)
        self._keep_early(kept)
        early = Persist(_early_key(kept), msgspec.msgpack.encode(kept))
        return "ok", [early, *self._go_on(stream, now)]

    def take(self, number: int) -> list[Effect]:
        """An application has it. Unknown numbers were taken before."""
        kept = self._unread.pop(number, None)
        if kept is None:
            return []
        name = (kept.source, kept.letter.id)
        del self._numbers[name]
        self._count -= 1
        self._bytes -= len(kept.letter.body)
        self._remember(name, kept.letter.expires_at)
        row = Persist(_taken_key(name), str(kept.letter.expires_at).encode())
        return [Persist(_mail_key(number), None), row, *self._forget_oldest()]

    def wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for stream in list(self._early):
            effects += self._go_on(stream, now)
        while self._fades and self._fades[0][0] <= now:
            effects += self._forget(heapq.heappop(self._fades)[1])
        return effects

    # --- streams --------------------------------------------------------------------------------

    def _keep_early(self, kept: Kept) -> None:
        stream = (kept.source, kept.letter.stream)
        self._early.setdefault(stream, {})[kept.letter.number] = kept
        self._count += 1
        self._bytes += len(kept.letter.body)

    def _go_on(self, stream: Stream, now: Instant) -> list[Effect]:
        """Admit those of a stream whose turn has come."""
        early, effects = self._early[stream], list[Effect]()
        for number in sorted(early):
            letter = early[number].letter
            if letter.after > self._read.get(stream, 0) and letter.gap_until > now:
                break
            kept = early.pop(number)
            self._count -= 1
            self._bytes -= len(letter.body)
            effects += [Persist(_early_key(kept), None), *self._admit(kept)]
            effects += self._advance(stream, number)
        if not early:
            del self._early[stream]
        return effects

    def _advance(self, stream: Stream, number: int) -> list[Effect]:
        self._read[stream] = number
        self._read.move_to_end(stream)
        effects: list[Effect] = [Persist(_stream_key(stream), str(number).encode())]
        if len(self._read) > STREAMS_MAX:
            effects.append(Persist(_stream_key(self._read.popitem(last=False)[0]), None))
        return effects

    # --- one letter -----------------------------------------------------------------------------

    def _admit(self, kept: Kept) -> list[Effect]:
        """Let a letter be read."""
        self._last += 1
        self._enter(self._last, kept)
        row = Persist(_mail_key(self._last), msgspec.msgpack.encode(kept))
        return [row, LetterArrived(self._last, kept.letter.port)]

    def _enter(self, number: int, kept: Kept) -> None:
        self._unread[number] = kept
        self._numbers[kept.source, kept.letter.id] = number
        self._count += 1
        self._bytes += len(kept.letter.body)

    def _row_of(self, kept: Kept) -> Persist | None:
        """The row of a letter that is here or was read, written once more; None for a new one."""
        name = (kept.source, kept.letter.id)
        number = self._numbers.get(name)
        if number is not None:
            return Persist(_mail_key(number), msgspec.msgpack.encode(self._unread[number]))
        if name in self._taken:
            return Persist(_taken_key(name), str(self._taken[name]).encode())
        early = self._early.get((kept.source, kept.letter.stream), {})
        if kept.letter.number in early:
            return Persist(_early_key(kept), msgspec.msgpack.encode(early[kept.letter.number]))
        return None

    def _remember(self, name: Name, until: Instant) -> None:
        self._taken[name] = until
        heapq.heappush(self._fades, (until, name))

    def _forget_oldest(self) -> list[Effect]:
        return self._forget(heapq.heappop(self._fades)[1]) if len(self._taken) > TAKEN_MAX else []

    def _forget(self, name: Name) -> list[Effect]:
        self._taken.pop(name, None)
        return [Persist(_taken_key(name), None)]


def _barrier(kept: Kept) -> Persist:
    """No such row: what stands behind it waits for the rows before it."""
    return Persist(_early_key(kept), None)


def _mail_key(number: int) -> str:
    return f"{MAIL_ROW}{number:012x}"


def _early_key(kept: Kept) -> str:
    return f"{EARLY_ROW}{kept.source}/{kept.letter.stream}/{kept.letter.number}"


def _stream_key(stream: Stream) -> str:
    return f"{STREAM_ROW}{stream[0]}/{stream[1]}"


def _taken_key(name: Name) -> str:
    return f"{TAKEN_ROW}{name[0]}/{name[1]}"
