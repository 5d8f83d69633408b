"""Actions: what a timeline does to a mesh. One record each, tagged by `do`, the same in TOML."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import LETTER_BYTES_MAX

Names: TypeAlias = str | tuple[str, ...]
"""Nodes by name or pattern (`iridium-4-*`), one or several."""

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
PayloadSize: TypeAlias = Annotated[int, Meta(ge=0, le=196_608)]
LetterSize: TypeAlias = Annotated[int, Meta(ge=0, le=LETTER_BYTES_MAX)]
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
    durable: bool = False


class Ping(_Action, frozen=True, kw_only=True, tag="ping"):
    """A payload that comes back: it has arrived when its answer has."""

    source: str = msgspec.field(name="from")
    destination: str = msgspec.field(name="to")
    size_bytes: PayloadSize = 64
    lifetime: str = "60s"


class Post(_Action, frozen=True, kw_only=True, tag="post"):
    """Give a node a letter: it is sent until it is there, or has expired."""

    source: str = msgspec.field(name="from")
    destination: str = msgspec.field(name="to")
    size_bytes: LetterSize = 256
    stream: str = ""
    lifetime: str = "1h"


class Submit(_Action, frozen=True, kw_only=True, tag="submit"):
    """A job of equal shards, submitted at `from`; results go to `to`.

    With `stages` it has so many rows of `shards`, each but the first fed by the row before it, a
    shard by its like; with `gather` one more shard takes the outputs of the last row.
    """

    shards: Annotated[int, Meta(ge=1, le=10_000)]
    source: str = msgspec.field(name="from")
    sink: str = msgspec.field(name="to")
    name: str = "job"
    estimate_s: Positive = 10.0
    """What a shard takes on a node of speed 1."""
    deadline_s: Positive = 600.0
    model_bytes: FileSize = 100_000
    input_bytes: FileSize = 10_000
    stages: Annotated[int, Meta(ge=1, le=64)] = 1
    gather: bool = False

    @property
    def shards_in_all(self) -> int:
        return self.shards * self.stages + self.gather


class Start(_Action, frozen=True, kw_only=True, tag="start"):
    """Begin the lives of nodes that have not lived yet (`node.asleep`)."""

    nodes: Names


class Kill(_Action, frozen=True, kw_only=True, tag="kill"):
    """Nodes are gone without a word, with all that was not durable. `holder`: whichever holds the
    most unfinished shards then. With `for` they come back after a while. `torn`: of the commits
    under way some are on disk all the same."""

    nodes: Names
    torn: bool = False
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Restart:
        return Restart(nodes=self.nodes)


class Restart(_Action, frozen=True, kw_only=True, tag="restart"):
    """Those that are down come back on what their disks hold. `holder`: the one killed last."""

    nodes: Names


class Partition(_Action, frozen=True, kw_only=True, tag="partition"):
    """Nothing passes between these nodes and the rest, and no one is told. `one_way`: what they
    say is lost, what they are told is not."""

    nodes: Names
    one_way: bool = False
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Heal:
        return Heal()


class Heal(_Action, frozen=True, kw_only=True, tag="heal"):
    """Every partition, outage and cut ends."""


class Outage(_Action, frozen=True, kw_only=True, tag="outage"):
    """Each of these nodes is cut off from everyone: weather at a station, a lost attitude."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Restore:
        return Restore(nodes=self.nodes)


class Restore(_Action, frozen=True, kw_only=True, tag="restore"):
    """The outage of these nodes ends."""

    nodes: Names


class Cut(_Action, frozen=True, kw_only=True, tag="cut"):
    """Nothing passes between two nodes: a terminal lost its pointing. `one_way`: only what the
    first says is lost."""

    between: tuple[str, str]
    one_way: bool = False
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Mend:
        return Mend(between=self.between)


class Mend(_Action, frozen=True, kw_only=True, tag="mend"):
    """The cut between two nodes ends."""

    between: tuple[str, str]


class Disturb(_Action, frozen=True, kw_only=True, tag="disturb"):
    """Links at these nodes are bad from now on, in each way named; shares are of frames."""

    nodes: Names
    loss: Share = 0.0
    burst: Share = 0.0
    """Of frames that begin a second in which everything is lost."""
    duplicate: Share = 0.0
    reorder: Share = 0.0
    """Of frames that are late, so that others pass them."""
    corrupt: Share = 0.0
    """Of frames whose bits change: the link ends, as its cipher notices."""
    replay: Share = 0.0
    """Of frames behind which an old one comes again."""
    delay: str = "0ms"
    """Beyond the light time."""
    rate: Share = 1.0
    """What is left of the bandwidth."""
    outbox_bytes: Annotated[int, Meta(ge=0)] = 0
    """Where a link's outbox ends, if not at its usual size."""
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Calm:
        return Calm(nodes=self.nodes)


