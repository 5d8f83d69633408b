"""Host: the machine a simulated node runs on. It outlives the node: rows and blobs are here."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshd.membership.membership import PRESENCE_TTL_NS
from meshd.node import Node, NodeConfig
from protocols.record import Body, Presence, Record, Signer, Statement, sign
from protocols.types import Instant, LinkId, NodeId
from sim.faults.clock import SkewedClock
from sim.faults.disk import Disk
from sim.faults.stall import Stall
from sim.medium import Link
from sim.stores import MemoryBlobs

IDLE_WAKES_MAX = 64
"""A node that wants to be woken at the same instant this often is stuck: our own fault."""


@dataclass(slots=True)
class Host:
    """Where a node lives. `node` is None while it is down; `life` counts its starts and ends."""

    index: int
    config: NodeConfig
    sign: Signer
    speed: float = 1.0
    node: Node | None = None
    life: int = 0
    disk: Disk = field(default_factory=Disk)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    links: dict[LinkId, Link] = field(default_factory=dict)
    """Those up at this end."""
    runs: dict[str, int] = field(default_factory=dict)
    """Shards at work, with the number of the run that may finish them."""
    deadline: Instant | None = None
    """What the node said after its last event."""
    wake_at: Instant | None = None
    """The earliest wake-up that is on its way."""
    clock: SkewedClock | None = None
    """Its own clock, when that is not right."""
    stall: Stall | None = None
    """What waits for the node, while it stands still or is slow."""
    work_speed: float = 1.0
    """What a fault has left of `speed`."""
    swallows: bool = False
    """A black hole: it accepts packets for others and drops them."""
    excused: set[str] = field(default_factory=set)
    """Promises that a fault has made void here: "sequence", "jobs", "results",
    "custody", "disk".
    """
    handled: int = 0
    """Events that changed something, as the checkers count them."""
    woken_at: Instant = -1
    wakes: int = 0
    """How often the node was woken at `woken_at`."""

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def id(self) -> NodeId:
        return self.config.node

    @property
    def rows(self) -> dict[str, bytes]:
        """What is on disk."""
        return self.disk.rows

    @property
    def address(self) -> str:
        return f"/sim/{self.config.name}"

    @property
    def presence(self) -> Presence:
        config = self.config
        idle, shown = config.work.idle, config.trust.certificate
        return Presence(config.name, config.site, (self.address,), idle, shown)

    def crash(self) -> None:
        """Lose all that is not durable."""
        self.node = None
        self.life += 1
        self.links.clear()
        self.runs.clear()
        self.stall = None
        self.blobs.crash()
        self.wake_at = self.deadline = None

    def count_wake(self, now: Instant) -> None:
        if self.woken_at != now:
            self.woken_at, self.wakes = now, 0
        self.wakes += 1
        assert self.wakes <= IDLE_WAKES_MAX, f"{self.name} wakes for ever at {now}"


def signed(host: Host, now: Instant) -> list[Record]:
    """What a node would have said of itself before launch: who it is, and its load when idle."""
    bodies: tuple[Body, ...] = (host.presence, host.config.work.idle)
    return [
        sign(Statement(host.id, number, now, PRESENCE_TTL_NS, body), host.sign)
        for number, body in enumerate(bodies, start=1)
    ]
