"""What requests to the control API ask, as types: a field that is not known is refused."""

from __future__ import annotations

from typing import Any

import msgspec


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked beside the path."""


class Address(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to link with, as a multiaddr that ends in /p2p/ID."""

    address: str


class NewElements(msgspec.Struct, forbid_unknown_fields=True):
    """Files of elements by name, and the whole ten minutes of UTC from which they count."""

    at: str
    documents: dict[str, str]
    publish: bool = False
    """To all by gossip, signed by this node; else to this daemon alone."""


class Signed(msgspec.Struct, forbid_unknown_fields=True):
    """Records that somebody signed, to be told to all."""

    records: list[bytes]
    """msgpack of each, in base64."""


class Bootstrap(msgspec.Struct, forbid_unknown_fields=True):
    """A daemon to be dialled at each start, or no longer."""

    address: str
    wanted: bool = True


class Node(msgspec.Struct, forbid_unknown_fields=True):
    """A node by name, site or id."""

    node: str


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """Whether a blob is kept, or a cache."""

    kept: bool


class Ping(msgspec.Struct, forbid_unknown_fields=True):
    """How often to ask a node for an answer."""

    node: str
    count: int = 1
    interval_s: float = 1.0


class Job(msgspec.Struct, forbid_unknown_fields=True):
    """A job's specification, and its id where the client chose one."""

    spec: dict[str, Any]
    id: str | None = None
