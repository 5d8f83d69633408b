"""Events: what the world tells a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.record import Record
from protocols.types import Cid, Duration, JobId, LinkId, NodeId, PacketId

if TYPE_CHECKING:
    from meshd.router.roster import Roster
    from meshd.topology.plan import ContactPlan


@dataclass(frozen=True, slots=True)
class Started:
    """First event of a life: what the store held, and what the shell knows of itself."""

    rows: tuple[tuple[str, bytes], ...] = ()
    blobs: tuple[Cid, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Woke:
    """The deadline that `next_deadline` announced has come."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    link: LinkId
    node: NodeId
    dialled: bool
    address: str = ""


@dataclass(frozen=True, slots=True)
class LinkDown:
    link: LinkId
    code: str


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """An `OpenLink` came to nothing: `code` says why."""

    node: NodeId
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class FrameReceived:
    link: LinkId
    frame: bytes


@dataclass(frozen=True, slots=True)
class RecordsLoaded:
    """Records that came by another way than a link; verified like any other."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class RosterLoaded:
    """What all nodes signed before launch, verified already; shared by the nodes of a process."""

    roster: Roster


@dataclass(frozen=True, slots=True)
class BootstrapWanted:
    """A person names a node to join the mesh by when no other is there, or takes that back."""

    node: NodeId
    address: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    plan: ContactPlan


@dataclass(frozen=True, slots=True)
class LetterPosted:
    """An application gives a letter to send; with a `stream`, after the others of that."""

    letter: PacketId
    destination: NodeId
    port: str
    body: bytes
    lifetime_ns: Duration
    stream: str = ""


@dataclass(frozen=True, slots=True)
class LetterTaken:
    """An application has the letter of this number: the mailbox may forget it."""

    number: int


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    job: JobId
    spec: bytes
    """msgpack of `protocols.job.JobSpec`: the seam carries no live objects of the API."""


@dataclass(frozen=True, slots=True)
class JobCancelled:
    job: JobId


@dataclass(frozen=True, slots=True)
class ShardSaid:
    """A shard that runs has written to standard error."""

    run: str
    text: str


@dataclass(frozen=True, slots=True)
class ShardFinished:
    """A worker ended; `code` is "ok" or why not ("wall-limit", "memory-limit", "crashed"...)."""

    run: str
    code: str
    message: str = ""
    output: Cid | None = None
    output_bytes: int = 0
    wall_ns: Duration = 0


@dataclass(frozen=True, slots=True)
class BlobOpened:
    """What is on disk of a blob that is to be fetched: its size if known, and sorted intervals."""

    cid: Cid
    size: int | None
    held: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PieceWritten:
    cid: Cid
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class BlobKept:
    """A person wants a blob to stay here, also across restarts; or no more."""

    cid: Cid
    kept: bool


@dataclass(frozen=True, slots=True)
class BlobRejected:
    """What arrived under this name does not hash to it, or cannot be kept."""

    cid: Cid
    code: str
