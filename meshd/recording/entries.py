"""Entries: what a recording is made of, in order. Each is a msgpack array with a tag."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from meshd.ephemeris.propagate import Failure
from meshd.ephemeris.sky import Kind
from meshd.node import NodeConfig
from protocols.types import Duration, Instant

Why: TypeAlias = Literal["stopped", "full", "behind"]
"""How a recording ends: with its daemon, at its size, or because the disk was too slow for it."""

Summary: TypeAlias = tuple[str, int]
"""An effect in short: its kind, and the CRC-32 of its msgpack."""


class Header(msgspec.Struct, frozen=True, array_like=True, tag="header"):
    """The first entry: all that a node is made from, but for its key."""

    meshd: str
    python: str
    """Versions: another one may decide otherwise."""
    node: NodeConfig
    seed: str | int
    """Of the node's `random.Random`."""
    started_at: Instant
    epoch: Instant
    speed: float
    """The mission clock: for people, since every event has its instant."""


class KeptPlan(msgspec.Struct, frozen=True, array_like=True, tag="plan"):
    """A contact plan, once for each digest, ahead of the first `PlanLoaded` that names it.

    Columns and states are kept, not what they were predicted from: sines differ by a last bit
    between processors, and a replay must not.
    """

    sky_digest: str
    policy_code: str
    digest: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    start: Instant
    end: Instant
    columns: tuple[bytes, bytes, bytes, bytes, bytes]
    """a, b, begin and finish as little-endian int64, rate_bps as float64."""
    first: Instant
    step_ns: Duration
    states: tuple[bytes, bytes]
    """Positions and velocities, little-endian float64, (knots, sites, 3)."""
    sites_failed: tuple[Failure, ...]


class Happened(msgspec.Struct, frozen=True, array_like=True, tag="event"):
    """One event, and what the node did about it."""

    at: Instant
    kind: str
    body: msgspec.Raw
    signatures: tuple[bytes, ...]
    """What the node's key signed meanwhile, in order."""
    effects: tuple[Summary, ...] | None
    """None: the node never finished with this event, since it failed."""


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """The last entry. Without it the recording was cut short (power, kill -9)."""

    why: Why


Entry: TypeAlias = Header | KeptPlan | Happened | Ended
