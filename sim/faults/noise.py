"""Noise: what bad links do to frames: lose, repeat, delay, reorder and mangle them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.types import MILLISECOND, SECOND, Duration, Instant
from sim.chance import fraction, number

BURST_NS = SECOND
LATE_NS = 50 * MILLISECOND
"""At most: how far a frame falls behind when it is reordered."""

KEPT_MAX = 8
"""Frames kept of each way, to be replayed."""


class Copy(NamedTuple):
    """What arrives of a frame, and when; `spoilt`: not the bytes that were sent."""

    arrive: Instant
    frame: bytes
    spoilt: bool = False


@dataclass(slots=True)
class Noise:
    """How bad links at one end are; shares are of frames."""

    loss: float = 0.0
    burst: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    replay: float = 0.0
    delay_ns: Duration = 0
    rate: float = 1.0
    outbox_bytes: int = 0
    silent_until: Instant = 0
    kept: dict[tuple[int, int], deque[bytes]] = field(default_factory=dict)

    def loses(self, key: tuple[int, ...], now: Instant) -> bool:
        """Whether this frame is lost; `key` names it: (seed, link, side, number)."""
        if now < self.silent_until:
            return True
        if self.burst and self._draw("burst", key) < self.burst:
            self.silent_until = now + BURST_NS
            return True
        return self.loss > 0 and self._draw("lose", key) < self.loss

    def copies(self, key: tuple[int, ...], arrive: Instant, frame: bytes) -> list[Copy]:
        """What arrives of a frame that would arrive once, as it is."""
        arrive += self.delay_ns
        if self.reorder and self._draw("reorder", key) < self.reorder:
            arrive += round(LATE_NS * self._draw("late", key))
        if self.corrupt and self._draw("corrupt", key) < self.corrupt:
            spoilt = mangled(frame, number(key[0], "mangle", *key[1:]))
            return [Copy(arrive, spoilt, True)]
        found = [Copy(arrive, frame)]
        if self.duplicate and self._draw("duplicate", key) < self.duplicate:
            found.append(Copy(arrive + round(LATE_NS * self._draw("again", key)), frame))
        if self.replay:
            old = self.kept.setdefault((key[1], key[2]), deque(maxlen=KEPT_MAX))
            if old and self._draw("replay", key) < self.replay:
                found.append(Copy(arrive, old[number(key[0], "old", *key[1:]) % len(old)]))
            old.append(frame)
        return found

    @staticmethod
    def _draw(what: str, key: tuple[int, ...]) -> float:
        return fraction(key[0], what, *key[1:])


def mangled(frame: bytes, chance: int) -> bytes:
    """The frame with one bit changed, or cut short."""
    if not frame or chance % 4 == 0:
        return frame[: chance // 4 % max(1, len(frame))]
    changed = bytearray(frame)
    changed[chance // 32 % len(frame)] ^= 1 << (chance // 4 % 8)
    return bytes(changed)
