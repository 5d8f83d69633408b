"""Orders: what a mesh of daemons asks of those who host them, and what it is answered."""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar, get_args

import msgspec

from meshd.scheduler.states import JobView
from protocols.record import Record
from protocols.types import Duration, Instant, JobId, NodeId, PacketId
from sim.observe import Seen
from sim.scenario.actions import Disturb, Submit

A = TypeVar("A")


class Offered(msgspec.Struct, frozen=True):
    """A packet is on its way, and what its source expected of it then."""

    at: Instant
    predicted: Instant | None
    predicted_path: tuple[NodeId, ...]


class Order(msgspec.Struct, Generic[A], frozen=True, tag=True):
    """One thing asked for. `A` is the type of its answer."""


class Begin(Order[tuple[str, ...]], frozen=True):
    """Bring daemons up, on the homes they had if they lived before. Answers their addresses."""

    names: tuple[str, ...]


class Roster(Order[tuple[tuple[Record, ...], ...]], frozen=True):
    """The presence of each of these, as signed."""

    names: tuple[str, ...]


class Meet(Order[None], frozen=True):
    """Give each of these daemons, if it lives, what others have signed."""

    heard: tuple[tuple[str, tuple[Record, ...]], ...]


class Want(Order[None], frozen=True):
    """Have a daemon keep a standing link."""

    name: str
    node: NodeId
    address: str


class Offer(Order[Offered | None], frozen=True):
    """Give a daemon a payload to carry. Answers None when it is down."""

    packet: PacketId
    source: str
    destination: NodeId
    port: str
    size_bytes: int
    lifetime_ns: Duration
    durable: bool


class Letter(Order[bool], frozen=True):
    """Give a daemon a letter. Answers False when it is down."""

    letter: PacketId
    source: str
    destination: NodeId
    stream: str
    size_bytes: int
    lifetime_ns: Duration


class Take(Order[Instant | None], frozen=True):
    """Give a daemon a job, the `number`-th of this run. Answers when, or None when it is down."""

    job: JobId
    number: int
    action: Submit


class End(Order[tuple[PacketId, ...]], frozen=True):
    """Kill a daemon. Answers what it had in custody."""

    name: str


class Bar(Order[None], frozen=True):
    """Nothing passes between those `parted` and the rest, to or from those `out`, or between the
    two of each of `cuts`. What passed none of it before and is not named, passes again."""

    parted: tuple[str, ...] = ()
    out: tuple[str, ...] = ()
    cuts: tuple[tuple[str, str], ...] = ()


class Stand(Order[None], frozen=True):
    """A daemon takes no event, or goes on and takes what came meanwhile."""

    name: str
    still: bool


class Skewed(Order[None], frozen=True):
    """The clock of a daemon, this life and those to come, is off by so much from now on."""

    name: str
    offset_ns: Duration
    drift_ppm: int


class Trouble(Order[None], frozen=True):
    """Links at a daemon lose, and carry less (`Disturb`); None: they are as they should be."""

    name: str
    disturb: Disturb | None


class SetOff(Order[None], frozen=True):
    """Everyone is there: mission time passes from this real instant on."""

    real: Instant


class Look(Order[tuple[Seen, ...]], frozen=True):
    """What can be seen of every daemon that lives."""


class Views(Order[tuple[JobView | None, ...]], frozen=True):
    """Jobs as the books of their daemons have them; None while one is down."""

    jobs: tuple[tuple[str, JobId], ...]


class Count(Order[dict[str, float]], frozen=True):
    """What was counted since the start."""


AnyOrder: TypeAlias = (
    Begin
    | Roster
    | Meet
    | Want
    | Offer
    | Letter
    | Take
    | End
    | Bar
    | Stand
    | Skewed
    | Trouble
    | SetOff
    | Look
    | Views
    | Count
)


def answer_type(kind: type[Order[Any]]) -> Any:
    """The type of what an order is answered."""
    return get_args(kind.__orig_bases__[0])[0]  # type: ignore[attr-defined]
