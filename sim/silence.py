"""Silence: when nodes that listen (`meshd.forwarding.pulse`) would notice it, without a frame.

A thousand nodes that ask each other once a second are most of a simulation's events, and say
nothing until something is wrong. So in large worlds nodes do not ask, and this says what would have
come of it: the same conclusion, after the same time, and as often by mere loss.
"""

from __future__ import annotations

from math import log, log1p

from meshd.forwarding.pulse import ASKS, BEAT_NS
from protocols.types import HOUR, Duration, Instant
from sim.chance import fraction
from sim.medium import Link

FORESEEN_NS = 24 * HOUR
"""What would go wrong later than this is left out."""


def noticed_at(link: Link, side: int, now: Instant) -> Instant:
    """When the end on this side closes a link on which nothing has been said to it since `now`.

    Where nothing else is said, it is answered once in each beat and round trip.
    """
    light = link.path.light(now)
    last, patience = link.ways[1 - side].last_arrival, 2 * (BEAT_NS + light)
    since = max(0, now + light - last)
    return last + since - since % (BEAT_NS + 2 * light) + patience


def lost_after(seed: int, link: Link, loss: float) -> Duration | None:
    """How long until every asking of one silence is lost, at one end or the other; None for never.

    An asking fails if it or its answer is lost; the dialler asks in every beat, the other end only
    what the dialler's askings have left unanswered, so the first counts.
    """
    failing = 1 - (1 - loss) ** 2
    chance = fraction(seed, "silence", link.id)
    if failing == 0.0 or log(failing) * ASKS < -40:
        return None
    beats = log(1 - chance) / log1p(-(failing**ASKS)) if failing < 1 else 1.0
    return round(beats * BEAT_NS) if beats * BEAT_NS < FORESEEN_NS else None
