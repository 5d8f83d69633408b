"""Actions: what a timeline does to a mesh. One record each, tagged by `do`, the same in TOML."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Names: TypeAlias = str | tuple[str, ...]
"""Nodes by name or pattern (`iridium-4-*`), one or several."""

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
PayloadSize: TypeAlias = Annotated[int, Meta(ge=0, le=196_608)]
FileSize: TypeAlias = Annotated[int, Meta(ge=1, le=1 << 26)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]


class _Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"
):
    """Something done once, `at` after the start."""

    at: str = "0s"


class Send(_Action, frozen=True, kw_only=True, tag="send"):
    """Give a node a payload to carry."""

    source: str = msgspec.field(name="from")
    destination: str = msgspec.field(name="to")
    size_bytes: PayloadSize = 256
    lifetime: str = "60s"


class Ping(_Action, frozen=True, kw_only=True, tag="ping"):
    """A payload that comes back: it has arrived when its answer has."""

    source: str = msgspec.field(name="from")
    destination: str = msgspec.field(name="to")
    size_bytes: PayloadSize = 64
    lifetime: str = "60s"


class Submit(_Action, frozen=True, kw_only=True, tag="submit"):
    """A job of equal shards, submitted at `from`; results go to `to`."""

    shards: Annotated[int, Meta(ge=1, le=10_000)]
    source: str = msgspec.field(name="from")
    sink: str = msgspec.field(name="to")
    name: str = "job"
    estimate_s: Positive = 10.0
    """What a shard takes on a node of speed 1."""
    deadline_s: Positive = 600.0
    model_bytes: FileSize = 100_000
    input_bytes: FileSize = 10_000


class Start(_Action, frozen=True, kw_only=True, tag="start"):
    """Begin the lives of nodes that have not lived yet (`node.asleep`)."""

    nodes: Names


class Kill(_Action, frozen=True, kw_only=True, tag="kill"):
    """Nodes are gone without a word, with all that was not durable. `holder`: whichever holds the
    most unfinished shards then. With `for` they come back after a while."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Restart:
        return Restart(nodes=self.nodes)


class Restart(_Action, frozen=True, kw_only=True, tag="restart"):
    """Those that are down come back on what their disks hold. `holder`: the one killed last."""

    nodes: Names


class Partition(_Action, frozen=True, kw_only=True, tag="partition"):
    """Nothing passes between these nodes and the rest, and no one is told."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Heal:
        return Heal()


class Heal(_Action, frozen=True, kw_only=True, tag="heal"):
    """Every partition and outage ends."""


class Outage(_Action, frozen=True, kw_only=True, tag="outage"):
    """Each of these nodes is cut off from everyone: weather at a station, a lost attitude."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Restore:
        return Restore(nodes=self.nodes)


class Restore(_Action, frozen=True, kw_only=True, tag="restore"):
    """The outage of these nodes ends."""

    nodes: Names


class Skew(_Action, frozen=True, kw_only=True, tag="skew"):
    """The clocks of these nodes are off by so much from now on; "-5s" is behind."""

    nodes: Names
    by: str
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Skew:
        return Skew(nodes=self.nodes, by="0s")


Action: TypeAlias = (
    Send | Ping | Submit | Start | Kill | Restart | Partition | Heal | Outage | Restore | Skew
)

Lasting: TypeAlias = Kill | Partition | Outage | Skew
"""What ends by itself after `for`, by the action that `undo` names."""
