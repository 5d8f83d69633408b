"""The one seam: what happens to a node (Event) and what it wants (Effect); `ports.py`: who does it.

A `Machine` decides; it never waits, reads no clock and opens no socket. A driver carries its
effects out: `meshd/driver.py` on trio, `sim/world.py` on an event heap. Effects are performed in
list order; those after a `Persist` wait for its commit while other events proceed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from protocols import LinkMessage
from protocols.record import Body, Record
from protocols.types import Cid, Duration, Instant, JobId, LinkId, NodeId, PacketId

if TYPE_CHECKING:
    from meshd.router.roster import Roster
    from meshd.topology.plan import ContactPlan

# --- Events: what the world tells a node --------------------------------------------------------


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
class StandingWanted:
    """A person asked for a link that no plan predicts (`meshd connect`), or for its end."""

    node: NodeId
    address: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    plan: ContactPlan


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    job: JobId
    spec: bytes
    """msgpack of `protocols.job.JobSpec`: the seam carries no live objects of the API."""


@dataclass(frozen=True, slots=True)
class JobCancelled:
    job: JobId


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
class BlobStored:
    """The blob is whole, verified against its cid, and on disk."""

    cid: Cid
    size: int


@dataclass(frozen=True, slots=True)
class BlobRejected:
    """What arrived under this name does not hash to it."""

    cid: Cid
    code: str


# --- Signals: what one machine of a node tells another ------------------------------------------
# A signal leaves a machine as an effect and comes back to its subscribers as an event (`node.py`
# has the table). Drivers see those that concern them too: payloads arrived or lost.


@dataclass(frozen=True, slots=True)
class PayloadOffered:
    """An application, or a machine of this node, gives a payload to carry."""

    packet: PacketId
    destination: NodeId
    port: str
    payload: bytes
    lifetime_ns: Duration
    durable: bool = False
    """Whether each relay has it on disk before it accepts it; here, whoever offers it must."""


@dataclass(frozen=True, slots=True)
class PayloadArrived:
    packet: PacketId
    source: NodeId
    port: str
    payload: bytes
    sent_at: Instant
    hops: tuple[NodeId, ...]
    arrived: tuple[Instant, ...]


@dataclass(frozen=True, slots=True)
class PayloadLost:
    """Custody ended without delivery: `code` is the reason, `node` who gave up."""

    packet: PacketId
    port: str
    destination: NodeId
    code: str
    node: NodeId


@dataclass(frozen=True, slots=True)
class LinkReady:
    """A neighbour has greeted and is who it should be. `planned`: a predicted contact covers it."""

    link: LinkId
    node: NodeId
    planned: bool
    delay_ns: Duration


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A ready link, or a planned one that never came up, is gone. `expected`: its contact ended."""

    link: LinkId | None
    node: NodeId
    expected: bool
    code: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One decoded message of a greeted neighbour."""

    link: LinkId
    node: NodeId
    message: LinkMessage


@dataclass(frozen=True, slots=True)
class Publish:
    """Sign this statement of our own and spread it."""

    body: Body
    ttl_ns: Duration


@dataclass(frozen=True, slots=True)
class Learnt:
    """A newer verified statement of an author (our own included) is now what we hold."""

    author: NodeId
    body: Body
    issued_at: Instant


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """The router knows something new: what was held may go another way."""


@dataclass(frozen=True, slots=True)
class BlobWanted:
    """Fetch a blob from a node that has it, unless it is already here."""

    cid: Cid
    source: NodeId
    lifetime_ns: Duration


@dataclass(frozen=True, slots=True)
class BlobUnwanted:
    """One BlobWanted (or a shard's output) less: without any left the blob may be dropped."""

    cid: Cid


@dataclass(frozen=True, slots=True)
class BlobFailed:
    """A wanted blob could not be had."""

    cid: Cid
    code: str


Signal: TypeAlias = (
    PayloadOffered
    | PayloadArrived
    | PayloadLost
    | LinkReady
    | LinkLost
    | MessageReceived
    | Publish
    | Learnt
    | RoutesChanged
    | BlobStored
    | BlobWanted
    | BlobUnwanted
    | BlobFailed
)

# --- Effects: what a node wants done ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Dial a node, trying its addresses in order; answered by LinkUp or LinkFailed."""

    node: NodeId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseLink:
    link: LinkId
    code: str


@dataclass(frozen=True, slots=True)
class SendFrame:
    link: LinkId
    frame: bytes


@dataclass(frozen=True, slots=True)
class Persist:
    """Write one row (or delete it, when `value` is None) before any later effect is performed."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class RunShard:
    """Run one shard in a worker under its limits; answered by one ShardFinished."""

    run: str
    kind: Literal["onnx", "command"]
    model: Cid | None
    input: Cid | None
    command: tuple[str, ...]
    wall_ns: Duration
    """A limit in real nanoseconds, whatever the speed of the mission clock."""
    memory_bytes: int
    output_bytes_max: int
    estimate_ns: Duration
    """What the submitter expects it to take: a simulator runs the shard for that long."""


@dataclass(frozen=True, slots=True)
class StopShard:
    run: str


@dataclass(frozen=True, slots=True)
class ReadBlob:
    """Send `length` bytes of a blob from `offset` as the payload of a packet on port "blob"."""

    cid: Cid
    offset: int
    length: int
    destination: NodeId
    lifetime_ns: Duration


@dataclass(frozen=True, slots=True)
class WriteBlob:
    """Write a piece of a blob; the last piece is answered by BlobStored or BlobRejected."""

    cid: Cid
    offset: int
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class ReleaseBlob:
    """This blob serves no one here any more; the store may drop it."""

    cid: Cid


@dataclass(frozen=True, slots=True)
class ReportJob:
    """Something a watcher of this job wants to know."""

    job: JobId
    what: str
    shard: int | None = None
    node: NodeId | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log and the event stream."""

    code: str
    fields: dict[str, str | int | float] = field(default_factory=dict)


Event: TypeAlias = (
    Started
    | Woke
    | LinkUp
    | LinkDown
    | LinkFailed
    | FrameReceived
    | RecordsLoaded
    | RosterLoaded
    | StandingWanted
    | PlanLoaded
    | JobSubmitted
    | JobCancelled
    | ShardFinished
    | BlobRejected
    | Signal
)

Effect: TypeAlias = (
    OpenLink | CloseLink | SendFrame | Persist | RunShard | StopShard | ReadBlob | WriteBlob
    | ReleaseBlob | ReportJob | Note | Signal
)  # fmt: skip


class Machine(Protocol):
    """A pure decision maker. Both methods run to completion and never wait."""

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event at mission time `now` (never earlier than the last) and say what to do."""
        ...

    def next_deadline(self) -> Instant | None:
        """When this machine wants `Woke`, or None."""
        ...
