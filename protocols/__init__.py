"""What is said on the wire. This table is the place to start; SPEC.md is the long form.

| where                      | messages                                                        |
|----------------------------|-----------------------------------------------------------------|
| stream `/meshd/link/1.0.0` | Hello, Beat, Packet, Accepted, Refused,                         |
|                            | Digest, Listing, Have, Ask, Records                             |
| packet port "job"          | Offer, Accept, Decline, Renew, Finished, Release,               |
|                            | Ready, Stored, Unfetched                                        |
| packet port "blob"         | Want, Chunk, Missing                                            |
| packet port "letter"       | Letter, Receipt                                                 |
| packet port "report"       | Undelivered                                                     |
| packet port "ping"         | any payload, returned unchanged on port "pong"                  |
| stream `/meshd/job/1.0.0`  | Permit, Submit, Status, Result; State, Outputs, Failure         |
| stream `/meshd/blob/1.0.0` | Permit, Get, Chunk, Kept, Failure                               |

Everything is msgpack: a message is an array whose first item is its tag. Decoders check types and
bounds; what does not fit is a ProtocolError with a code.
"""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from protocols.blob import BlobMessage
from protocols.client import BlobStreamMessage, JobStreamMessage
from protocols.errors import MALFORMED, ProtocolError
from protocols.forward import Accepted, Packet, Refused, Undelivered
from protocols.gossip import Ask, Digest, Have, Listing, Records
from protocols.job import JobMessage
from protocols.letter import LetterMessage
from protocols.link import Beat, Hello

LinkMessage: TypeAlias = (
    Hello | Beat | Packet | Accepted | Refused | Digest | Listing | Have | Ask | Records
)

T = TypeVar("T")


class Codec(Generic[T]):
    """Encodes and decodes one union of messages."""

    def __init__(self, union: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(union)
        self._encoder = msgspec.msgpack.Encoder()
        members = getattr(union, "__args__", (union,))
        self._tags = {member.__struct_config__.tag for member in members}

    def encode(self, message: T) -> bytes:
        return self._encoder.encode(message)

    def decode(self, data: bytes) -> T:
        """Raises ProtocolError: "bad-message" or "unknown-message"."""
        try:
            return self._decoder.decode(data)
        except MALFORMED as error:
            raise self._reason(data, error) from None

    def _reason(self, data: bytes, error: Exception) -> ProtocolError:
        try:
            raw = msgspec.msgpack.decode(data)
        except MALFORMED:
            return ProtocolError("bad-message", "a frame is not msgpack")
        tag = raw[0] if isinstance(raw, list) and raw else None
        if isinstance(tag, str) and tag not in self._tags:
            return ProtocolError("unknown-message", f"no message is called {tag[:32]!r} here")
        return ProtocolError("bad-message", f"a message is malformed: {error}")


LINK: Codec[LinkMessage] = Codec(LinkMessage)
JOB: Codec[JobMessage] = Codec(JobMessage)
BLOB: Codec[BlobMessage] = Codec(BlobMessage)
LETTER: Codec[LetterMessage] = Codec(LetterMessage)
REPORT: Codec[Undelivered] = Codec(Undelivered)
JOB_STREAM: Codec[JobStreamMessage] = Codec(JobStreamMessage)
BLOB_STREAM: Codec[BlobStreamMessage] = Codec(BlobStreamMessage)
