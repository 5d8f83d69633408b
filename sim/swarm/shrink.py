"""Shrink: the smallest scenario that still breaks the same law: fewer of all, and shorter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from meshd.ephemeris import parse_duration
from protocols.errors import MeshError
from protocols.types import SECOND
from sim.scenario.reading import check
from sim.scenario.schema import Flow, Letters, Scenario
from sim.swarm.trial import try_scenario

LISTS = ("timeline", "jobs", "packets", "letters")
FLOWS = ("packets", "letters")
"""Those whose items have a count."""
TRIES_MAX = 2_000

F = TypeVar("F", Flow, Letters)


@dataclass(slots=True)
class Shrinker:
    """Tries smaller scenarios one by one; keeps those that break the law that is looked for."""

    scenario: Scenario
    seed: int
    law: str
    folder: Path = Path()
    tell: Callable[[str], object] = str
    tries: int = 0

    def run(self) -> Scenario:
        """Until nothing more can be left out."""
        before = -1
        while before != _size(self.scenario) and self.tries < TRIES_MAX:
            before = _size(self.scenario)
            for field in LISTS:
                self._fewer(field)
            self._fewer_members()
            self._fewer("contacts")
            self._fewer("cables")
            for field in FLOWS:
                self._fewer_of_each(field)
            self._shorter()
        return self.scenario

    def fails(self, scenario: Scenario) -> bool:
        """Whether a scenario breaks the law; one that cannot be run does not."""
        self.tries += 1
        try:
            check(scenario)
            return try_scenario(scenario, self.seed, self.folder).broken == self.law
        except MeshError:
            return False

    def _keep(self, smaller: Scenario, what: str) -> bool:
        if self.tries >= TRIES_MAX or not self.fails(smaller):
            return False
        self.scenario = smaller
        self.tell(f"{what}: {_words(smaller)}")
        return True

    def _fewer(self, field: str) -> None:
        """Leave out runs of items, halves first, then quarters, down to one."""
        size = len(getattr(self.scenario, field))
        while size:
            size = min(size, len(getattr(self.scenario, field)))
            at = 0
            while at < len(getattr(self.scenario, field)):
                items = getattr(self.scenario, field)
                left = (*items[:at], *items[at + size :])
                if not self._keep(_with(self.scenario, **{field: left}), f"fewer {field}"):
                    at += size
            size //= 2

    def _fewer_members(self) -> None:
        for name in self.scenario.members:
            if len(self.scenario.members) > 1:
                self._keep(without(self.scenario, name), f"without {name}")

    def _fewer_of_each(self, field: str) -> None:
        for index, flow in enumerate(getattr(self.scenario, field)):
            count = flow.count // 2
            while count >= 1 and flow.count > 1:
                flows = list(getattr(self.scenario, field))
                flows[index] = msgspec.structs.replace(flow, count=count)
                smaller = _with(self.scenario, **{field: tuple(flows)})
                if not self._keep(smaller, f"fewer {field}"):
                    break
                flow, count = flows[index], count // 2

    def _shorter(self) -> None:
        for smaller in _shorter_ones(self.scenario):
            self._keep(smaller, "shorter")


def without(scenario: Scenario, name: str) -> Scenario:
    """The scenario without one member, and without what only it was for."""
    timeline = []
    for action in scenario.timeline:
        nodes = getattr(action, "nodes", None)
        if isinstance(nodes, tuple) and name in nodes:
            nodes = tuple(node for node in nodes if node != name)
            if not nodes:
                continue
            action = msgspec.structs.replace(action, nodes=nodes)
        elif name in (nodes, *getattr(action, "between", ())):
            continue
        timeline.append(action)
    return _with(
        scenario,
        members=tuple(member for member in scenario.members if member != name),
        contacts=tuple(window for window in scenario.contacts if name not in window.between),
        cables=tuple(cable for cable in scenario.cables if name not in cable.between),
        jobs=tuple(job for job in scenario.jobs if name not in (job.source, job.sink)),
        packets=_flows_without(scenario.packets, name),
        letters=_flows_without(scenario.letters, name),
        timeline=tuple(timeline),
    )


def _flows_without(flows: tuple[F, ...], name: str) -> tuple[F, ...]:
    left = []
    for flow in flows:
        pairs = tuple(pair for pair in flow.pairs if name not in pair)
        if pairs or not flow.pairs:
            left.append(msgspec.structs.replace(flow, pairs=pairs))
    return tuple(left)


def _shorter_ones(scenario: Scenario) -> Iterator[Scenario]:
    """Less time to recover in is another claim, so only what comes before is cut off."""
    liveness = scenario.liveness
    last = max((parse_duration(a.at) for a in scenario.timeline), default=0)
    for items in (scenario.packets, scenario.letters, scenario.jobs):
        last = max([last, *(parse_duration(item.at) for item in items)])
    for spare_s in (0, 5, 20):
        at = f"{last // SECOND + 1 + spare_s}s"
        if liveness is None:
            if parse_duration(at) < scenario.duration_ns:
                yield _with(scenario, duration=at)
            continue
        end = parse_duration(at) + parse_duration(liveness.within)
        if end < scenario.duration_ns:
            healed = msgspec.structs.replace(liveness, at=at)
            yield _with(scenario, duration=f"{end // SECOND}s", liveness=healed)


def _with(scenario: Scenario, **changes: Any) -> Scenario:
    return msgspec.structs.replace(scenario, **changes)


def _size(scenario: Scenario) -> int:
    lists = (*LISTS, "members", "contacts", "cables")
    packets = sum(flow.count for flow in scenario.packets)
    letters = sum(flow.count for flow in scenario.letters)
    items = sum(len(getattr(scenario, field)) for field in lists)
    return items + packets + letters + scenario.duration_ns // SECOND


def _words(scenario: Scenario) -> str:
    return (
        f"{len(scenario.members)} nodes, {len(scenario.timeline)} actions, "
        f"{len(scenario.packets) + len(scenario.letters)} flows, {len(scenario.jobs)} jobs, "
        f"{scenario.duration}"
    )
