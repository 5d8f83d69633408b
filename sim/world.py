"""World: a queue of events that runs the very nodes of the daemon, under a sky and a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from meshd.node import Node, NodeConfig
from meshd.router.roster import Roster, roster_of
from meshd.scheduler.holder import WorkPolicy
from meshd.scheduler.states import JobView
from meshd.seam import (
    BlobStored,
    Event,
    JobSubmitted,
    Learnt,
    PayloadOffered,
    PlanLoaded,
    RosterLoaded,
    StandingWanted,
    Started,
    Woke,
)
from meshd.topology.plan import ContactPlan
from protocols.forward import PacketIds
from protocols.job import JobSpec
from protocols.types import MILLISECOND, SECOND, Duration, Instant, JobId, NodeId, PacketId
from sim.authority import Authorities
from sim.chance import node_id, number, stream
from sim.checkers import Checkers, conserved
from sim.crypto import signer_of, verifier_of
from sim.driver import Performer
from sim.faults.harm import Harm
from sim.host import Host, signed
from sim.links import Links
from sim.medium import Medium
from sim.physics import Physics as Physics
from sim.queue import Action, CalendarQueue, Queue
from sim.tally import JobLog, Sent, Tally, custody_of, custody_on
from sim.trace import Trace

PACKET_LIFETIME_NS = 60 * SECOND


class World:
    """Hosts, links and one clock. `add` and `start` nodes, then `run_for` a while.

    Everything follows from the seed, the plan and the calls made, whichever queue carries it (the
    calendar unless given); `trace.hash` proves it.
    """

    def __init__(
        self,
        seed: int,
        plan: ContactPlan | None = None,
        start: Instant | None = None,
        physics: Physics | None = None,
        queue: Queue | None = None,
    ) -> None:
        self.seed = seed
        self.plan = plan
        self.physics = physics or Physics()
        assert start is not None or plan is not None, "a world without a plan needs a start"
        self.now: Instant = start if start is not None else (plan.start if plan else 0)
        self.hosts: dict[str, Host] = {}
        self.tally = Tally()
        self.trace = Trace(self.physics.lines_max)
        self._verifier = verifier_of(self.physics.crypto)
        self.authorities = Authorities(seed, self.physics.crypto, self.physics.operators)
        self.checkers = Checkers(self._verifier) if self.physics.check else None
        self.events = 0
        self._by_id: dict[NodeId, Host] = {}
        self._ids: dict[str, PacketIds] = {}
        self.queue: Queue = CalendarQueue() if queue is None else queue
        self._roster: Roster | None = None
        self.medium = Medium(seed, plan, self.physics.loss)
        self.links = Links(self, self.medium)
        self.harm = Harm(self)
        self._performer = Performer(self, self.links, self.physics.commit_ns)

    # --- building -------------------------------------------------------------------------------

    def add(
        self, name: str, site: str = "", work: WorkPolicy | None = None, speed: float = 1.0
    ) -> Host:
        """A host for one node; it does nothing before `start`. `site` is its place in the plan."""
        assert name not in self.hosts, f"two nodes are called {name}"
        me = node_id(self.seed, name)
        trust, beat_ns = self.authorities.policy(len(self.hosts), me, site), self.physics.beat_ns
        config = NodeConfig(me, name, site, work or WorkPolicy(1), trust, beat_ns=beat_ns)
        sign = signer_of(self.physics.crypto, self.seed, name, me)
        host = Host(len(self.hosts), config, sign, speed)
        host.blobs.caches = self.physics.caches
        self.hosts[name] = host
        self._by_id[me] = host
        self._ids[name] = PacketIds(me, "a")
        if site and self.plan is not None:
            self.medium.place(host.index, self.plan.index_of(site))
        return host

    def add_sites(self, satellite: WorkPolicy, ground: WorkPolicy) -> None:
        """A host for every site of the plan, under the site's own name."""
        assert self.plan is not None
        for name, kind in zip(self.plan.names, self.plan.kinds, strict=True):
            self.add(name, name, satellite if kind == "satellite" else ground)

    def host(self, name: str) -> Host:
        return self.hosts[name]

    def node(self, name: str) -> Node:
        """The node of that name, to look into. It must be up."""
        node = self.hosts[name].node
        assert node is not None, f"{name} is down"
        return node

    def packet_id(self, name: str) -> PacketId:
        """The next name for something that a node is given to send."""
        return self._ids[name].next(self.now)

    def host_of(self, node: NodeId) -> Host | None:
        return self._by_id.get(node)

    def name_of(self, node: NodeId) -> str:
        host = self._by_id.get(node)
        return host.name if host else node

    # --- what scripts do ------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Begin the lives of these nodes, or of all, now."""
        for name in names or tuple(self.hosts):
            self.schedule(self.now, self._begin, (self.hosts[name],))

    def restart(self, name: str) -> None:
        """A fresh node on the same rows and blobs."""
        assert self.hosts[name].node is None, f"{name} is up"
        self.start(name)

    def kill(self, name: str, *, torn: bool = False) -> None:
        """The node is gone, with all that was not durable; its neighbours hear a light time on.

        `torn`: of the commits that were under way some, drawn, are on disk all the same.
        """
        host = self.hosts[name]
        if host.node is None:
            return
        custody = custody_of(host.node)
        for event in host.stall.waiting if host.stall else ():
            if isinstance(event, PayloadOffered) and event.packet in self.tally.sent:
                self.tally.sent[event.packet].died = True
        chance = number(self.seed, "crash", name, host.life) if torn else 0
        survived, lost = host.disk.crash(chance)
        self.tally.died(set(custody).difference(custody_on(host.rows)))
        self.saw("a crash lost rows that were not yet on disk", lost)
        self.saw("rows on their way to disk survived a crash", survived)
        self.links.die(host)
        host.crash()
        if self.checkers:
            self.checkers.killed(host)

    def partition(self, names: Iterable[str], *, one_way: bool = False) -> None:
        """Nothing passes between these nodes and the rest (from them alone if `one_way`), until
        `heal`. No one is told.
        """
        ends = frozenset(self.hosts[name].index for name in names)
        self.medium.barriers.part(ends, one_way=one_way)
        self.links.notice_silence()

    def cut_off(self, names: Iterable[str]) -> None:
        """Nothing passes to or from each of these nodes (and no others) from now on."""
        self.medium.barriers.cut_off(frozenset(self.hosts[name].index for name in names))
        self.links.notice_silence()

    def heal(self) -> None:
        """Every partition and cut ends, and nobody is cut off any more."""
        self.medium.barriers.clear()

    def connect(self, a: str, b: str, delay_ns: Duration = 5 * MILLISECOND) -> None:
        """Lay a cable between two nodes, and have the first keep a standing link to the second."""
        one, other = self.hosts[a], self.hosts[b]
        self.medium.lay(one.index, other.index, delay_ns)
        self.ask(one, StandingWanted(other.id, other.address))

    def send(
        self,
        source: str,
        destination: str,
        payload: bytes = b"",
        port: str = "app",
        lifetime_ns: Duration = PACKET_LIFETIME_NS,
        durable: bool = False,
    ) -> PacketId:
        """Give a payload to a node to carry; `tally.sent` tells what became of it."""
        host, to = self.hosts[source], self.hosts[destination]
        packet = self.packet_id(source)
        offer = PayloadOffered(packet, to.id, port, payload, lifetime_ns, durable)
        self.tally.sent[packet] = Sent(packet, host.id, to.id, port, self.now, len(payload))
        self.schedule(self.now, self._offer, (host, offer))
        return packet

    def ping(self, source: str, destination: str, payload: bytes = b"ping") -> PacketId:
        """A packet that comes back; it counts as arrived when it has."""
        return self.send(source, destination, payload, "ping")

    def submit(self, name: str, spec: JobSpec, blobs: Iterable[bytes] = ()) -> JobId:
        """Give a job to a node, its files first, as the daemon's API does."""
        host = self.hosts[name]
        for data in blobs:
            self.ask(host, BlobStored(host.blobs.put(data), len(data)))
        job = JobId(f"job-{len(self.tally.jobs) + 1}")
        self.tally.jobs[job] = JobLog(job, host.id, self.now, len(spec.shards), spec.name)
        self.ask(host, JobSubmitted(job, msgspec.msgpack.encode(spec)))
        return job

    def job(self, job: JobId) -> JobView | None:
        """The job as the daemon that took it sees it now; None while that is down."""
        log = self.tally.jobs.get(job)
        host = self._by_id.get(log.node) if log else None
        return host.node.scheduler.book.find(job) if host and host.node else None

    def saw(self, what: str, times: int = 1) -> None:
        """Something interesting happened (`sim.swarm.sometimes` has the names)."""
        if times and self.checkers:
            self.checkers.saw[what] += times

    def swallow(self, packet: PacketId) -> None:
        """A black hole has dropped a packet."""
        self.saw("a black hole swallowed a packet")
        self.tally.swallowed.add(packet)
        if self.checkers:
            self.checkers.swallowed(packet)

    def must_be_settled(self) -> None:
        """Raises Violation unless everything is well: asked when nothing has been wrong a while."""
        if self.checkers:
            self.checkers.settled(self)

    def at(self, instant: Instant, action: Callable[[], None]) -> None:
        """Do something at an instant."""
        self.schedule(instant, action, ())

    # --- running --------------------------------------------------------------------------------

    def run_until(self, instant: Instant) -> None:
        """Let everything happen up to an instant, and what happens at it too."""
        for at, _, action, arguments in self.queue.due(instant):
            self.now = at
            action(*arguments)
        self.now = max(self.now, instant)

    def run_for(self, duration: Duration) -> None:
        self.run_until(self.now + duration)

    def packets(self) -> dict[str, int]:
        """Packets sent, delivered, lost and held. Raises Violation when one has vanished."""
        hosts = self.hosts.values()
        held = [custody_of(host.node) if host.node else custody_on(host.rows) for host in hosts]
        return conserved(self.tally, set(chain.from_iterable(held)))

    # --- inside ---------------------------------------------------------------------------------

    def schedule(self, at: Instant, action: Action, arguments: tuple[Any, ...]) -> None:
        """One entry of the queue. What falls on one instant happens in the order of scheduling."""
        assert at >= self.now, f"{at} is past"
        self.queue.push(at, action, arguments)

    def post(self, host: Host, event: Event, at: Instant | None = None) -> None:
        """An event for this life of a node; it dies with it."""
        self.schedule(self.now if at is None else at, self._arrive, (host, host.life, event))

    def deliver(self, host: Host, event: Event) -> None:
        """Hand an event to a living node; it waits where the node stands still."""
        if host.stall is None:
            self.take(host, event)
        else:
            self.harm.hold(host, event)

    def take(self, host: Host, event: Event) -> None:
        """Have a node handle an event, perform its effects, and see when it wants to wake."""
        node, now, checkers = host.node, self.now, self.checkers
        assert node is not None
        if checkers:
            checkers.event(host, event, now)
        self.trace.event(now, host.index, event)
        self.events += 1
        effects = node.handle(event, now if host.clock is None else host.clock.read(now))
        if checkers:
            checkers.after(host, event, effects)
        if effects:
            self.trace.effects(now, host.index, effects)
            self._performer.perform(host, effects)
        if host.node is node:  # a failed commit has ended it otherwise
            self.arm(host, node.next_deadline())

    def _arrive(self, host: Host, life: int, event: Event) -> None:
        if host.life == life and host.node is not None:
            self.deliver(host, event)

    def _begin(self, host: Host) -> None:
        assert host.node is None, f"{host.name} is up already"
        rng = stream(self.seed, host.name, "node", host.life)
        host.node = Node(host.config, rng, host.sign, self._verifier)
        host.life += 1
        rows = tuple(sorted(host.rows.items()))
        self.saw("a node started from the rows of a life before", bool(rows))
        node = host.node
        for event in self._briefing(host, rows):
            if host.node is node:  # a failed commit may have ended it
                self.deliver(host, event)
                if isinstance(event, Started):
                    self.harm.begin(host)

    def _briefing(self, host: Host, rows: tuple[tuple[str, bytes], ...]) -> Iterator[Event]:
        """What a node is told first."""
        yield Started(rows, host.blobs.cids(), (host.address,))
        if self.plan is None:
            return
        if self.physics.roster == "all":
            yield RosterLoaded(self.roster)
        for other in self._acquaintances(host):
            yield Learnt(other.id, other.presence, self.now)
        yield PlanLoaded(self.plan)

    @property
    def roster(self) -> Roster:
        """What the hosts there are when it is first asked for have signed: who, and idle."""
        if self._roster is None:
            hosts = self.hosts.values()
            records = [record for host in hosts for record in signed(host, self.now)]
            self._roster = roster_of(records, self._verifier)
        return self._roster

    def _acquaintances(self, host: Host) -> list[Host]:
        """Who lives where this node's contacts lead."""
        if self.plan is None or not host.config.site or self.physics.roster != "neighbours":
            return []
        site = self.plan.index_of(host.config.site)
        names = {self.plan.names[contact.peer]: None for contact in self.plan.contacts_of(site)}
        return [other for other in self.hosts.values() if other.config.site in names]

    def ask(self, host: Host, event: Event) -> None:
        """An event from outside, now, for whoever lives there by then; the down hear nothing."""
        self.schedule(self.now, self._heard, (host, event))

    def _heard(self, host: Host, event: Event) -> None:
        if host.node is not None:
            self.deliver(host, event)

    def _offer(self, host: Host, offer: PayloadOffered) -> None:
        if host.node is None:
            self.tally.sent[offer.packet].lost = "source-down"
            return
        if self.physics.predict:
            self.tally.sent[offer.packet].foresee(host.node.router, self.now)
        self.deliver(host, offer)

    def arm(self, host: Host, deadline: Instant | None) -> None:
        """At most one wake-up under way is the one that counts: the earliest."""
        host.deadline = deadline
        if deadline is None:
            return
        at = deadline if host.clock is None else host.clock.when(deadline)
        at = at if at > self.now else self.now
        if host.wake_at is None or at < host.wake_at:
            host.wake_at = at
            self.schedule(at, self._wake, (host, host.life, at))

    def _wake(self, host: Host, life: int, at: Instant) -> None:
        if host.life != life or host.wake_at != at or host.node is None:
            return
        host.wake_at = None
        shown = at if host.clock is None else host.clock.read(at)
        if host.deadline is None or host.deadline > shown:
            self.arm(host, host.deadline)  # put off meanwhile
            return
        host.count_wake(at)
        self.deliver(host, Woke())
