"""Steps: a scenario as a list of instants and actions, each action for named nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import msgspec

from meshd.ephemeris import parse_duration
from protocols.types import SECOND, Instant
from sim.chance import stream
from sim.scenario.actions import (
    Action,
    Cut,
    Lasting,
    Mend,
    Names,
    Ping,
    Post,
    Recover,
    Send,
    Settled,
)
from sim.scenario.names import select
from sim.scenario.schema import Flow, Letters, Pair, Scenario
from sim.scenario.setting import Setting

HOLDER = "holder"
"""Whichever node holds the most unfinished shards when its time comes."""


@dataclass(frozen=True, slots=True)
class Step:
    at: Instant
    action: Action


def steps_of(scenario: Scenario, setting: Setting, seed: int) -> tuple[Step, ...]:
    """All that will be done, in order; what falls on one instant in the order of the scenario.

    Patterns are resolved, `for` and `liveness` have become actions of their own. Raises
    ScenarioError for a name that nobody has.
    """
    steps: list[Step] = []
    for index, job in enumerate(scenario.jobs):
        named = resolve(job, setting.names, f"jobs[{index}]")
        steps.append(Step(scenario.start + parse_duration(job.at), named))
    for index, flow in enumerate(scenario.packets):
        steps += _flow(flow, index, (scenario, setting, seed))
    for index, letters in enumerate(scenario.letters):
        steps += _posted(letters, f"letters[{index}].pairs", scenario, setting)
    for index, action in enumerate(scenario.timeline):
        named = resolve(action, setting.names, f"timeline[{index}]")
        at = scenario.start + parse_duration(action.at)
        steps.append(Step(at, named))
        if isinstance(named, get_args(Lasting)) and named.lasting:
            steps.append(Step(at + parse_duration(named.lasting), named.undo()))
    if scenario.liveness is not None:
        healed = scenario.start + parse_duration(scenario.liveness.at)
        steps.append(Step(healed, Recover()))
        steps.append(Step(healed + parse_duration(scenario.liveness.within), Settled()))
    return tuple(sorted(steps, key=lambda step: step.at))


def resolve(action: Action, known: tuple[str, ...], where: str = "") -> Action:
    """The action with every node named as the mesh spells it. Raises ScenarioError."""
    changes: dict[str, object] = {}
    for field, key in (("source", "from"), ("destination", "to"), ("sink", "to")):
        name = getattr(action, field, None)
        if name is not None:
            changes[field] = select(known, name, f"{where}.{key}")[0]
    if isinstance(action, Cut | Mend):
        one, other = (select(known, name, f"{where}.between")[0] for name in action.between)
        changes["between"] = one, other
    nodes: Names | None = getattr(action, "nodes", None)
    if nodes is not None and nodes != HOLDER:
        changes["nodes"] = select(known, nodes, f"{where}.nodes")
    return msgspec.structs.replace(action, **changes)


def _flow(flow: Flow, index: int, context: tuple[Scenario, Setting, int]) -> list[Step]:
    scenario, setting, seed = context
    pairs = _named(flow.pairs, f"packets[{index}].pairs", setting)
    rng = stream(seed, "workload", "packets", index)
    first = scenario.start + parse_duration(flow.at)
    size, lifetime = flow.size_bytes, flow.lifetime
    steps = []
    for number in range(flow.count):
        a, b = pairs[number % len(pairs)] if pairs else rng.sample(setting.stations, 2)
        action: Action = (
            Ping(source=a, destination=b, size_bytes=size, lifetime=lifetime)
            if flow.ping
            else Send(
                source=a, destination=b, size_bytes=size, lifetime=lifetime, durable=flow.durable
            )
        )
        at = first + round(number * SECOND / flow.rate_hz)
        if at < scenario.end:
            steps.append(Step(at, action))
    return steps


def _posted(letters: Letters, where: str, scenario: Scenario, setting: Setting) -> list[Step]:
    pairs = _named(letters.pairs, where, setting)
    steps = []
    for number in range(letters.count):
        a, b = pairs[number % len(pairs)]
        action = Post(
            source=a,
            destination=b,
            size_bytes=letters.size_bytes,
            stream=letters.stream,
            lifetime=letters.lifetime,
        )
        at = scenario.start + parse_duration(letters.at) + round(number * SECOND / letters.rate_hz)
        if at < scenario.end:
            steps.append(Step(at, action))
    return steps


def _named(pairs: Iterable[Pair], where: str, setting: Setting) -> list[tuple[str, str]]:
    """Pairs of nodes as the mesh spells them."""
    return [
        (select(setting.names, a, where)[0], select(setting.names, b, where)[0]) for a, b in pairs
    ]
