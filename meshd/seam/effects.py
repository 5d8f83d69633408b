"""Effects: what a node wants done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from protocols.priority import Priority
from protocols.record import Orbit
from protocols.types import Cid, Duration, JobId, LinkId, NodeId, PacketId


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
    """Among frames that wait to leave on a link the lowest priority goes first, then the oldest."""

    link: LinkId
    frame: bytes
    priority: Priority = Priority.CONTROL


@dataclass(frozen=True, slots=True)
class Persist:
    """Write one row (or delete it, when `value` is None) before any later effect is performed."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class RunShard:
    """Run one shard in a worker under its limits; answered by one ShardFinished."""

    run: str
    kind: Literal["onnx", "wasm", "command"]
    model: Cid | None
    inputs: tuple[Cid, ...]
    command: tuple[str, ...]
    wall_ns: Duration
    """A limit in real nanoseconds, whatever the speed of the mission clock."""
    memory_bytes: int
    output_bytes_max: int
    estimate_ns: Duration
    """What the submitter expects it to take: a simulator runs the shard for that long."""
    fuel: int = 0
    """Instructions of WebAssembly; 0: no limit but that of time."""
    files: tuple[tuple[str, Cid], ...] = ()
    """Further files for it to read: (relative path, blob)."""

    @property
    def cids(self) -> tuple[Cid, ...]:
        """Every blob it needs."""
        model = () if self.model is None else (self.model,)
        return (*model, *self.inputs, *(cid for _, cid in self.files))


@dataclass(frozen=True, slots=True)
class StopShard:
    run: str


@dataclass(frozen=True, slots=True)
class OpenBlob:
    """A blob is to be fetched: answered by BlobOpened, with what is on disk of it already."""

    cid: Cid


@dataclass(frozen=True, slots=True)
class CloseBlob:
    """A blob is fetched no more: what has come of it stays for another time, or goes."""

    cid: Cid
    keep: bool


@dataclass(frozen=True, slots=True)
class ReadBlob:
    """Send `length` bytes of a blob from `offset` as the payload of a packet on port "blob"."""

    packet: PacketId
    cid: Cid
    offset: int
    length: int
    destination: NodeId
    lifetime_ns: Duration


@dataclass(frozen=True, slots=True)
class WriteBlob:
    """Write a piece of a blob: answered by PieceWritten (several that follow each other by one),
    BlobStored when it is whole, or BlobRejected.
    """

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


@dataclass(frozen=True, slots=True)
class ElementsHeard:
    """Somebody entitled to it has given new elements: to be planned by, from their instant on."""

    orbit: Orbit


@dataclass(frozen=True, slots=True)
class LetterKept:
    """A posted letter is on disk: it will be sent until its receipt comes, or it expires."""

    letter: PacketId


@dataclass(frozen=True, slots=True)
class LetterSettled:
    """A letter's end at its sender: "ok" when the receiver has it, else why it was given up."""

    letter: PacketId
    destination: NodeId
    code: str


@dataclass(frozen=True, slots=True)
class LetterArrived:
    """A letter is in the mailbox, where it stays until `LetterTaken`."""

    number: int
    port: str
