"""The sizes that every message obeys, and the types that enforce them while decoding."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from protocols.types import Cid, JobId, NodeId, PacketId

PAYLOAD_BYTES_MAX = 196_608
"""What one packet may carry; with its header it fits a frame (`FRAME_BYTES_MAX`)."""

LETTER_BYTES_MAX = PAYLOAD_BYTES_MAX - 1_024
"""A letter's body: with what is said of it, it fits a payload."""

CHUNK_BYTES_MAX = 49_152
"""A blob's piece: four in flight stay under a yamux window (256 KiB)."""

WANT_BYTES_MAX = 8 * CHUNK_BYTES_MAX
"""What one question may ask of a blob: eight pieces."""

BLOB_BYTES_MAX = 1 << 30

PUT_BYTES_MAX = 1 << 28
"""A blob that a client may put: less than a node may fetch, since who may send it is anybody."""

RECORD_BYTES_MAX = 16_384
PACKET_ID_MAX = 40
HOP_LIMIT_MAX = 64
DEAD_LINKS_MAX = 16
DIGEST_ENTRIES_MAX = 1_000
DIGEST_SPANS_MAX = 256
HOPS_EVERYWHERE = 255
RECORDS_MAX = 256
ADDRESSES_MAX = 8
STANDING_MAX = 256
DOUBTS_MAX = 256
TLE_LINE_MAX = 80
SPEED_MAX = 1_000_000.0
CERTIFICATE_BYTES_MAX = 1_024
ROLES_MAX = 8
REVOKED_MAX = 1_024
CAPABILITY_CHARS_MAX = 8_192
SHARDS_MAX = 10_000
SLOTS_MAX = 65_536
WORK_NS_MAX = 86_400 * 1_000_000_000
"""A day: what one shard may be expected to take."""

SHARDS_RENEWED_MAX = 1_024
STAGES_MAX = 64
INPUTS_MAX = 1_000
"""Outputs of other shards that one shard takes: with their nodes they fit an offer."""

FILES_MAX = 64
OUTPUTS_MAX = 1_000
TEXT_MAX = 1_024
SAID_MAX = 4_096
"""Letters of standard error in one message."""

Node: TypeAlias = Annotated[NodeId, Meta(min_length=1, max_length=64)]
Packet_: TypeAlias = Annotated[PacketId, Meta(min_length=1, max_length=PACKET_ID_MAX)]
Job_: TypeAlias = Annotated[JobId, Meta(min_length=1, max_length=40)]
Cid_: TypeAlias = Annotated[Cid, Meta(min_length=59, max_length=59)]
Name: TypeAlias = Annotated[str, Meta(max_length=128)]
Code: TypeAlias = Annotated[str, Meta(max_length=64)]
Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_MAX)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 40)]
Slots: TypeAlias = Annotated[int, Meta(ge=0, le=SLOTS_MAX)]
WorkNanoseconds: TypeAlias = Annotated[int, Meta(ge=0, le=WORK_NS_MAX)]
Nanoseconds: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 62)]
ShardIndex: TypeAlias = Annotated[int, Meta(ge=0, lt=SHARDS_MAX)]
