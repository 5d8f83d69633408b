"""A blob's name is the hash of its bytes: CIDv1, raw codec, sha2-256, base32 (`bafkrei...`).

https://github.com/multiformats/cid: multibase "b", then <version 1><codec 0x55 raw>
<multihash 0x12 sha2-256><length 32><digest>. Other codecs and hashes are not used here.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode

from protocols.errors import MeshError, ProtocolError
from protocols.types import Cid

_HEAD = bytes((0x01, 0x55, 0x12, 0x20))
# 36 bytes are 288 bits, 58 letters of 5. The head's 32 bits fix six letters and the top two bits of
# the seventh; the last letter holds 3 bits and 2 zeros. So one digest has exactly one spelling.
_SHAPE = re.compile(r"bafkrei[a-h][a-z2-7]{50}[aeimquy4]", re.ASCII)


class Hasher:
    """Names bytes that come in pieces, in order."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._sha.update(data)

    def cid(self) -> Cid:
        """The name of all bytes so far; more may follow."""
        return Cid("b" + b32encode(_HEAD + self._sha.digest()).decode().rstrip("=").lower())


def cid_of(data: bytes | bytearray | memoryview) -> Cid:
    """The name of these bytes."""
    hasher = Hasher()
    hasher.update(data)
    return hasher.cid()


def check(text: str, blame: type[MeshError] = ProtocolError) -> Cid:
    """The same text as a Cid; it holds letters and digits only, so it is safe as a file name.

    Raises `blame` (ProtocolError; InputError for what a person typed) with code "bad-cid".
    """
    if _SHAPE.fullmatch(text) is None:
        said = text if len(text) <= 80 else text[:80] + "..."
        message = f"not a blob's name: {said!r}; expected bafkrei and 52 more of a-z, 2-7"
        raise blame("bad-cid", message)
    return Cid(text)
