"""Draw: a seed's own scenario: a mesh, its work, and a random subset of the faults there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from sim.chance import stream
from sim.faults.registry import FAULTS, TREASONS, Place, seconds
from sim.scenario.actions import Action, Submit
from sim.scenario.schema import Flow, Letters, Link, Liveness, NodeRules, Scenario
from sim.swarm.shapes import Mesh, draw_mesh

WARM_S, HARM_S, WITHIN_S = 10, 60, 120
"""Faults are drawn between the first two; so much after the second all must be well."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scenario and what it was drawn from."""

    seed: int
    scenario: Scenario
    shape: str
    faults: Counter[str]


def draw(seed: int) -> Drawn:
    """Everything follows from the seed."""
    rng = stream(seed, "swarm")
    lasts_s = HARM_S + WITHIN_S
    mesh = draw_mesh(rng, lasts_s + 600)
    place = Place(mesh.members, mesh.edges, WARM_S, HARM_S - 1)
    faults, timeline = _harm(rng, place)
    loyal = stream(seed, "operators")
    operators = loyal.choice((0, 0, 1, 2))
    if operators:
        timeline += _treason(loyal, place, faults)
    scenario = Scenario(
        name=f"swarm-{seed}",
        question="Does every promise hold, whatever goes wrong?",
        method=f"A {mesh.shape} of {len(mesh.members)}; {_listed(faults)}.",
        expectation=f"No law is broken; {WITHIN_S} s after the last fault all is well.",
        duration=f"{lasts_s}s",
        members=mesh.members,
        contacts=mesh.contacts,
        contact_light=f"{rng.choice((2, 5, 15))}ms",
        cables=mesh.cables,
        link=Link(loss=rng.choice((0.0, 0.0, 0.0, 0.02))),
        node=NodeRules(
            commit=f"{rng.choice((0, 0, 2, 10, 80))}ms",
            beats="frames",
            operators=operators,
            slots=3 if operators > 1 else 1,  # a third of one is nothing
        ),
        packets=_packets(rng, mesh),
        letters=_letters(rng, mesh),
        jobs=(*_jobs(rng, mesh), *_staged(stream(seed, "stages"), mesh)),
        timeline=tuple(timeline),
        liveness=Liveness(f"{HARM_S}s", f"{WITHIN_S}s"),
        sample_every=f"{lasts_s}s",
    )
    return Drawn(seed, scenario, mesh.shape, faults)


def _harm(rng: Random, place: Place) -> tuple[Counter[str], list[Action]]:
    """A share of all kinds of faults, drawn too; at least one."""
    share = rng.choice((0.05, 0.1, 0.2, 0.4))
    chosen = [name for name in FAULTS if rng.random() < share] or [rng.choice(list(FAULTS))]
    faults: Counter[str] = Counter()
    timeline: list[Action] = []
    for name in chosen:
        for _ in range(rng.choice((1, 1, 2, 3))):
            timeline += FAULTS[name].draw(rng, place)
            faults[name] += 1
    return faults, timeline


def _treason(rng: Random, place: Place, faults: Counter[str]) -> list[Action]:
    """What operators must be proof against, drawn apart from all other faults."""
    timeline: list[Action] = []
    for name in rng.sample(sorted(TREASONS), rng.randint(0, 3)):
        timeline += TREASONS[name].draw(rng, place)
        faults[name] += 1
    return timeline


def _packets(rng: Random, mesh: Mesh) -> tuple[Flow, ...]:
    """Some now and then, some in a burst; some are pings, some are large."""
    flows = []
    for _ in range(rng.randint(1, 3)):
        burst = rng.random() < 0.3
        pairs = tuple((a, b) for a, b in (rng.sample(mesh.members, 2) for _ in range(3)))
        flows.append(
            Flow(
                count=rng.randint(5, 25),
                rate_hz=1_000.0 if burst else round(rng.uniform(0.3, 3.0), 2),
                pairs=pairs,
                size_bytes=rng.choice((256, 20_000, 150_000) if burst else (64, 256, 20_000)),
                at=seconds(rng.uniform(5.0, HARM_S - 10)),
                lifetime=f"{rng.choice((5, 20, 60))}s",
                ping=rng.random() < 0.3,
                durable=rng.random() < 0.4,
            )
        )
    return tuple(flows)


def _letters(rng: Random, mesh: Mesh) -> tuple[Letters, ...]:
    """Between one pair, most of them in a stream."""
    found = []
    for _ in range(rng.choice((0, 1, 2))):
        a, b = rng.sample(mesh.members, 2)
        found.append(
            Letters(
                count=rng.randint(3, 12),
                pairs=((a, b),),
                rate_hz=round(rng.uniform(0.3, 5.0), 2),
                size_bytes=rng.choice((64, 256, 60_000)),
                stream=rng.choice(("", "s", "s")),
                at=seconds(rng.uniform(5.0, HARM_S - 10)),
            )
        )
    return tuple(found)


def _jobs(rng: Random, mesh: Mesh) -> tuple[Submit, ...]:
    return tuple(
        Submit(
            source=rng.choice(mesh.members),
            sink=rng.choice(mesh.members),
            name=f"job {number}",
            shards=rng.randint(1, 6),
            estimate_s=round(rng.uniform(0.5, 9.0), 2),
            deadline_s=3_600.0,
            model_bytes=rng.choice((1_000, 100_000, 600_000)),
            input_bytes=rng.choice((100, 60_000)),
            at=seconds(rng.uniform(8.0, HARM_S - 5)),
        )
        for number in range(rng.choice((0, 1, 1, 2)))
    )


def _staged(rng: Random, mesh: Mesh) -> tuple[Submit, ...]:
    """Jobs whose shards feed each other, drawn apart: the other jobs are those of before."""
    return tuple(
        Submit(
            source=rng.choice(mesh.members),
            sink=rng.choice(mesh.members),
            name=f"pipeline {number}",
            shards=rng.randint(1, 3),
            stages=rng.randint(1, 4),
            gather=rng.random() < 0.5,
            estimate_s=round(rng.uniform(0.5, 5.0), 2),
            deadline_s=3_600.0,
            model_bytes=rng.choice((1_000, 100_000)),
            input_bytes=rng.choice((100, 60_000)),
            at=seconds(rng.uniform(8.0, HARM_S - 5)),
        )
        for number in range(rng.choice((0, 0, 1, 1, 2)))
    )


def _listed(faults: Counter[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(faults.items()))
