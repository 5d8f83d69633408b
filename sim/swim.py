"""Swim: plain SWIM with memberlist's default settings, as others would run it over the same mesh.

A model to compare with, none of our code: the protocol of Das, Gupta and Motivala with the numbers
of hashicorp/memberlist's `DefaultLANConfig`, without Lifeguard and without its TCP ping. A message
takes the light time of the shortest path, and arrives unless it is lost, or no path leads there; a
receiver that is paused has it when that goes on. What a scheduled gap is, SWIM does not know.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias

from protocols.types import MILLISECOND, SECOND, Duration, Instant

PROBE_NS = SECOND
TIMEOUT_NS = 500 * MILLISECOND
INDIRECT = 3
GOSSIP_NS = 200 * MILLISECOND
FANOUT = 3
RETRANSMIT_MULT = 4
SUSPICION_MULT = 4
HEADER_BYTES = 28 + 4
"""Of UDP and IP, and of a compound message."""

PING_BYTES, NEWS_BYTES = 40, 60

State: TypeAlias = Literal["alive", "suspect", "dead"]
News: TypeAlias = tuple[State, int, int]
"""What is said, of whom, at which incarnation."""

Delay: TypeAlias = Callable[[int, int, Instant], Duration | None]
"""One way between two members; None where no path leads."""

_RANK = {"alive": 0, "suspect": 1, "dead": 2}


@dataclass(slots=True)
class Member:
    """One process. What it holds of others is kept where it is not "alive at incarnation 0"."""

    incarnation: int = 0
    known: dict[int, tuple[State, int]] = field(default_factory=dict)
    queue: dict[int, tuple[News, int]] = field(default_factory=dict)
    """News to pass on, with how often it still is."""
    order: list[int] = field(default_factory=list)
    paused_until: Instant = 0
    acked: set[int] = field(default_factory=set)


class Swim:
    """A group of processes on a clock of their own. `deaths` is who was declared dead, by whom."""

    def __init__(self, count: int, delay: Delay, loss: float, rng: Random) -> None:
        self.now: Instant = 0
        self.sent_bytes = 0
        self.deaths: list[tuple[Instant, int, int]] = []
        """(when, who says so, of whom)."""
        self.members = [Member() for _ in range(count)]
        self._delay, self._loss, self._rng = delay, loss, rng
        self._queue: list[tuple[Instant, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = self._probe = 0
        self.suspicion_ns = round(SUSPICION_MULT * max(1.0, math.log10(count)) * PROBE_NS)
        self._transmits = RETRANSMIT_MULT * math.ceil(math.log10(count + 1))
        for member in range(count):
            self._at(rng.randrange(PROBE_NS), self._probes, member)
            self._at(rng.randrange(GOSSIP_NS), self._gossips, member)

    def run_until(self, instant: Instant) -> None:
        while self._queue and self._queue[0][0] <= instant:
            self.now, _, action, given = heapq.heappop(self._queue)
            action(*given)
        self.now = instant

    def pause(self, member: int, until: Instant) -> None:
        """A process stands still: its timers and messages come when it goes on, timers first."""
        self.members[member].paused_until = until

    # --- time and messages ----------------------------------------------------------------------

    def _at(self, instant: Instant, action: Callable[..., None], *given: Any) -> None:
        self._number += 1
        heapq.heappush(self._queue, (instant, self._number, action, given))

    def _timer(
        self, member: int, instant: Instant, action: Callable[..., None], *given: Any
    ) -> None:
        self._at(instant, self._ring, member, action, given)

    def _ring(self, member: int, action: Callable[..., None], given: tuple[Any, ...]) -> None:
        until = self.members[member].paused_until
        if until > self.now:
            self._at(until, action, *given)
        else:
            action(*given)

    def _send(self, a: int, b: int, size: int, action: Callable[..., None], *given: Any) -> None:
        self.sent_bytes += size + HEADER_BYTES
        delay = self._delay(a, b, self.now)
        if delay is not None and self._rng.random() >= self._loss:
            self._at(self.now + delay, self._arrive, b, action, given)

    def _arrive(self, member: int, action: Callable[..., None], given: tuple[Any, ...]) -> None:
        until = self.members[member].paused_until
        if until > self.now:
            self._at(until + MILLISECOND, action, *given)
        else:
            action(*given)

    # --- probes ---------------------------------------------------------------------------------

    def _probes(self, me: int) -> None:
        self._timer(me, self.now + PROBE_NS, self._probes, me)
        target = self._next(me)
        if target is None:
            return
        self._probe += 1
        number = self._probe
        self._send(me, target, PING_BYTES, self._pinged, target, me, me, number)
        self._timer(me, self.now + TIMEOUT_NS, self._ask_others, me, target, number)
        self._timer(me, self.now + PROBE_NS - 1, self._conclude, me, target, number)

    def _next(self, me: int) -> int | None:
        """In a random order, round after round; never the dead."""
        member = self.members[me]
        for _ in range(2 * len(self.members)):
            if not member.order:
                member.order = [other for other in range(len(self.members)) if other != me]
                self._rng.shuffle(member.order)
            target = member.order.pop()
            if self._state(me, target)[0] != "dead":
                return target
        return None

    def _pinged(self, me: int, via: int, asker: int, number: int) -> None:
        self._send(me, via, PING_BYTES, self._acked, via, asker, number)

    def _acked(self, me: int, asker: int, number: int) -> None:
        if me == asker:
            self.members[me].acked.add(number)
        else:
            self._send(me, asker, PING_BYTES, self._acked, asker, asker, number)

    def _ask_others(self, me: int, target: int, number: int) -> None:
        if number in self.members[me].acked:
            return
        for via in self._rng.sample(range(len(self.members)), INDIRECT):
            if via not in (me, target):
                ping = (self._relay, via, target, me, number)
                self._send(me, via, PING_BYTES, *ping)

    def _relay(self, me: int, target: int, asker: int, number: int) -> None:
        self._send(me, target, PING_BYTES, self._pinged, target, me, asker, number)

    def _conclude(self, me: int, target: int, number: int) -> None:
        acked = self.members[me].acked
        if number in acked:
            acked.discard(number)
            return
        state, incarnation = self._state(me, target)
        if state == "alive":
            self._hear(me, ("suspect", target, incarnation))

    # --- news -----------------------------------------------------------------------------------

    def _state(self, me: int, of: int) -> tuple[State, int]:
        return self.members[me].known.get(of, ("alive", 0))

    def _gossips(self, me: int) -> None:
        self._timer(me, self.now + GOSSIP_NS, self._gossips, me)
        member = self.members[me]
        if not member.queue:
            return
        for to in self._rng.sample(range(len(self.members)), FANOUT):
            news = tuple(said for said, _ in member.queue.values())
            if to != me and news:
                self._send(me, to, NEWS_BYTES * len(news), self._hear_all, to, news)
            left = {of: (said, times - 1) for of, (said, times) in member.queue.items()}
            member.queue = {of: item for of, item in left.items() if item[1] > 0}

    def _hear_all(self, me: int, news: Sequence[News]) -> None:
        for said in news:
            self._hear(me, said)

    def _hear(self, me: int, news: News) -> None:
        state, of, incarnation = news
        member = self.members[me]
        if of == me:
            if state != "alive" and incarnation >= member.incarnation:
                member.incarnation = incarnation + 1
                member.queue[me] = (("alive", me, member.incarnation), self._transmits)
            return
        before, at = self._state(me, of)
        newer = incarnation > at if state == "alive" else incarnation >= at
        if not newer or (incarnation == at and _RANK[state] <= _RANK[before]):
            return
        member.known[of] = (state, incarnation)
        member.queue[of] = (news, self._transmits)
        if state == "suspect":
            self._timer(me, self.now + self.suspicion_ns, self._bury, me, of, incarnation)
        elif state == "dead":
            self.deaths.append((self.now, me, of))

    def _bury(self, me: int, of: int, incarnation: int) -> None:
        if self._state(me, of) == ("suspect", incarnation):
            self._hear(me, ("dead", of, incarnation))
