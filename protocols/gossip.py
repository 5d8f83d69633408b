"""Anti-entropy over one link: digests say what I hold, records bring what you lack."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.bounds import DIGEST_ENTRIES_MAX, RECORDS_MAX, Count, Name, Node
from protocols.record import Record


class Held(msgspec.Struct, frozen=True, array_like=True):
    """I hold this author's statement of this kind up to this sequence."""

    author: Node
    kind: Name
    sequence: Count


class Digest(msgspec.Struct, frozen=True, array_like=True, tag="digest"):
    """All I hold between two keys (author, kind), `low` included, `high` not; ("", "") is open.

    The receiver sends back what is newer or missing in that range, and, unless `answer` is set,
    its own digest of the same range, so that one exchange levels both. Where `roster` is set,
    what the roster of that digest says is held too, and left out.
    """

    low: tuple[Name, Name]
    high: tuple[Name, Name]
    held: Annotated[tuple[Held, ...], Meta(max_length=DIGEST_ENTRIES_MAX)]
    answer: bool = False
    roster: Name = ""


class Records(msgspec.Struct, frozen=True, array_like=True, tag="records"):
    records: Annotated[tuple[Record, ...], Meta(max_length=RECORDS_MAX)]