class Calm(_Action, frozen=True, kw_only=True, tag="calm"):
    """Links at these nodes are as they should be."""

    nodes: Names


class Pause(_Action, frozen=True, kw_only=True, tag="pause"):
    """These nodes stand still; what happens meanwhile reaches them all at once when they go on."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Resume:
        return Resume(nodes=self.nodes)


class Slow(_Action, frozen=True, kw_only=True, tag="slow"):
    """These nodes take every event so much later, and work slower by `speed`."""

    nodes: Names
    lag: str = "100ms"
    speed: Positive = 1.0
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Resume:
        return Resume(nodes=self.nodes)


class Resume(_Action, frozen=True, kw_only=True, tag="resume"):
    """These nodes go on at their own speed."""

    nodes: Names


class Skew(_Action, frozen=True, kw_only=True, tag="skew"):
    """The clocks of these nodes are off by so much from now on ("-5s" is behind), and by so much
    more with time. What a node is told never goes back: it stands until its clock is there."""

    nodes: Names
    by: str
    drift_ppm: float = 0.0
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Skew:
        return Skew(nodes=self.nodes, by="0s")


class FailCommit(_Action, frozen=True, kw_only=True, tag="fail-commit"):
    """The next commit of these nodes fails, and its rows may be on disk or not: the daemon stops
    there, and is started again a second later."""

    nodes: Names


class FillDisk(_Action, frozen=True, kw_only=True, tag="fill-disk"):
    """There is no room for blobs at these nodes."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> ClearDisk:
        return ClearDisk(nodes=self.nodes)


class ClearDisk(_Action, frozen=True, kw_only=True, tag="clear-disk"):
    """There is room for blobs again."""

    nodes: Names


class Backup(_Action, frozen=True, kw_only=True, tag="backup"):
    """A copy is made of what these nodes have on disk."""

    nodes: Names


class Rollback(_Action, frozen=True, kw_only=True, tag="rollback"):
    """These nodes are killed, and find their last backup (or nothing) when they come back."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="1s")

    def undo(self) -> Restart:
        return Restart(nodes=self.nodes)


class Swallow(_Action, frozen=True, kw_only=True, tag="swallow"):
    """These nodes accept packets for others and drop them: black holes."""

    nodes: Names
    lasting: str = msgspec.field(name="for", default="")

    def undo(self) -> Behave:
        return Behave(nodes=self.nodes)


class Behave(_Action, frozen=True, kw_only=True, tag="behave"):
    """These nodes are honest again."""

    nodes: Names


Lie: TypeAlias = Literal["forged", "stale", "future", "equivocal", "poisoned"]
Treason: TypeAlias = Literal[
    "uncertified",
    "borrowed",
    "expired",
    "expired hello",
    "moved",
    "impossible",
    "revoking",
]


class Tell(_Action, frozen=True, kw_only=True, tag="tell"):
    """These nodes tell their neighbours a lie. `forged`: in the name of another; `stale`: what
    another said long ago; `future`: from an hour ahead; `equivocal`: two statements of one
    sequence; `poisoned`: addresses that lead nowhere, and links to all at no cost.

    Where there are operators, too: `uncertified` and `borrowed`: a stranger is one of us, without
    a certificate or with another's; `expired`, `expired hello`: our certificate is an old one;
    `moved`: elements of another operator's satellite; `impossible`: those of our own, under
    ground; `revoking`: nobody is one of us.
    """

    nodes: Names
    lie: Lie | Treason


class Recover(_Action, frozen=True, kw_only=True, tag="recover"):
    """Every fault ends, and whoever is down comes back."""


class Settled(_Action, frozen=True, kw_only=True, tag="settled"):
    """Everything must be well: all know all, nothing is held, every job is done."""


Action: TypeAlias = (
    Send
    | Ping
    | Post
    | Submit
    | Start
    | Kill
    | Restart
    | Partition
    | Heal
    | Outage
    | Restore
    | Cut
    | Mend
    | Disturb
    | Calm
    | Pause
    | Slow
    | Resume
    | Skew
    | FailCommit
    | FillDisk
    | ClearDisk
    | Backup
    | Rollback
    | Swallow
    | Behave
    | Tell
    | Recover
    | Settled
)

Lasting: TypeAlias = (
    Kill | Partition | Outage | Cut | Disturb | Pause | Slow | Skew | FillDisk | Rollback | Swallow
)
"""What ends by itself after `for`, by the action that `undo` names."""

Harmful: TypeAlias = Lasting | FailCommit | Tell
"""What does harm; none is done once a scenario's liveness phase has begun."""
