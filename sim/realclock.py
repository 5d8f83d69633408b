"""HeldClock: mission time of the real driver, the same in every process of a run."""

from __future__ import annotations

import trio

from meshd.adapters.clock import MissionClock
from protocols.types import SECOND, Instant


class HeldClock(MissionClock):
    """Mission time that stands at its epoch until it is set off; then real time, faster or not.

    So it takes no mission time to bring daemons up, as under the other drivers.
    """

    def __init__(self, epoch: Instant, speed: float) -> None:
        super().__init__(epoch, speed)
        self._held = True

    async def set_off(self, real: Instant) -> None:
        """Return at that real instant, with the epoch just past. All processes have one UTC."""
        self.anchor_real = real
        await trio.sleep(max(0, real - self.real()) / SECOND)
        while self.real() < real:
            await trio.lowlevel.checkpoint()
        self._held = False

    def now(self) -> Instant:
        return self.epoch if self._held else super().now()

    def real_seconds_until(self, instant: Instant) -> float:
        if self._held and instant > self.epoch:
            return float("inf")
        return super().real_seconds_until(instant)
