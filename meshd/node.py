"""Node: a switchboard. It hands each event to the machines it concerns and joins their effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from meshd.blobs.blobs import Blobs
from meshd.forwarding.bootstrap import Bootstrap
from meshd.forwarding.echo import Echo
from meshd.forwarding.forwarder import Forwarder
from meshd.forwarding.neighbours import Neighbours
from meshd.gossip.gossip import Gossip
from meshd.letters.letters import Letters
from meshd.membership.membership import PRESENCE_TTL_NS, Membership
from meshd.router.routes import Router
from meshd.scheduler.holder import WorkPolicy
from meshd.scheduler.scheduler import Scheduler
from meshd.seam import (
    Barred,
    BlobFailed,
    BlobKept,
    BlobOpened,
    BlobRejected,
    BlobStored,
    BlobUnwanted,
    BlobWanted,
    BootstrapWanted,
    Effect,
    Event,
    FrameReceived,
    JobCancelled,
    JobSubmitted,
    Judged,
    Learnt,
    LetterPosted,
    LetterTaken,
    LinkDown,
    LinkFailed,
    LinkLost,
    LinkReady,
    LinkUp,
    Machine,
    MessageReceived,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    PayloadTaken,
    PieceWritten,
    PlanLoaded,
    Publish,
    RecordsLoaded,
    RosterLoaded,
    RoutesChanged,
    ShardFinished,
    ShardSaid,
    StandingWanted,
    Started,
    Woke,
)
from meshd.trust.policy import TrustPolicy
from meshd.trust.trust import Trust
from protocols.bounds import ADDRESSES_MAX
from protocols.forward import Accepted, Packet, Refused
from protocols.gossip import Ask, Digest, Have, Listing, Records
from protocols.record import Presence, Signer, Verifier
from protocols.types import Duration, Instant, NodeId

OWN_PORTS = ("job", "blob", "letter", "ping", "report")
"""Payload ports that machines of the node itself listen on; the rest is for applications."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Who a node is. `site` is its satellite or ground station in the plan, "" for none."""

    node: NodeId
    name: str
    site: str = ""
    work: WorkPolicy = field(default_factory=lambda: WorkPolicy(slots=1))
    trust: TrustPolicy = field(default_factory=TrustPolicy)
    bootstrap: tuple[tuple[NodeId, str], ...] = ()
    """Nodes with their addresses to join the mesh by when no other is there."""
    beat_ns: Duration = 0
    """How long a link may be silent before it is asked (`forwarding.pulse`); 0: it is told of
    silence."""


