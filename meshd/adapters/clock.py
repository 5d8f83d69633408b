"""Mission time for a real process: UTC, or an epoch that several processes run on together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from protocols.errors import InputError
from protocols.types import SECOND, Instant

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MissionClock:
    """`now` = epoch + (real - anchor) * speed, and never goes back.

    Real time is UTC as read once, carried on by the monotonic clock: a step of the system's clock
    does not reach the mission. `epoch` None starts at real time; `anchor_real` None anchors there
    too. Processes that are given the same epoch, anchor and speed share one mission time.
    """

    def __init__(
        self,
        epoch: Instant | None = None,
        speed: float = 1.0,
        anchor_real: Instant | None = None,
        *,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise InputError("bad-speed", f"the speed is {speed}; it must be more than 0")
        self._monotonic_ns = monotonic_ns
        self._start_monotonic, self._start_real = monotonic_ns(), time_ns()
        anchor = self._start_real if anchor_real is None else anchor_real
        self.epoch: Instant = anchor if epoch is None else epoch
        self.anchor_real: Instant = anchor
        self.speed = speed
        # Exact integers: a float loses 64 ns at today's date, and could go back by as much.
        self._up, self._down = float(speed).as_integer_ratio()

    def now(self) -> Instant:
        """Mission time."""
        since_anchor = self.real() - self.anchor_real
        return self.epoch + since_anchor * self._up // self._down

    def real(self) -> Instant:
        """UTC as it was at start plus what the monotonic clock has counted since."""
        return self._start_real + self._monotonic_ns() - self._start_monotonic

    def real_seconds_until(self, instant: Instant) -> float:
        """Seconds of this computer until a mission instant (0 when past), rounded up."""
        wait = instant - self.now()
        if wait <= 0:
            return 0.0
        return math.nextafter(-(-wait * self._down // self._up) / SECOND, math.inf)


def parse_instant(text: str) -> Instant:
    """Nanoseconds of an ISO 8601 time that states its zone. InputError "bad-time"."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise _bad_time(text, str(error)) from error
    if moment.tzinfo is None:
        raise _bad_time(text, "it states no zone")
    return (moment - _UNIX_EPOCH) // timedelta(microseconds=1) * 1000


def parse_epoch(text: str) -> tuple[Instant, Instant | None]:
    """`MISSION[@REAL]`: when the mission starts and, if given, the real instant of that.

    InputError "bad-time".
    """
    mission, at, real = text.partition("@")
    return parse_instant(mission), parse_instant(real) if at else None


def _bad_time(text: str, why: str) -> InputError:
    return InputError(
        "bad-time", f"{text!r} is not a time: {why}. Write it as 2026-03-20T12:00:00Z"
    )
