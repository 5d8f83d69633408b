"""Blobs: content-addressed bytes, asked for in pieces by whoever needs them (port "blob")."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import BLOB_BYTES_MAX, CHUNK_BYTES_MAX, WANT_BYTES_MAX, Cid_

Offset: TypeAlias = Annotated[int, Meta(ge=0, le=BLOB_BYTES_MAX)]


class Want(msgspec.Struct, frozen=True, array_like=True, tag="want"):
    """Answered by a `Chunk` for every CHUNK_BYTES_MAX from `offset` on, up to the blob's end."""

    cid: Cid_
    offset: Offset
    length: Annotated[int, Meta(gt=0, le=WANT_BYTES_MAX)]


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag="chunk"):
    cid: Cid_
    offset: Offset
    size: Offset
    """Of the whole blob."""
    data: Annotated[bytes, Meta(max_length=CHUNK_BYTES_MAX)]


class Missing(msgspec.Struct, frozen=True, array_like=True, tag="missing"):
    cid: Cid_


BlobMessage: TypeAlias = Want | Chunk | Missing
