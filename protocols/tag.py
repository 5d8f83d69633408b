"""Tags: 63 bits of a SHA-256 that stand for a node or a statement where its name would be long.

Nobody can make a key whose tag is a given one in less than some 2^63 tries.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Annotated, TypeAlias

from msgspec import Meta

from protocols.types import NodeId

TAG_BITS = 63
TAG_MAX = (1 << TAG_BITS) - 1

Tag: TypeAlias = Annotated[int, Meta(ge=0, le=TAG_MAX)]

_REMEMBERED_MAX = 1 << 17
"""Hashes: the nodes of a process ask for the same ones."""


@lru_cache(_REMEMBERED_MAX)
def tag_of(author: NodeId, kind: str = "") -> int:
    """Of a kind of an author's statements, or of a node: of both names with a zero byte between."""
    return _first_bits(f"{author}\0{kind}".encode())


@lru_cache(_REMEMBERED_MAX)
def mark_of(tag: int, sequence: int) -> int:
    """Of a statement by its tag and sequence: of both as 8 bytes each, the high byte first."""
    return _first_bits(tag.to_bytes(8, "big") + sequence.to_bytes(8, "big"))


def _first_bits(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1
