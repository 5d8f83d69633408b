"""Holder: the shards this node has taken on: fetch, queue, run, renew, hand over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshd.scheduler.load import QUEUE_MAX
from meshd.scheduler.mail import Mail
from meshd.seam import (
    BlobUnwanted,
    BlobWanted,
    Effect,
    Publish,
    RunShard,
    ShardFinished,
    ShardSaid,
    StopShard,
)
from meshd.trust.trust import Trust
from protocols.bounds import SHARDS_RENEWED_MAX
from protocols.job import Accept, Decline, Finished, Leased, Offer, Release, Renew, Said
from protocols.record import Beacon
from protocols.types import MILLISECOND, SECOND, Cid, Duration, Instant, JobId, NodeId

FETCH_NS = 60 * SECOND
RENEWALS_A_LEASE = 3
RENEWAL_GAP_MIN_NS = 500 * MILLISECOND
"""However short a lease an offer asks for."""

FOREIGN_SHARE = 3
"""One part in so many of a node's slots is the most that one foreign operator may fill."""

HELD_MAX = 4_096
"""Finished and not yet released ones included."""

BEACON_PERIOD_NS = 10 * SECOND
BEACON_GAP_NS = 200 * MILLISECOND
BEACON_TTL_NS = 30 * SECOND
MEGABYTE = 1 << 20

Lease = tuple[JobId, int, int]
"""(job, shard, epoch)."""


class Stage(StrEnum):
    FETCHING = "fetching"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(slots=True)
class Holding:
    """One shard taken on, from the offer to its release."""

    scheduler: NodeId
    offer: Offer
    stage: Stage
    missing: tuple[Cid, ...]
    since: Instant
    finished: Finished | None = None
    failed: tuple[Cid, ...] = ()
    """Blobs that could not be had: nobody keeps them for us, so there is nothing to give back."""

    @property
    def blobs(self) -> list[tuple[Cid, NodeId]]:
        """What it needs, and who has that: the scheduler, or who made it in an earlier stage."""
        offer, home = self.offer, self.scheduler
        model = [] if offer.model is None else [(offer.model, home)]
        files = [(file.cid, home) for file in offer.files]
        return [*model, *((given.cid, given.node) for given in offer.inputs), *files]


@dataclass(frozen=True, slots=True)
class WorkPolicy:
    """What this node takes on, and from whom."""

    slots: int
    kinds: tuple[str, ...] = ("onnx",)
    remote: bool = True
    """Whether other nodes may send work here."""

    @property
    def idle(self) -> Beacon:
        """The beacon of a node of this policy that holds nothing."""
        kinds = self.kinds if self.remote else ()  # others need not ask
        return Beacon(self.slots, 0, 0, 0, 1.0, kinds)


