"""Trace: one hash over all that happened. Same seed, same hash, whatever PYTHONHASHSEED says."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import TypeAlias

import msgspec

from meshd.seam import Effect, Event, FrameReceived, PlanLoaded, RosterLoaded, SendFrame, Woke
from protocols.types import SECOND, Instant

LINE_CHARACTERS_MAX = 240

BUFFER_BYTES = 1 << 16
"""What happened is packed into a buffer and hashed when that is full: one call in a thousand."""

HEAD = "<qiHqI"
"""How the head of an entry is packed (struct): instant, node, code, number, length of body."""

NAME = 0
"""The code of an entry that gives the next code a name; `number` is that code."""


Keep: TypeAlias = Callable[[bytes], None]


class Trace:
    """Hashes every event given to a node and every effect it asked for, in order.

    An entry is packed as (instant, node, code, number, length of body) and a body. Codes are given
    to types when first met, with their names, so they mean the same in every run. Frames and
    wake-ups, nine of ten entries, are packed as they are; other bodies are msgpack. With
    `lines_max` the last so many are also kept as text, for people.
    """

    keep: Keep | None = None
    """Takes all that is hashed, in order: a file's `write`."""

    def __init__(self, lines_max: int = 0) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._buffer = bytearray()
        self._head = Struct(HEAD).pack
        self._encode = msgspec.msgpack.Encoder().encode
        self._codes: dict[tuple[str, type], int] = {}
        self._lines_max = lines_max
        self.lines: deque[str] = deque(maxlen=lines_max)
        self.count = 0

    @property
    def hash(self) -> str:
        self._flush()
        return self._hash.hexdigest()

    def event(self, at: Instant, node: int, event: Event) -> None:
        self._add(at, node, "<", event)

    def effects(self, at: Instant, node: int, effects: list[Effect]) -> None:
        for effect in effects:
            self._add(at, node, ">", effect)

    def code(self, way: str, kind: type) -> int:
        """The code of a type of event ("<") or effect (">"); names it when it is first met."""
        code = self._codes.get((way, kind))
        if code is None:
            code = self._codes[way, kind] = len(self._codes) + 1
            name = f"{way}{kind.__name__}".encode()
            self.mark(0, -1, NAME, code, name)
        return code

    def mark(self, at: Instant, node: int, code: int, number: int, body: bytes = b"") -> None:
        """One entry of the trace."""
        buffer = self._buffer
        buffer += self._head(at, node, code, number, len(body))
        if body:
            buffer += body
        if len(buffer) >= BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(self._buffer)
        if self.keep is not None:
            self.keep(bytes(self._buffer))
        self._buffer.clear()

    def _add(self, at: Instant, node: int, way: str, what: Event | Effect) -> None:
        self.count += 1
        kind = type(what)
        code = self._codes.get((way, kind)) or self.code(way, kind)
        if isinstance(what, FrameReceived | SendFrame):
            self.mark(at, node, code, what.link, what.frame)
        elif kind is Woke:
            self.mark(at, node, code, 0)
        else:
            self.mark(at, node, code, 0, self._body(what))
        if self._lines_max:
            line = f"{at / SECOND:.9f} {node} {way} {what!r}"
            self.lines.append(line[:LINE_CHARACTERS_MAX])

    def _body(self, what: Event | Effect) -> bytes:
        """What is seldom: a plan and a roster by their digest, since all they hold follows."""
        match what:
            case PlanLoaded():
                return what.plan.digest.encode()
            case RosterLoaded():
                return what.roster.digest.encode()
            case _:
                return self._encode(what)