class Node:
    """One satellite's mind. It never waits, reads no clock and opens no socket."""

    def __init__(self, config: NodeConfig, rng: Random, signer: Signer, verifier: Verifier) -> None:
        self.config = config
        me = config.node
        self.router = Router(me)
        self.trust = Trust(me, config.trust, verifier)
        self.neighbours = Neighbours(me, config.name, self.router, self.trust, config.beat_ns)
        self.bootstrap = Bootstrap(self.neighbours, config.bootstrap)
        self.forwarder = Forwarder(me, self.router, self.neighbours)
        self.membership = Membership(me, self.router)
        self.gossip = Gossip(me, rng, signer, verifier, self.trust)
        self.blobs = Blobs(me, self.router)
        self.letters = Letters(me, self.router)
        self.scheduler = Scheduler(me, self.router, config.work, self.trust)
        self._machines: tuple[Machine, ...] = (
            self.trust,
            self.router,
            self.membership,
            self.neighbours,
            self.bootstrap,
            self.forwarder,
            self.gossip,
            self.blobs,
            self.letters,
            self.scheduler,
        )
        self._subscribers = self._table(Echo())
        self._deadlines: dict[Machine, Instant | None] = dict.fromkeys(self._machines)
        self._touched: dict[Machine, None] = dict.fromkeys(self._machines)
        """Those that have heard something since they were last asked for their deadline."""

    def _table(self, echo: Machine) -> dict[type, tuple[Machine, ...]]:
        """Who hears what, in order: the router first, so that the others ask it afterwards."""
        router, neighbours, forwarder = self.router, self.neighbours, self.forwarder
        bootstrap = self.bootstrap
        gossip, blobs, letters = self.gossip, self.blobs, self.letters
        membership, scheduler, trust = self.membership, self.scheduler, self.trust
        return {
            Started: (trust, gossip, blobs, neighbours, bootstrap, forwarder, letters, scheduler),
            LinkUp: (neighbours,),
            LinkDown: (neighbours,),
            LinkFailed: (neighbours,),
            FrameReceived: (neighbours,),
            RecordsLoaded: (gossip,),
            StandingWanted: (neighbours,),
            BootstrapWanted: (bootstrap,),
            PlanLoaded: (router, membership, neighbours),
            RosterLoaded: (trust, router, membership, neighbours, gossip, scheduler),
            LinkReady: (router, membership, bootstrap, forwarder, gossip),
            LinkLost: (router, membership, bootstrap, forwarder, gossip),
            MessageReceived: (),  # by what it says:
            **dict.fromkeys((Packet, Accepted, Refused), (forwarder,)),
            **dict.fromkeys((Digest, Listing, Have, Ask, Records), (gossip,)),
            Publish: (gossip,),
            Learnt: (trust, router, membership, neighbours, scheduler),
            Judged: (router,),
            Barred: (router, gossip, neighbours, membership, scheduler),
            RoutesChanged: (forwarder,),
            PayloadOffered: (forwarder,),
            PayloadArrived: (forwarder, blobs, letters, scheduler, echo),
            PayloadLost: (blobs, letters, scheduler),
            PayloadTaken: (blobs,),
            LetterPosted: (letters,),
            LetterTaken: (letters,),
            JobSubmitted: (scheduler,),
            JobCancelled: (scheduler,),
            ShardFinished: (blobs, scheduler),
            ShardSaid: (scheduler,),
            BlobStored: (blobs, scheduler),
            **dict.fromkeys((BlobOpened, PieceWritten, BlobRejected, BlobKept), (blobs,)),
            BlobWanted: (blobs,),
            BlobUnwanted: (blobs,),
            BlobFailed: (scheduler,),
        }

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event; return what the driver must do, in order."""
        if isinstance(event, Woke):
            return self._wake(now)
        effects = self._deliver(event, now)
        if isinstance(event, Started):
            config, addresses = self.config, event.addresses[:ADDRESSES_MAX]
            shown = config.trust.certificate
            presence = Presence(config.name, config.site, addresses, config.work.idle, shown)
            effects += self._deliver(Publish(presence, PRESENCE_TTL_NS), now)
        return effects

    def next_deadline(self) -> Instant | None:
        """The earliest of all machines. Only an event moves one: the others need not be asked."""
        deadlines = self._deadlines
        for machine in self._touched:
            if machine in deadlines:
                deadlines[machine] = machine.next_deadline()
        self._touched.clear()
        return min([at for at in deadlines.values() if at is not None], default=None)

    def _is_due(self, machine: Machine, now: Instant) -> bool:
        """Whether a machine wants to be woken; asked itself only if something may have moved it."""
        touched = machine in self._touched
        at = machine.next_deadline() if touched else self._deadlines[machine]
        return at is not None and at <= now

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for machine in self._machines:
            if self._is_due(machine, now):
                self._touched[machine] = None
                effects += self._join(machine.handle(Woke(), now), now)
        return effects

    def _deliver(self, event: Event, now: Instant) -> list[Effect]:
        """An event to its subscribers, and the signals they send each other in turn."""
        joined: list[Effect] = []
        kind = type(event.message) if isinstance(event, MessageReceived) else type(event)
        for machine in self._subscribers[kind]:
            self._touched[machine] = None
            effects = machine.handle(event, now)
            if effects:
                joined += self._join(effects, now)
        return joined

    def _join(self, effects: list[Effect], now: Instant) -> list[Effect]:
        """Effects in order, each signal replaced by what it led to; unheard ones go out."""
        joined: list[Effect] = []
        for effect in effects:
            if type(effect) not in self._subscribers:
                joined.append(effect)
                continue
            if isinstance(effect, PayloadArrived) and effect.port not in OWN_PORTS:
                joined.append(effect)
                continue
            if isinstance(effect, PayloadLost | BlobFailed):
                joined.append(effect)
            signal: Event = effect  # type: ignore[assignment]
            joined += self._deliver(signal, now)
        return joined
