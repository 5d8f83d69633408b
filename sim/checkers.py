"""Checkers: what must hold after every event, kept in books of their own, apart from the world."""

from __future__ import annotations

from collections.abc import Set

from meshd.scheduler.states import Phase, Status
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
from protocols.types import Instant, JobId, LinkId, PacketId
from sim.host import Host
from sim.medium import Path, Ride
from sim.tally import Tally

REFUSALS = ("refused", "replaced", "failed", "cancelled", "starved")
ENDS = {status.value for status in Status if status is not Status.RUNNING}


class Violation(AssertionError):
    """An invariant does not hold: a bug, in a node or in the simulator."""


def require(holds: bool, law: str, *about: object) -> None:
    if not holds:
        raise Violation(f"{law}: {', '.join(map(str, about))}" if about else law)


class Checkers:
    """Hears all that reaches a node and all it asks for; raises Violation when a law is broken."""

    def __init__(self) -> None:
        self._lives: dict[int, int] = {}
        self._up: set[tuple[int, LinkId]] = set()
        self._ever: set[tuple[int, LinkId]] = set()
        self._told: dict[tuple[JobId, int], str] = {}
        self._ended: dict[JobId, str] = {}
        self._epochs: dict[tuple[JobId, int], tuple[int, Phase]] = {}
        self._now: Instant = 0

    # --- what reaches a node --------------------------------------------------------------------

    def event(self, host: Host, event: Event, now: Instant) -> None:
        require(now >= self._now, "time never goes back", now, self._now)
        self._now = now
        if isinstance(event, Started):
            self._lives[host.index] = host.life
        require(self._lives.get(host.index) == host.life, "the dead hear nothing", host.name, event)
        if isinstance(event, Woke):
            return
        match event:
            case FrameReceived(link=link):
                up = (host.index, link) in self._up
                require(up, "no frame over a closed link", host.name, link)
            case LinkUp(link=link):
                key = (host.index, link)
                require(key not in self._ever, "a LinkId is used once", host.name, link)
                self._up.add(key)
                self._ever.add(key)
            case LinkDown(link=link, code=code):
                self._up.discard((host.index, link))
                require(code != "", "every refusal has a code", event)
            case LinkFailed(code=code) | BlobRejected(code=code) | ShardFinished(code=code):
                require(code != "", "every refusal has a code", event)

    def ride(self, path: Path, ride: Ride) -> None:
        """A frame has arrived: not before light could, and it left while the contact stood."""
        due = ride.depart + path.light(ride.depart)
        require(ride.arrive >= due, "nothing is faster than light", ride, due)
        require(path.open_at(ride.depart), "nothing departs after the contact", ride, path.finish)

    def killed(self, host: Host) -> None:
        del self._lives[host.index]
        self._up = {key for key in self._up if key[0] != host.index}

    # --- what a node asks for -------------------------------------------------------------------

    def effect(self, host: Host, effect: Effect) -> None:
        match effect:
            case CloseLink(link=link, code=code):
                self._up.discard((host.index, link))
                require(code != "", "every refusal has a code", effect)
            case PayloadLost(code=code) | Note(code=code):
                require(code != "", "every refusal has a code", effect)
            case ReportJob():
                self._report(host, effect)

    def _report(self, host: Host, report: ReportJob) -> None:
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
        self._leases(host, report.job)

    def _leases(self, host: Host, name: JobId) -> None:
        """Epochs only rise, also through a restart; what was delivered stays so."""
        job = host.node.scheduler.book.find(name) if host.node else None
        if job is None:
            return
        for shard in job.shards:
            row, key = shard.row, (name, shard.index)
            epoch, phase = self._epochs.get(key, (0, Phase.WAITING))
            require(row.epoch >= epoch, "a lease's epoch never falls", key, epoch, row.epoch)
            settled = phase is Phase.DELIVERED
            require(not settled or row.phase is phase, "a delivered shard stays so", key, row.phase)
            self._epochs[key] = (row.epoch, row.phase)
        if job.row.status is Status.COMPLETED:
            done = all(shard.row.phase is Phase.DELIVERED for shard in job.shards)
            require(done, "a completed job has every result", name)


def conserved(tally: Tally, held: Set[PacketId]) -> dict[str, int]:
    """Packets sent = delivered + lost with a code + still held; raises Violation when some vanish.

    `held` is in custody of the living. What was in that of a node when it was killed, and nowhere
    else, is lost as "node-killed".
    """
    counts = {"sent": len(tally.sent), "delivered": len(tally.delivered()), "lost": 0, "held": 0}
    for sent in tally.missing():
        if {sent.packet, f"{sent.packet}~", f"{sent.packet}!", f"{sent.packet}~!"} & held:
            counts["held"] += 1
            continue
        if not sent.lost and sent.died:
            sent.lost = "node-killed"
        require(sent.lost != "", "a packet does not vanish", sent)
        counts["lost"] += 1
    return counts