class Holder:
    """Runs what it accepted, as many at once as it has slots, and says so in its beacon."""

    def __init__(self, me: NodeId, policy: WorkPolicy, trust: Trust) -> None:
        self._me = me
        self._policy = policy
        self._trust = trust
        self._idle = policy.idle
        self._mail = Mail(me, "h")
        self._held: dict[Lease, Holding] = {}
        self._renew_at: Instant | None = None
        self._beacon_at: Instant | None = 0
        """None while all is as the roster says."""
        self._beacon: Beacon | None = None
        self._forecast: Beacon | None = None
        self._beaconed_at: Instant = 0

    def view(self) -> tuple[tuple[Lease, Holding], ...]:
        return tuple((lease, self._held[lease]) for lease in sorted(self._held))

    # --- what happens ---------------------------------------------------------------------------

    def offered(self, scheduler: NodeId, offer: Offer, now: Instant) -> list[Effect]:
        lease = (offer.job, offer.shard, offer.epoch)
        accept = self._mail.send(scheduler, Accept(*lease), now)
        held = self._held.get(lease)
        if held is not None and held.scheduler != scheduler:
            decline = Decline(*lease, "job-id-taken")
            return [self._mail.send(scheduler, decline, now)]
        if held is not None:
            return [accept]
        code = self._refusal(scheduler, offer)
        if code:
            return [self._mail.send(scheduler, Decline(*lease, code), now)]
        holding = Holding(scheduler, offer, Stage.FETCHING, (), now)
        holding.missing = tuple(dict.fromkeys(cid for cid, _ in holding.blobs))
        self._held[lease] = holding
        self._renew_by(now + _renewal_ns(offer))
        wanted = [BlobWanted(cid, node, FETCH_NS) for cid, node in holding.blobs]
        return [accept, *wanted, *(self._start(now) if not holding.missing else [])]

    def released(self, scheduler: NodeId, release: Release, now: Instant) -> list[Effect]:
        lease = (release.job, release.shard, release.epoch)
        holding = self._held.get(lease)
        if holding is None or holding.scheduler != scheduler:
            return []
        return [*self._drop(lease), *self._start(now)]

    def blob_stored(self, cid: Cid, now: Instant) -> list[Effect]:
        for holding in self._held.values():
            holding.missing = tuple(other for other in holding.missing if other != cid)
        return self._start(now)

    def blob_failed(self, cid: Cid, code: str, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for lease, holding in self._held.items():
            if cid not in holding.missing:
                continue
            holding.failed += (cid,)
            if holding.stage is Stage.FETCHING:
                effects += self._done(lease, ShardFinished(_run(lease), code, f"blob {cid}"), now)
        return effects

    def finished(self, event: ShardFinished, now: Instant) -> list[Effect]:
        for lease, holding in self._held.items():
            if _run(lease) == event.run and holding.stage is Stage.RUNNING:
                return [*self._done(lease, event, now), *self._start(now)]
        return [] if event.output is None else [BlobUnwanted(event.output)]

    def said(self, event: ShardSaid, now: Instant) -> list[Effect]:
        """Pass on what a shard says while it runs; nobody waits for it."""
        for lease, holding in self._held.items():
            if _run(lease) == event.run and holding.stage is Stage.RUNNING:
                return [self._mail.send(holding.scheduler, Said(*lease, event.text), now)]
        return []

    def wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        if self._renew_at is not None and self._renew_at <= now:
            effects += self._renew(now)
        over = [lease for lease, held in self._held.items() if self._over(held, now)]
        for lease in over:
            effects += self._drop(lease)
        return effects + (self._start(now) if over else [])

    def foretold(self, beacon: Beacon | None) -> None:
        """What the roster says of this node, if anything: while that is so, nothing is said."""
        self._forecast = beacon

    def beacon(self, now: Instant) -> list[Effect]:
        """Called after every event: publish when something changed, or it is time."""
        current = self._current()
        if current == self._beacon == self._forecast:
            self._beacon_at = None
            return []
        due = self._beacon_at
        if due is None or current != self._beacon:
            soonest = self._beaconed_at + BEACON_GAP_NS
            due = soonest if due is None else min(due, soonest)
        self._beacon_at = due
        if due > now:
            return []
        self._beacon, self._beaconed_at = current, now
        self._beacon_at = now - now % BEACON_PERIOD_NS + BEACON_PERIOD_NS
        return [Publish(current, BEACON_TTL_NS)]

    def next_deadline(self) -> Instant | None:
        ends = [holding.offer.ends_at for holding in self._held.values()]
        times = (self._beacon_at, self._renew_at, *ends)
        return min((time for time in times if time is not None), default=None)

    # --- one shard ------------------------------------------------------------------------------

    def _refusal(self, scheduler: NodeId, offer: Offer) -> str:
        if not self._policy.remote and scheduler != self._me:
            return "remote-not-allowed"
        if offer.kind not in self._policy.kinds:
            return "kind-not-allowed"
        if self._policy.slots == 0:
            return "no-slots"
        if barred := self._trust.bars(scheduler):
            return barred
        if self._crowded_by(scheduler):
            return "foreign-share"
        busy = sum(holding.stage is not Stage.DONE for holding in self._held.values())
        full = busy >= self._policy.slots + QUEUE_MAX or len(self._held) >= HELD_MAX
        return "queue-full" if full else ""

    def _crowded_by(self, scheduler: NodeId) -> bool:
        """Whether another operator than ours has as much of this node already as it may."""
        trust = self._trust
        theirs = trust.operator_of(scheduler)
        if trust.policy.open or scheduler == self._me or theirs == trust.operator_of(self._me):
            return False
        busy = (h for h in self._held.values() if h.stage is not Stage.DONE)
        held = sum(trust.operator_of(holding.scheduler) == theirs for holding in busy)
        return held >= self._policy.slots // FOREIGN_SHARE

    def _start(self, now: Instant) -> list[Effect]:
        """Start what is ready while there are slots: the highest priority, then the oldest."""
        effects: list[Effect] = []
        running = sum(holding.stage is Stage.RUNNING for holding in self._held.values())
        for holding in self._held.values():
            if holding.stage is Stage.FETCHING and not holding.missing:
                holding.stage = Stage.QUEUED
        for lease, holding in sorted(self._held.items(), key=lambda kv: -kv[1].offer.priority):
            if holding.stage is Stage.QUEUED and running < self._policy.slots:
                holding.stage = Stage.RUNNING
                holding.since = now
                running += 1
                effects.append(_run_shard(lease, holding.offer))
        return effects

    def _done(self, lease: Lease, event: ShardFinished, now: Instant) -> list[Effect]:
        holding = self._held[lease]
        holding.stage, holding.since = Stage.DONE, now
        holding.finished = Finished(
            *lease, event.code, event.message[:1024], event.output, event.output_bytes,
            event.wall_ns,
        )  # fmt: skip
        return [self._mail.send(holding.scheduler, holding.finished, now)]

    def _drop(self, lease: Lease) -> list[Effect]:
        holding = self._held.pop(lease)
        effects: list[Effect] = [
            BlobUnwanted(cid) for cid, _ in holding.blobs if cid not in holding.failed
        ]
        if holding.stage is Stage.RUNNING:
            effects.append(StopShard(_run(lease)))
        if holding.finished is not None and holding.finished.output is not None:
            effects.append(BlobUnwanted(holding.finished.output))
        return effects

    def _renew(self, now: Instant) -> list[Effect]:
        """Tell every scheduler what is still held; say again what was finished and not released."""
        self._renew_at = None
        leases: dict[NodeId, list[Leased]] = {}
        effects: list[Effect] = []
        for lease, holding in self._held.items():
            if holding.finished is None:
                leases.setdefault(holding.scheduler, []).append(Leased(*lease))
            else:
                effects.append(self._mail.send(holding.scheduler, holding.finished, now))
            self._renew_by(now + _renewal_ns(holding.offer))
        for scheduler, held in sorted(leases.items()):
            for i in range(0, len(held), SHARDS_RENEWED_MAX):
                renew = Renew(tuple(held[i : i + SHARDS_RENEWED_MAX]))
                effects.append(self._mail.send(scheduler, renew, now))
        return effects

    def _renew_by(self, at: Instant) -> None:
        self._renew_at = at if self._renew_at is None else min(self._renew_at, at)

    @staticmethod
    def _over(holding: Holding, now: Instant) -> bool:
        """Nobody wants it any more; the word that says so may be lost, or we be out of reach."""
        return holding.offer.ends_at <= now

    def _current(self) -> Beacon:
        if not self._held:
            return self._idle
        slots = self._policy.slots
        running = sum(h.stage is Stage.RUNNING for h in self._held.values())
        queue = [h for h in self._held.values() if h.stage in (Stage.FETCHING, Stage.QUEUED)]
        ahead = sum(holding.offer.estimate_ns for holding in queue)
        ahead += sum(h.offer.estimate_ns for h in self._held.values() if h.stage is Stage.RUNNING)
        wait = ahead // slots if slots and running + len(queue) >= slots else 0
        return Beacon(slots, running, len(queue), wait, 1.0, self._idle.kinds)


def _renewal_ns(offer: Offer) -> Duration:
    return max(RENEWAL_GAP_MIN_NS, offer.lease_ns // RENEWALS_A_LEASE)


def _run(lease: Lease) -> str:
    return f"{lease[0]}/{lease[1]}/{lease[2]}"


def _run_shard(lease: Lease, offer: Offer) -> RunShard:
    return RunShard(
        run=_run(lease),
        kind=offer.kind,
        model=offer.model,
        inputs=tuple(given.cid for given in offer.inputs),
        command=offer.command,
        wall_ns=round(offer.limits.wall_s * SECOND),
        memory_bytes=offer.limits.memory_mb * MEGABYTE,
        output_bytes_max=offer.limits.output_mb * MEGABYTE,
        estimate_ns=offer.estimate_ns,
        fuel=offer.limits.fuel,
        files=tuple((file.path, file.cid) for file in offer.files),
    )
