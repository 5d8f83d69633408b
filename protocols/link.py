"""What two neighbours say when a link opens: who I am, and what sky I live under."""

from __future__ import annotations

import msgspec

from protocols.bounds import Name, Nanoseconds, Node
from protocols.certificate import Sealed

PROTOCOL = "/meshd/link/1.0.0"
VERSION = 3
"""3: certificates, what operators say by gossip, packets have a priority, and silence on a link is
broken by a `Beat`. 2: gossip announces, and sums what it holds (`protocols.gossip`). 1 listed all
of it."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """First frame on a link, from both ends; answered once, which measures the round trip.

    `sky` and `policy` name the plan both ends should share: two nodes that predict different
    links cannot route for each other, so a mismatch leaves the link to standing traffic only.
    """

    version: int
    node: Node
    name: Name
    sky: Name
    policy: Name
    standing: bool
    sent_at: Nanoseconds
    answers: Nanoseconds = 0
    """`sent_at` of the hello this one answers, or 0 for the first."""
    certificate: Sealed | None = None
    """That the sender is one of an operator's own; None where it has none."""


class Beat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """Are you there? Said where nothing was heard for a while; answered at once, which measures the
    round trip: `answers` is the `sent_at` of the beat it answers, or 0 in one that asks.
    """

    sent_at: Nanoseconds
    answers: Nanoseconds = 0
