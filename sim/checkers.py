"""Checkers: what must hold after every event, kept in books of their own, apart from the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import protocols
from meshd.scheduler.states import Status
from meshd.seam import (
    BlobRejected,
    CloseLink,
    Effect,
    Event,
    FrameReceived,
    LinkDown,
    LinkFailed,
    LinkUp,
    Note,
    PayloadLost,
    ReportJob,
    ShardFinished,
    Started,
    Woke,
)
from protocols import LinkMessage
from protocols.errors import ProtocolError
from protocols.frame import LENGTH_BYTES
from protocols.record import Verifier
from protocols.types import SECOND, Instant, JobId, LinkId, PacketId
from sim.host import Host
from sim.laws import LAWS
from sim.laws.custody import Custody
from sim.laws.law import Law
from sim.laws.law import Violation as Violation
from sim.laws.law import require as require
from sim.laws.packets import sniff
from sim.laws.rest import settled
from sim.medium import Link, Path, Ride
from sim.tally import Tally

if TYPE_CHECKING:
    from sim.world import World

REFUSALS = ("refused", "replaced", "failed", "cancelled", "starved")
ENDS = {status.value for status in Status if status is not Status.RUNNING}
LIES = ("bad-signature", "record-from-future")
HEARD = {b"\xa6packet", b"\xa7records", b"\xa5hello"}
"""Messages that laws look into."""


class Checkers:
    """Hears all that reaches a node and all it asks for; raises Violation when a law is broken."""

    def __init__(self, genuine: Verifier) -> None:
        self._lives: dict[int, int] = {}
        self._up: set[tuple[int, LinkId]] = set()
        self._ever: set[tuple[int, LinkId]] = set()
        self._told: dict[tuple[JobId, int], str] = {}
        self._ended: dict[JobId, str] = {}
        self._free_at: dict[tuple[LinkId, int], Instant] = {}
        self._heard: LinkMessage | None = None
        self._now: Instant = 0
        self.saw: Counter[str] = Counter()
        """Interesting states, and how often they were reached."""
        self._laws: list[Law] = [law(self.saw, genuine) for law in LAWS]
        self.checks = 0

    # --- what reaches a node --------------------------------------------------------------------

    def event(self, host: Host, event: Event, now: Instant) -> None:
        require(now >= self._now, "time never goes back", now, self._now)
        self._now = now
        self._heard = None
        if isinstance(event, Started):
            self._lives[host.index] = host.life
        require(self._lives.get(host.index) == host.life, "the dead hear nothing", host.name, event)
        if isinstance(event, Woke):
            return
        match event:
            case FrameReceived(link=link):
                up = (host.index, link) in self._up
                require(up, "no frame over a closed link", host.name, link)
                self._heard = _decoded(event.frame)
            case LinkUp(link=link):
                key = (host.index, link)
                require(key not in self._ever, "a LinkId is used once", host.name, link)
                self._up.add(key)
                self._ever.add(key)
            case LinkDown(link=link, code=code):
                self._up.discard((host.index, link))
                self.saw[f"a link ended: {code}"] += 1
                require(code != "", "every refusal has a code", event)
            case LinkFailed(code=code):
                self.saw["a dial failed"] += 1
                require(code != "", "every refusal has a code", event)
            case BlobRejected(code=code) | ShardFinished(code=code):
                self.saw[f"a blob was refused: {code}"] += isinstance(event, BlobRejected)
                require(code != "", "every refusal has a code", event)

    def after(self, host: Host, event: Event, effects: Sequence[Effect]) -> None:
        """The event is handled: every law looks at what it did to the node."""
        told = self._now if host.clock is None else host.clock.told
        for law in self._laws:
            law.after(host, event, self._heard, effects, told)
        self.checks += len(self._laws) + 1

    def sent(self, link: Link, side: int, size: int, ride: Ride) -> None:
        """Frames of one way leave one behind the other, at the rate of the link."""
        key = (link.id, side)
        free = ride.depart >= self._free_at.get(key, 0)
        require(free, "a link carries no more than its rate", link.id, ride)
        took = (size + LENGTH_BYTES) * 8 * SECOND / link.path.rate_bps
        self._free_at[key] = ride.depart + int(took)
        self.checks += 1

    def ride(self, path: Path, ride: Ride) -> None:
        """A frame has arrived: not before light could, and it left while the contact stood."""
        due = ride.depart + path.light(ride.depart)
        require(ride.arrive >= due, "nothing is faster than light", ride, due)
        require(path.open_at(ride.depart), "nothing departs after the contact", ride, path.finish)

    def killed(self, host: Host) -> None:
        del self._lives[host.index]
        self._up = {key for key in self._up if key[0] != host.index}
        for law in self._laws:
            law.killed(host)

    def swallowed(self, packet: PacketId) -> None:
        for law in self._laws:
            if isinstance(law, Custody):
                law.swallowed(packet)

    def settled(self, world: World) -> None:
        """Raises Violation unless all is well."""
        settled(world)
        self.checks += 1

    # --- what a node asks for -------------------------------------------------------------------

    def effect(self, host: Host, effect: Effect) -> None:
        for law in self._laws:
            law.effect(host, effect)
        self.checks += len(self._laws)
        match effect:
            case CloseLink(link=link, code=code):
                self._up.discard((host.index, link))
                require(code != "", "every refusal has a code", effect)
            case PayloadLost(code=code) | Note(code=code):
                if code in LIES:
                    self.saw[f"a lie was refused: {code}"] += 1
                require(code != "", "every refusal has a code", effect)
            case ReportJob():
                if "jobs" not in host.excused:
                    self._report(effect)

    def _report(self, report: ReportJob) -> None:
        if report.what in REFUSALS:
            require(report.code != "", "every refusal has a code", report)
        if report.what == "refused":
            return
        if report.what == "delivered" and report.shard is not None:
            key = (report.job, report.shard)
            require(key not in self._told, "a shard is delivered once", report)
            self._told[key] = report.what
        if report.what in ENDS:
            require(report.job not in self._ended, "a job ends once", report)
            self._ended[report.job] = report.what


def _decoded(frame: bytes) -> LinkMessage | None:
    """The message of a frame, when a law wants to know it."""
    if sniff(frame) not in HEARD:
        return None
    try:
        return protocols.LINK.decode(frame)
    except ProtocolError:
        return None


def conserved(tally: Tally, held: Set[PacketId]) -> dict[str, int]:
    """Packets sent = delivered + lost with a code + still held; raises Violation when some vanish.

    `held` is in custody of the living, and on the disks of the dead. What was in memory of a node
    when it was killed, and nowhere else, is lost as "node-killed".
    """
    counts = {"sent": len(tally.sent), "delivered": len(tally.delivered()), "lost": 0, "held": 0}
    for sent in tally.missing():
        if {sent.packet, f"{sent.packet}~", f"{sent.packet}!", f"{sent.packet}~!"} & held:
            counts["held"] += 1
            continue
        if not sent.lost and sent.died:
            sent.lost = "node-killed"
        if not sent.lost and {sent.packet, f"{sent.packet}~"} & tally.swallowed:
            sent.lost = "black-hole"
        require(sent.lost != "", "a packet does not vanish", sent)
        counts["lost"] += 1
    return counts
