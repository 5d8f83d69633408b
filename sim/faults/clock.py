"""Skewed clock: what a node is told the time is, when its own clock is off or drifts."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.types import Duration, Instant

MILLION = 1_000_000


@dataclass(slots=True)
class SkewedClock:
    """Off by `offset_ns` at `since`, and by `drift_ppm` more with every million after."""

    since: Instant
    offset_ns: Duration = 0
    drift_ppm: int = 0
    told: Instant = 0
    """The last time that was told: none earlier is."""

    def read(self, now: Instant) -> Instant:
        """What the node is told at a true instant."""
        shown = now + self.offset_ns + (now - self.since) * self.drift_ppm // MILLION
        self.told = max(self.told, shown)
        return self.told

    def when(self, shown: Instant) -> Instant:
        """A true instant at which this clock shows no less: when to wake a node."""
        rate = MILLION + self.drift_ppm
        passed = shown - self.offset_ns - self.since
        return self.since + -(-passed * MILLION // rate)
