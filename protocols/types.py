"""The words every layer shares: instants, durations and the names of things."""

from __future__ import annotations

from typing import NewType, TypeAlias

Instant: TypeAlias = int
"""Integer nanoseconds since 1970-01-01T00:00:00 UTC (POSIX: leap seconds are not counted)."""

Duration: TypeAlias = int
"""Integer nanoseconds."""

NodeId = NewType("NodeId", str)
"""A libp2p peer id in base58 (`12D3KooW...`): the name of one daemon, and of its key."""

LinkId = NewType("LinkId", int)
"""One connection's life: never used again, so a late frame of an old link is known."""

JobId = NewType("JobId", str)
PacketId = NewType("PacketId", str)
Cid = NewType("Cid", str)
"""A blob's name: CIDv1, raw codec, sha2-256, base32 (`bafkrei...`)."""

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

SPEED_OF_LIGHT_KM_S = 299_792.458
"""Exact, by the definition of the metre."""


def light_time(range_km: float) -> Duration:
    """Nanoseconds light needs for a distance in km, rounded to the nearest."""
    return round(range_km / SPEED_OF_LIGHT_KM_S * SECOND)
