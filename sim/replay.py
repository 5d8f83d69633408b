"""Replay: a recorded life lived again. The same node, given the same events, wants the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from random import Random

import msgspec

from meshd.node import Node
from meshd.recording import Ended, Entry, Happened, Header, events_of, read, summary
from meshd.seam import Effect, Event, Woke
from protocols.errors import InputError
from protocols.record import Verifier
from protocols.types import Instant, NodeId

SHOWN_MAX = 400
"""Characters of an event or effect that are shown."""


class Difference(msgspec.Struct, frozen=True):
    """Where a replay first goes another way: at an event, counted from 1, and its effect."""

    number: int
    at: Instant
    event: str
    effect: int
    """Counted from 1; 0 when it is not an effect that differs."""
    recorded: str
    replayed: str


class Verdict(msgspec.Struct, frozen=True):
    """What a replay found."""

    header: Header
    events: int
    effects: int
    signatures: int
    first: Instant
    last: Instant
    ended: str
    """"stopped" or "full" as it says itself; "cut" when it says nothing; "failed" at a fault."""
    difference: Difference | None

    @property
    def same(self) -> bool:
        return self.difference is None


def replay(data: bytes, verifier: Verifier) -> Verdict:
    """Live a recording again, up to its end or the first difference.

    `verifier` knows the signatures of the mesh it was made in. Raises InputError with a code when
    the recording cannot be read, saying how far it went.
    """
    entries = read(data)
    header = next(entries)
    assert isinstance(header, Header)
    life = Life(header, verifier)
    try:
        for at, event, entry in events_of(life.watch(entries)):
            life.take(event, at, entry)
            if life.difference is not None or life.ended == "failed":
                break
    except InputError as error:
        message = f"{error.message}; the {life.events} events before it replay the same"
        raise InputError(error.code, message) from None
    return life.verdict()


class Hand:
    """Signs without the key: gives back the signatures on record, if they fit what is signed."""

    def __init__(self, me: NodeId, verifier: Verifier) -> None:
        self._me = me
        self._verifier = verifier
        self._recorded: list[bytes] = []
        self.signed = 0
        self.odd = ""
        """What does not fit."""

    def give(self, recorded: tuple[bytes, ...]) -> None:
        self._recorded = list(recorded)

    def sign(self, message: bytes) -> bytes:
        if not self._recorded:
            self.odd = self.odd or "it signs what was not signed"
            return b""
        self.signed += 1
        signature = self._recorded.pop(0)
        if not self._verifier(self._me, message, signature):
            self.odd = self.odd or "it signs other bytes"
        return signature

    def close(self) -> str:
        """What did not fit since `give`; "" when all did."""
        odd, self.odd = self.odd, ""
        return odd or ("it leaves unsigned what was signed" if self._recorded else "")


class Life:
    """The node of a recording, and what has been compared so far."""

    def __init__(self, header: Header, verifier: Verifier) -> None:
        self.header = header
        self.hand = Hand(header.node.node, verifier)
        self.node = Node(header.node, Random(header.seed), self.hand.sign, verifier)
        self.events = self.effects = 0
        self.first = self.last = header.started_at
        self.ended = "cut"
        self.difference: Difference | None = None

    def watch(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Entries on their way; the last says how the recording ends."""
        for entry in entries:
            if isinstance(entry, Ended) and self.ended == "cut":
                self.ended = entry.why
            yield entry

    def take(self, event: Event, at: Instant, entry: Happened) -> None:
        """One event: let the node have it, and compare what it does."""
        found = self._due(event, at) or self._live(event, at, entry)
        if found is not None:
            effect, recorded, replayed = found
            shown = _shown(event)
            number = self.events + 1
            self.difference = Difference(number, at, shown, effect, recorded, replayed)
            return
        self.first = at if self.events == 0 else self.first
        self.last = at
        self.events += 1

    def _due(self, event: Event, at: Instant) -> tuple[int, str, str] | None:
        if not isinstance(event, Woke):
            return None
        deadline = self.node.next_deadline()
        if deadline is not None and deadline <= at:
            return None
        return 0, "it wanted to be woken", f"it does not, before {deadline}"

    def _live(self, event: Event, at: Instant, entry: Happened) -> tuple[int, str, str] | None:
        self.hand.give(entry.signatures)
        try:
            effects = self.node.handle(event, at)
        except Exception as error:  # noqa: BLE001 - whatever the node raises is what we look for
            failure = f"it fails: {type(error).__name__}: {error}"
            if entry.effects is None:
                self.ended = "failed"
                return None
            return 0, f"it wants {len(entry.effects)} effects", failure[:SHOWN_MAX]
        odd = self.hand.close()
        if odd:
            return 0, f"it signs {len(entry.signatures)} statements", odd
        if entry.effects is None:
            return 0, "it fails", f"it wants {len(effects)} effects"
        return self._compared(entry, effects)

    def _compared(self, entry: Happened, effects: list[Effect]) -> tuple[int, str, str] | None:
        pairs = zip_longest(entry.effects or (), effects)
        for number, (recorded, effect) in enumerate(pairs, 1):
            replayed = summary(effect) if effect is not None else None
            if recorded != replayed:
                was = f"{recorded[0]} #{recorded[1]:08x}" if recorded else "nothing more"
                shown = f"{_shown(effect)} #{replayed[1]:08x}" if replayed else "nothing more"
                return number, was, shown
            self.effects += 1
        return None

    def verdict(self) -> Verdict:
        return Verdict(
            self.header,
            self.events,
            self.effects,
            self.hand.signed,
            self.first,
            self.last,
            self.ended,
            self.difference,
        )


def _shown(what: object) -> str:
    text = repr(what)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
