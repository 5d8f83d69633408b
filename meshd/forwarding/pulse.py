"""Pulse: a ready link that is silent is asked for a sign of life, and given up if it gives none."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.types import SECOND, Duration, Instant, LinkId

BEAT_NS = SECOND
"""A link on which nothing was heard for so long is asked. After as much again, and a round trip, it
is given up: what a process that is stopped, or a cut, takes to be noticed."""

ASKS = 5
"""How often it is asked meanwhile: where one frame in 100 is lost, all five exchanges fail in one
of 3e8 silences."""

_LATE_SHARE = 10
"""Who is woken later than a tenth of a beat was not there to listen."""

_TURNS = 10
"""Turns of a loop that an answer takes at a node as slow as this one, each as late as it was."""

_SLACK_BEATS_MAX = 8
_SLOW_BEATS = 10
"""How much more silence is borne at most by who was late, and for how long after it was."""

_MEASURED_MAX = 8


class Greeted(NamedTuple):
    """What is known of a link as it becomes ready."""

    dialled: bool
    delay_ns: Duration
    queue_ns: Duration = 0
    """How long what waits to leave at the other end may take at the rate of the contact."""


@dataclass(slots=True)
class _Watch:
    heard_at: Instant
    quiet_ns: Duration
    """Silence before the first asking."""
    delay_ns: Duration
    """One way, as measured by its hello, then by its answers: the least of the last few."""
    queue_ns: Duration
    """What may leave before an answer takes so long."""
    asked: int = 0
    """Times, since it was heard."""
    measured: deque[Duration] = field(default_factory=lambda: deque(maxlen=_MEASURED_MAX))


class Pulse:
    """Watches links: whom to ask now, and who has been silent too long. Every frame is life.

    A node that is woken late was away or is slow, and knows it: silence does not count while it was
    away, and it is patient with others for a while (Lifeguard's local health). Without a beat
    (`beat_ns` = 0) nothing is watched.
    """

    def __init__(self, beat_ns: Duration) -> None:
        self._beat_ns = beat_ns
        self._watches: dict[LinkId, _Watch] = {}
        self._slack_ns: Duration = 0
        self._slow_until: Instant = 0
        self._deadline: Instant | None = None

    def begin(self, link: LinkId, now: Instant, hello: Greeted) -> None:
        """Watch a link from now on. Who has dialled asks first: one end's asking serves both."""
        if self._beat_ns:
            quiet_ns = self._beat_ns if hello.dialled else self._beat_ns * 5 // 4
            self._watches[link] = _Watch(now, quiet_ns, hello.delay_ns, hello.queue_ns)
            self._set_deadline()

    def end(self, link: LinkId) -> None:
        if self._watches.pop(link, None) is not None:
            self._set_deadline()

    def heard(self, link: LinkId, now: Instant) -> None:
        """A frame came over it. (The deadline may come for nothing then: frames are many.)"""
        watch = self._watches.get(link)
        if watch is not None:
            watch.heard_at = now
            watch.asked = 0

    def answered(self, link: LinkId, asked_at: Instant, now: Instant) -> None:
        """What was asked at an instant is answered: that measures the way there and back."""
        watch = self._watches.get(link)
        if watch is not None:
            watch.measured.append(max(0, now - asked_at) // 2)
            watch.delay_ns = min(watch.measured)

    def delay_ns(self, link: LinkId) -> Duration | None:
        """One way, the least of the last few measurements; None before the first."""
        watch = self._watches.get(link)
        return watch.delay_ns if watch is not None and watch.measured else None

    def next_deadline(self) -> Instant | None:
        return self._deadline

    def due(self, now: Instant) -> tuple[list[LinkId], list[LinkId]]:
        """Links to ask now, and links that have been silent for too long."""
        if self._deadline is None or self._deadline > now:
            return [], []
        self._count_lateness(now - self._deadline, now)
        ask: list[LinkId] = []
        silent: list[LinkId] = []
        for link, watch in self._watches.items():
            if self._next(watch) > now:
                continue
            if watch.asked == ASKS:
                silent.append(link)
            else:
                watch.asked += 1
                ask.append(link)
        self._set_deadline()
        return ask, silent

    def _count_lateness(self, late_ns: Duration, now: Instant) -> None:
        slack_ns = min(_TURNS * late_ns, _SLACK_BEATS_MAX * self._beat_ns)
        if slack_ns >= self._slack_ns or now >= self._slow_until:
            self._slack_ns = slack_ns
            self._slow_until = now + _SLOW_BEATS * self._beat_ns
        if late_ns * _LATE_SHARE <= self._beat_ns:
            return
        for watch in self._watches.values():
            watch.heard_at += late_ns

    def _next(self, watch: _Watch) -> Instant:
        """When it is asked next; after the last time, when it has been silent for too long."""
        round_ns = 2 * watch.delay_ns + watch.queue_ns
        patience_ns = 2 * self._beat_ns + round_ns + self._slack_ns - watch.quiet_ns
        return watch.heard_at + watch.quiet_ns + watch.asked * patience_ns // ASKS

    def _set_deadline(self) -> None:
        self._deadline = min(map(self._next, self._watches.values()), default=None)
