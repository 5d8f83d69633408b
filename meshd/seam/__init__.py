"""The one seam: what happens to a node (Event) and what it wants (Effect); `ports.py`: who does it.

A `Machine` decides; it never waits, reads no clock and opens no socket. A driver carries its
effects out: `meshd/driver.py` on trio, `sim/world.py` on an event heap. Effects are performed in
list order; those after a `Persist` wait for its commit while other events proceed.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from meshd.seam.effects import (
    CloseBlob,
    CloseLink,
    ElementsHeard,
    LetterArrived,
    LetterKept,
    LetterSettled,
    Note,
    OpenBlob,
    OpenLink,
    Persist,
    ReadBlob,
    ReleaseBlob,
    ReportJob,
    RunShard,
    SendFrame,
    StopShard,
    WriteBlob,
)
from meshd.seam.events import (
    BlobKept,
    BlobOpened,
    BlobRejected,
    BootstrapWanted,
    FrameReceived,
    JobCancelled,
    JobSubmitted,
    LetterPosted,
    LetterTaken,
    LinkDown,
    LinkFailed,
    LinkUp,
    PieceWritten,
    PlanLoaded,
    RecordsLoaded,
    RosterLoaded,
    ShardFinished,
    ShardSaid,
    Started,
    Woke,
)
from meshd.seam.signals import (
    Barred,
    BlobFailed,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    Judged,
    Learnt,
    LinkLost,
    LinkReady,
    MessageReceived,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    PayloadTaken,
    Publish,
    RoutesChanged,
    Signal,
    StandingWanted,
)
from protocols.types import Instant

__all__ = [
    "Barred",
    "BlobFailed",
    "BlobKept",
    "BlobOpened",
    "BlobRejected",
    "BlobStored",
    "BlobUnwanted",
    "BlobWanted",
    "BootstrapWanted",
    "CloseBlob",
    "CloseLink",
    "Effect",
    "ElementsHeard",
    "Event",
    "FrameReceived",
    "JobCancelled",
    "JobSubmitted",
    "Judged",
    "Learnt",
    "LetterArrived",
    "LetterKept",
    "LetterPosted",
    "LetterSettled",
    "LetterTaken",
    "LinkDown",
    "LinkFailed",
    "LinkLost",
    "LinkReady",
    "LinkUp",
    "Machine",
    "MessageReceived",
    "Note",
    "OpenBlob",
    "OpenLink",
    "PayloadArrived",
    "PayloadLost",
    "PayloadOffered",
    "PayloadTaken",
    "Persist",
    "PieceWritten",
    "PlanLoaded",
    "Publish",
    "ReadBlob",
    "RecordsLoaded",
    "ReleaseBlob",
    "ReportJob",
    "RosterLoaded",
    "RoutesChanged",
    "RunShard",
    "SendFrame",
    "ShardFinished",
    "ShardSaid",
    "Signal",
    "StandingWanted",
    "Started",
    "StopShard",
    "Woke",
    "WriteBlob",
]

Event: TypeAlias = (
    Started
    | Woke
    | LinkUp
    | LinkDown
    | LinkFailed
    | FrameReceived
    | RecordsLoaded
    | RosterLoaded
    | BootstrapWanted
    | PlanLoaded
    | LetterPosted
    | LetterTaken
    | JobSubmitted
    | JobCancelled
    | ShardFinished
    | ShardSaid
    | BlobOpened
    | PieceWritten
    | BlobKept
    | BlobRejected
    | Signal
)

Effect: TypeAlias = (
    OpenLink | CloseLink | SendFrame | Persist | RunShard | StopShard | OpenBlob | CloseBlob
    | ReadBlob | WriteBlob | ReleaseBlob | ReportJob | Note | ElementsHeard | LetterKept
    | LetterSettled
    | LetterArrived | Signal
)  # fmt: skip


class Machine(Protocol):
    """A pure decision maker. Both methods run to completion and never wait."""

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event at mission time `now` (never earlier than the last) and say what to do."""
        ...

    def next_deadline(self) -> Instant | None:
        """When this machine wants `Woke`, or None."""
        ...
