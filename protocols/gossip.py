"""Gossip over one link: who has news announces it, who lacks it asks, and digests find the rest.

A statement's tag stands for its author and kind, its mark for the tag and the sequence (`tag.py`).
Tags are evenly spread, so a range of them is a fair part of all that is held, and the sum of the
marks there (modulo 2^63) says at once whether two hold the same.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.bounds import (
    DIGEST_ENTRIES_MAX,
    DIGEST_SPANS_MAX,
    HOPS_EVERYWHERE,
    RECORDS_MAX,
    Count,
    Name,
)
from protocols.record import Record
from protocols.tag import TAG_BITS, TAG_MAX, Tag


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A statement by its tag, up to a sequence."""

    tag: Tag
    sequence: Count


class Span(msgspec.Struct, frozen=True, array_like=True):
    """What is held at the tags that begin with the first `bits` bits of `low`; its others are 0."""

    low: Tag
    bits: Annotated[int, Meta(ge=0, le=TAG_BITS)]
    count: Count
    sum: Tag

    @property
    def high(self) -> int:
        """The last tag of the span."""
        return self.low | (TAG_MAX >> self.bits)


class Digest(msgspec.Struct, frozen=True, array_like=True, tag="digest"):
    """All I hold, in sums. Who holds something else in a span answers with more detail.

    Where `roster` is set, what the roster of that digest says is held too, and left out.
    """

    spans: Annotated[tuple[Span, ...], Meta(max_length=DIGEST_SPANS_MAX)]
    roster: Name = ""


class Listing(msgspec.Struct, frozen=True, array_like=True, tag="listing"):
    """All I hold at the tags from `low` to `high`. What is newer or missing there I have not."""

    low: Tag
    high: Tag
    held: Annotated[tuple[Held, ...], Meta(max_length=DIGEST_ENTRIES_MAX)]
    roster: Name = ""


class Have(msgspec.Struct, frozen=True, array_like=True, tag="have"):
    """I hold these, and shall send them to whoever asks."""

    held: Annotated[tuple[Held, ...], Meta(max_length=DIGEST_ENTRIES_MAX)]


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """Send me these."""

    tags: Annotated[tuple[Tag, ...], Meta(max_length=DIGEST_ENTRIES_MAX)]


class Records(msgspec.Struct, frozen=True, array_like=True, tag="records"):
    """Statements. A beacon goes `hops` hops beyond the receiver; all else goes everywhere."""

    records: Annotated[tuple[Record, ...], Meta(max_length=RECORDS_MAX)]
    hops: Annotated[int, Meta(ge=0, le=HOPS_EVERYWHERE)] = HOPS_EVERYWHERE
