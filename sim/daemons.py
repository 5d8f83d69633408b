"""DaemonMesh: a mesh of whole daemons, in one crew or several, whatever time they live in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

import trio
from msgspec.structs import replace

from meshd.ephemeris import parse_duration
from meshd.scheduler.states import JobView
from protocols.errors import InputError
from protocols.forward import PacketIds
from protocols.types import Instant, JobId, NodeId, PacketId
from sim.chance import node_id
from sim.checkers import conserved
from sim.fates import job_fate, letter_fate, packet_fate
from sim.jobs import busiest
from sim.observe import Seen, observe
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
    Order,
    Roster,
    Skewed,
    Stand,
    Take,
    Trouble,
    Views,
    Want,
)
from sim.outcome import Outcome, Sample
from sim.scenario.actions import (
    Action,
    Calm,
    Cut,
    Disturb,
    Heal,
    Kill,
    Mend,
    Outage,
    Partition,
    Pause,
    Ping,
    Post,
    Recover,
    Restart,
    Restore,
    Resume,
    Send,
    Skew,
    Start,
    Submit,
)
from sim.scenario.drivers import refusal
from sim.scenario.names import listed, select
from sim.scenario.schema import Scenario
from sim.scenario.setting import Setting
from sim.tally import JobLog, Posted, Sent, Tally


class Host(Protocol):
    """Who carries out orders on daemons: a `Crew`, here or in another process."""

    async def do(self, order: Order[A]) -> A: ...


class DaemonMesh(ABC):
    """A `Mesh` whose nodes are daemons. Its drivers say who hosts them, and how time goes on."""

    driver = ""

    def __init__(
        self, scenario: Scenario, setting: Setting, seed: int, nursery: trio.Nursery
    ) -> None:
        self.seed = seed
        self.start = scenario.start
        self.names = setting.names
        self.hosts: tuple[Host, ...] = ()
        self.tally = Tally()
        self._scenario, self._setting, self._nursery = scenario, setting, nursery
        self._id = {name: node_id(seed, name) for name in self.names}
        self._by_id = {node: name for name, node in self._id.items()}
        self._ids = {name: PacketIds(node, "a") for name, node in self._id.items()}
        self._number = {name: number for number, name in enumerate(self.names)}
        self._alive: dict[str, str] = {}
        """Who was begun and not killed, with its address."""
        self._lived: dict[str, None] = {}
        """Who was ever begun."""
        self._samples: list[Sample] = []
        self._bar = Bar()
        self._table: dict[type, Callable[[Any], Coroutine[Any, Any, str | None]]] = {
            Send: self._send,
            Ping: self._send,
            Post: self._post,
            Submit: self._submit,
            Start: lambda action: self._come(listed(action.nodes)),
            Kill: self._kill,
            Restart: self._restart,
            Partition: lambda action: self._stand_between(parted=listed(action.nodes)),
            Outage: lambda action: self._outage(listed(action.nodes), out=True),
            Restore: lambda action: self._outage(listed(action.nodes), out=False),
            Cut: lambda action: self._cut(action.between, cut=True),
            Mend: lambda action: self._cut(action.between, cut=False),
            Heal: lambda action: self._bars(Bar()),
            Pause: lambda action: self._each(action, lambda name: Stand(name, True)),
            Resume: lambda action: self._each(action, lambda name: Stand(name, False)),
            Skew: lambda action: self._each(action, lambda name: _skewed(name, action)),
            Disturb: lambda action: self._each(action, lambda name: Trouble(name, action)),
            Calm: lambda action: self._each(action, lambda name: Trouble(name, None)),
            Recover: lambda action: self._recover(),
        }

    async def launch(self) -> None:
        """Start all who are not asleep, and introduce them. It takes no mission time."""
        asleep = self._scenario.node.asleep
        sleepers = set(select(self.names, asleep, "node.asleep")) if asleep else set()
        awake = tuple(name for name in self.names if name not in sleepers)
        await self._begin(awake)
        await self._set_off()
        await self._introduce(awake)
        await self._join(awake)

    @abstractmethod
    async def _set_off(self) -> None:
        """Everyone is there: from now on time may pass."""

    # --- Mesh -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def now(self) -> Instant: ...

    @abstractmethod
    async def run_until(self, at: Instant) -> None: ...

    async def act(self, action: Action) -> str:
        if why := refusal(action, self.driver):
            word = type(action).__struct_config__.tag
            message = f"the {self.driver} driver cannot {word!r}: {why}"
            raise InputError("unsupported-action", message)
        return await self._table[type(action)](action) or ""

    async def sample(self) -> None:
        self._samples += observe(await self._look(), self._setting.plan, self.now)

    async def holder(self) -> str:
        views = await self._views()
        return busiest((view for view in views if view is not None), self._name_of)

    async def outcome(self) -> Outcome:
        tally = self.tally
        counts = conserved(tally, await self._held())
        counted = await self._ask([(host, Count()) for host in self.hosts])
        views = await self._views()
        return Outcome(
            driver=self.driver,
            seed=self.seed,
            start=self.start,
            finish=self.now,
            nodes=self.names,
            packets=tuple(packet_fate(sent, self._name_of) for sent in tally.sent.values()),
            letters=tuple(letter_fate(each, self._name_of) for each in tally.letters.values()),
            jobs=tuple(
                job_fate(log, view, self._name_of)
                for log, view in zip(tally.jobs.values(), views, strict=True)
            ),
            samples=tuple(self._samples),
            counters={
                **{what: sum(counts[what] for counts in counted) for what in counted[0]},
                "packets_held": counts["held"],
                "packets_repeated": tally.repeated,
                **{f"note.{code}": count for code, count in sorted(tally.notes.items())},
            },
        )

    # --- lives ----------------------------------------------------------------------------------

    async def _begin(self, names: tuple[str, ...]) -> None:
        groups = self._by_host(names)
        self._lived.update(dict.fromkeys(names))
        begun = await self._ask([(host, Begin(group)) for host, group in groups])
        for (_, group), addresses in zip(groups, begun, strict=True):
            self._alive.update(zip(group, addresses, strict=True))

    async def _introduce(self, names: tuple[str, ...]) -> None:
        """Give these the signed presence of those who live where their contacts lead, and them
        theirs."""
        plan = self._setting.plan
        if plan is None:
            return
        pairs: list[tuple[str, str]] = []
        for name in names:
            if name in plan.names:
                contacts = plan.contacts_of(plan.index_of(name))
                near = dict.fromkeys(plan.names[contact.peer] for contact in contacts)
                pairs += [(name, other) for other in near if other in self._alive]
        asked = self._by_host(dict.fromkeys(name for pair in pairs for name in pair))
        found = await self._ask([(host, Roster(group)) for host, group in asked])
        signed = {
            name: records
            for (_, group), rosters in zip(asked, found, strict=True)
            for name, records in zip(group, rosters, strict=True)
        }
        heard = [pair for a, b in pairs for pair in ((a, signed[b]), (b, signed[a]))]
        await self._ask(
            [
                (host, Meet(tuple((name, records) for name, records in heard if name in group)))
                for host, group in asked
            ]
        )

    async def _join(self, names: tuple[str, ...]) -> None:
        """Have the first node of each cable that these are ends of keep a link to the second."""
        for a, b, _ in self._setting.cables:
            address = self._address_of(b)
            if a in self._alive and address and (a in names or b in names):
                await self._host_of(a).do(Want(a, self._id[b], address))

    def _address_of(self, name: str) -> str:
        """Where a daemon listens; "" while that is not known."""
        return self._alive.get(name, "")

    async def _come(self, names: tuple[str, ...]) -> None:
        await self._begin(names)
        await self._introduce(names)
        await self._join(names)

    async def _kill(self, action: Kill) -> None:
        for name in listed(action.nodes):
            if self._alive.pop(name, None) is not None:
                custody = await self._host_of(name).do(End(name))
                self.tally.died(custody)

    async def _restart(self, action: Restart) -> None:
        """They come back as soon as their last lives have let go of their homes."""
        for name in listed(action.nodes):
            if name not in self._alive:
                self._nursery.start_soon(self._come, (name,))

    # --- actions --------------------------------------------------------------------------------

    async def _send(self, action: Send | Ping) -> str:
        port = "ping" if isinstance(action, Ping) else "app"
        source, there = action.source, self._id[action.destination]
        packet = self._ids[source].next(self.now)
        sent = Sent(packet, self._id[source], there, port, self.now, action.size_bytes)
        self.tally.sent[packet] = sent
        lifetime_ns = parse_duration(action.lifetime)
        durable = isinstance(action, Send) and action.durable
        order = Offer(packet, source, there, port, action.size_bytes, lifetime_ns, durable)
        offered = await self._host_of(source).do(order)
        if offered is None:
            sent.lost = "source-down"
        else:
            sent.at, sent.predicted = offered.at, offered.predicted
            sent.predicted_path = offered.predicted_path
        return packet

    async def _post(self, action: Post) -> str:
        source, there = action.source, self._id[action.destination]
        letter = self._ids[source].next(self.now)
        posted = Posted(letter, self._id[source], there, action.stream, self.now)
        self.tally.letters[letter] = posted
        what = (action.stream, action.size_bytes, parse_duration(action.lifetime))
        if not await self._host_of(source).do(Letter(letter, source, there, *what)):
            posted.state = "source-down"
        return letter

    async def _submit(self, action: Submit) -> str:
        number = len(self.tally.jobs)
        job = JobId(f"job-{number + 1}")
        log = JobLog(job, self._id[action.source], self.now, action.shards_in_all, action.name)
        self.tally.jobs[job] = log
        taken = await self._host_of(action.source).do(Take(job, number, action))
        log.at = taken or log.at
        return job

    # --- faults ---------------------------------------------------------------------------------

    async def _bars(self, bar: Bar) -> None:
        self._bar = bar
        await self._ask([(host, bar) for host in self.hosts])

    async def _stand_between(self, parted: tuple[str, ...]) -> None:
        await self._bars(replace(self._bar, parted=parted))

    async def _outage(self, names: tuple[str, ...], *, out: bool) -> None:
        others = tuple(name for name in self._bar.out if name not in names)
        await self._bars(replace(self._bar, out=others + names if out else others))

    async def _cut(self, between: tuple[str, str], *, cut: bool) -> None:
        others = tuple(ends for ends in self._bar.cuts if set(ends) != set(between))
        await self._bars(replace(self._bar, cuts=(*others, between) if cut else others))

    async def _each(self, action: Any, order: Callable[[str], Order[None]]) -> None:
        for name in listed(action.nodes):
            await self._host_of(name).do(order(name))

    async def _recover(self) -> None:
        """Every fault ends, and whoever has lived and is down comes back."""
        await self._bars(Bar())
        for name in self._lived:
            for order in (Stand(name, False), Skewed(name, 0, 0), Trouble(name, None)):
                await self._host_of(name).do(order)
        await self._restart(Restart(nodes=tuple(self._lived)))

    # --- hosts ----------------------------------------------------------------------------------

    def _host_of(self, name: str) -> Host:
        return self.hosts[self._number[name] % len(self.hosts)]

    def _by_host(self, names: Iterable[str]) -> list[tuple[Host, tuple[str, ...]]]:
        """Names in their order, those of one host together; hosts without any are left out."""
        groups: dict[int, list[str]] = {}
        for name in names:
            groups.setdefault(self._number[name] % len(self.hosts), []).append(name)
        return [(self.hosts[at], tuple(groups[at])) for at in sorted(groups)]

    async def _ask(self, asked: list[tuple[Host, Order[A]]]) -> list[A]:
        """The answers of several hosts, who work at the same time."""
        if len(asked) == 1:
            host, order = asked[0]
            return [await host.do(order)]
        answers: dict[int, A] = {}

        async def ask(number: int, host: Host, order: Order[A]) -> None:
            answers[number] = await host.do(order)

        async with trio.open_nursery() as nursery:
            for number, (host, order) in enumerate(asked):
                nursery.start_soon(ask, number, host, order)
        return [answers[number] for number in range(len(asked))]

    async def _look(self) -> list[Seen]:
        seen = await self._ask([(host, Look()) for host in self.hosts])
        return [one for many in seen for one in many]

    async def _held(self) -> set[PacketId]:
        """What is in custody anywhere."""
        return {packet for one in await self._look() for packet in one.held}

    async def _views(self) -> list[JobView | None]:
        """Every job, in order, as the book of its daemon has it; None while that is down."""
        views: list[JobView | None] = []
        for log in self.tally.jobs.values():
            name = self._name_of(log.node)
            found = await self._host_of(name).do(Views(((name, log.job),)))
            views += found
        return views

    def _name_of(self, node: NodeId) -> str:
        return self._by_id.get(node, node)


def _skewed(name: str, skew: Skew) -> Skewed:
    by = parse_duration(skew.by.removeprefix("-"))
    return Skewed(name, -by if skew.by.startswith("-") else by, round(skew.drift_ppm))
