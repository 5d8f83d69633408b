"""Crew: the daemons of an experiment that live in this process, and all that is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeAlias, cast

import msgspec

from meshd.config import Config
from meshd.daemon.daemon import Daemon
from meshd.daemon.fleet import Fleet
from meshd.daemon.plans import World
from meshd.driver import Happening
from meshd.scheduler.states import JobView
from meshd.seam import (
    BlobStored,
    JobSubmitted,
    LetterArrived,
    LetterPosted,
    LetterTaken,
    PayloadOffered,
    RecordsLoaded,
    StandingWanted,
)
from protocols.letter import INBOX
from protocols.record import Record
from protocols.types import Instant, PacketId
from sim.ground import Ground
from sim.jobs import files_of, modelled_job
from sim.mail import READING_NS
from sim.observe import Seen, look
from sim.orders import (
    A,
    Bar,
    Begin,
    Count,
    End,
    Letter,
    Look,
    Meet,
    Offer,
    Offered,
    Order,
    Roster,
    SetOff,
    Skewed,
    Stand,
    Take,
    Trouble,
    Views,
    Want,
)
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.tally import Sent, custody_of

Hear: TypeAlias = Callable[[Happening, Instant], None]


class Crew:
    """Carries out orders on a fleet whose ground is an experiment's.

    `hear` is told of everything that daemons tell, at the instant that they do.
    """

    def __init__(
        self, scenario: Scenario, setting: Setting, ground: Ground, fleet: Fleet, hear: Hear
    ) -> None:
        self._scenario, self._setting, self._ground = scenario, setting, ground
        self.fleet, self._hear = fleet, hear
        self._ids = {name: ground.node_of(name) for name in setting.names}
        self._watching = ExitStack()
        self._handled = 0
        """Events of daemons that were killed."""
        self._table: dict[type, Callable[[Any], object]] = {
            Roster: lambda order: tuple(map(self._presence, order.names)),
            Meet: self._meet,
            Want: self._want,
            Offer: self._offer,
            Letter: self._letter,
            Take: self._take,
            End: self._end,
            Bar: ground.bar,
            Trouble: ground.trouble,
            Stand: self._stand,
            Skewed: self._skew,
            Look: self._look,
            Views: self._views,
            Count: self._count,
        }

    @property
    def now(self) -> Instant:
        return self._ground.clock.now()

    async def do(self, order: Order[A]) -> A:
        """Carry out one order; only `Begin` and `SetOff` take time."""
        answer: object = None
        if isinstance(order, Begin):
            answer = tuple([await self._begin(name) for name in order.names])
        elif isinstance(order, SetOff):
            await self._set_off(order)
        else:
            answer = self._table[type(order)](order)
        return cast(A, answer)

    # --- lives ----------------------------------------------------------------------------------

    async def _begin(self, name: str) -> str:
        """Its address. A daemon that was killed lets go of its home within 0.2 s."""
        setting, node = self._setting, self._scenario.node
        satellite = setting.kinds[setting.names.index(name)] == "satellite"
        site = name if setting.is_site(name) else ""
        config = Config(
            name=name,
            satellite=site if satellite else "",
            city="" if satellite else site,
            slots=node.slots if satellite else node.ground_slots,
        )
        world = World(setting.sky, setting.policy) if setting.sky and setting.policy else None
        await self.fleet.ended(name)
        daemon = await self.fleet.start(name, config, world)
        self._follow(daemon)
        return daemon.addresses[0]

    def _follow(self, daemon: Daemon) -> None:
        """Hear of everything that it tells, at the instant that it does."""

        def hear(happening: Happening) -> bool:
            self._hear(happening, self.now)
            if isinstance(happening, LetterArrived):
                taken = LetterTaken(happening.number)
                self._ground.at(self.now + READING_NS, daemon.driver.post, taken)
            return False  # heard already: nothing is to wait in a queue

        self._watching.enter_context(daemon.driver.watch(hear))

    async def _set_off(self, order: SetOff) -> None:
        await self._ground.set_off(order.real)
        for daemon in self.fleet.daemons.values():
            daemon.driver.post(RecordsLoaded(()))  # it slept as long as time stood

    def _end(self, order: End) -> tuple[PacketId, ...]:
        daemon = self._daemon(order.name)
        if daemon is None:
            return ()
        self._handled += daemon.driver.handled
        custody = custody_of(daemon.node)
        self._ground.sever(order.name)
        self.fleet.kill(order.name)
        return custody

    def _stand(self, order: Stand) -> None:
        daemon = self._daemon(order.name)
        if daemon is not None:
            daemon.driver.stand(still=order.still)

    def _skew(self, order: Skewed) -> None:
        self._ground.skew(order)
        daemon = self._daemon(order.name)
        if daemon is not None:
            daemon.driver.post(RecordsLoaded(()))  # it sleeps until an instant of its last clock

    def _presence(self, name: str) -> tuple[Record, ...]:
        daemon = self._daemon(name)
        return daemon.node.gossip.presence(daemon.identity.node_id) if daemon else ()

    def _meet(self, order: Meet) -> None:
        for name, records in order.heard:
            daemon = self._daemon(name)
            if daemon is not None:
                daemon.driver.post(RecordsLoaded(records))

    def _want(self, order: Want) -> None:
        daemon = self._daemon(order.name)
        if daemon is not None:
            daemon.driver.post(StandingWanted(order.node, order.address))

    # --- work -----------------------------------------------------------------------------------

    def _offer(self, order: Offer) -> Offered | None:
        daemon = self._daemon(order.source)
        if daemon is None:
            return None
        now, here = self.now, daemon.identity.node_id
        sent = Sent(order.packet, here, order.destination, order.port, now)
        sent.foresee(daemon.node.router, now)
        what = (order.port, bytes(order.size_bytes), order.lifetime_ns, order.durable)
        daemon.driver.post(PayloadOffered(order.packet, order.destination, *what))
        return Offered(now, sent.predicted, sent.predicted_path)

    def _letter(self, order: Letter) -> bool:
        daemon = self._daemon(order.source)
        if daemon is None:
            return False
        body, stream = bytes(order.size_bytes), order.stream
        lifetime = order.lifetime_ns
        posted = LetterPosted(order.letter, order.destination, INBOX, body, lifetime, stream)
        daemon.driver.post(posted)
        return True

    def _take(self, order: Take) -> Instant | None:
        action, daemon = order.action, self._daemon(order.action.source)
        if daemon is None:
            return None
        inputs, model = files_of(self._ground.seed, action, order.number)
        cids = []
        for data in (*inputs, model):
            cids.append(daemon.blobs.put(data))
            daemon.driver.post(BlobStored(cids[-1], len(data)))
        spec = modelled_job(action, self._ids[action.sink], cids[:-1], cids[-1])
        daemon.driver.post(JobSubmitted(order.job, msgspec.msgpack.encode(spec)))
        return self.now

    # --- what can be seen -----------------------------------------------------------------------

    def _look(self, order: Look) -> tuple[Seen, ...]:
        nodes = {name: daemon.node for name, daemon in self.fleet.daemons.items()}
        return tuple(look(nodes, self._setting.plan, self._ids, self.now))

    def _views(self, order: Views) -> tuple[JobView | None, ...]:
        daemons = [(self._daemon(name), job) for name, job in order.jobs]
        return tuple(d.node.scheduler.book.find(job) if d else None for d, job in daemons)

    def _count(self, order: Count) -> dict[str, float]:
        living = sum(daemon.driver.handled for daemon in self.fleet.daemons.values())
        return {"events": self._handled + living, "connections": self._ground.connections}

    def _daemon(self, name: str) -> Daemon | None:
        return self.fleet.daemons.get(name)
