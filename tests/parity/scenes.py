"""Scenes: small random meshes with traffic, drawn from a seed, for two drivers to agree on."""

from __future__ import annotations

from random import Random

from sim.chance import stream
from sim.scenario.actions import Action, Kill, Restart, Send, Submit
from sim.scenario.schema import Cable, NodeRules, Scenario, Window

DURATION_S = 40
SENT_FROM_S = 4.0
SUBMITTED_AT_S = 10.0
NODES_MIN, NODES_MAX = 3, 8


def scene(seed: int) -> Scenario:
    """A mesh of 3 to 8 nodes, cabled if the seed is even, else in planned contacts.

    Twelve packets, a job of some shards, and in every third scene a node that dies and returns.
    No round numbers: what falls on one nanosecond has no order that drivers need share.
    """
    rng = stream(seed, "parity")
    names = tuple(f"n{number}" for number in range(rng.randint(NODES_MIN, NODES_MAX)))
    joined = _joined(rng, names)
    cables: tuple[Cable, ...] = ()
    contacts: tuple[Window, ...] = ()
    if seed % 2 == 0:
        cables = tuple(Cable(pair, f"{rng.randint(1_000, 20_000) / 1_000}ms") for pair in joined)
    else:
        contacts = tuple(window for pair in joined for window in _windows(rng, pair))
    return Scenario(
        name=f"parity-{seed}",
        question="Do two drivers decide alike?",
        method="Run both.",
        expectation="Yes.",
        duration=f"{DURATION_S}s",
        members=names,
        cables=cables,
        contacts=contacts,
        contact_light=f"{rng.randint(1_000, 20_000) / 1_000}ms",
        node=NodeRules(beats="frames", blobs="cached"),
        timeline=_timeline(rng, names, dies=seed % 3 == 0),
    )


def _joined(rng: Random, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """A tree over all, and a few pairs more."""
    pairs = [(rng.choice(names[:at]), name) for at, name in enumerate(names) if at]
    for _ in range(rng.randint(0, 3)):
        a, b = sorted(rng.sample(names, 2))
        if (a, b) not in pairs:
            pairs.append((a, b))
    return pairs


def _windows(rng: Random, pair: tuple[str, str]) -> list[Window]:
    """One long contact, or two with a gap between."""
    if rng.random() < 0.5:
        return [Window(pair, "0s", "1h")]
    edges = sorted(rng.sample(range(3_000, 36_000), 3))
    begins = (0, *edges[1:2]), (edges[0], 3_600_000)
    return [Window(pair, f"{a}ms", f"{b}ms") for a, b in zip(*begins, strict=True)]


def _timeline(rng: Random, names: tuple[str, ...], dies: bool) -> tuple[Action, ...]:
    steps: list[tuple[float, Action]] = []
    for _ in range(12):
        at = SENT_FROM_S + rng.random() * 20
        a, b = rng.sample(names, 2)
        size = rng.choice((64, 1_000, 20_000))
        send = Send(source=a, destination=b, size_bytes=size, lifetime="15s", at=f"{at:.6f}s")
        steps.append((at, send))
    source, sink = rng.sample(names, 2)
    shards = rng.randint(2, 6)
    job = Submit(
        source=source,
        sink=sink,
        shards=shards,
        estimate_s=round(0.5 + 5 * rng.random(), 6),
        at=f"{SUBMITTED_AT_S}s",
    )
    steps.append((SUBMITTED_AT_S, job))
    if dies:
        victim = rng.choice([name for name in names if name not in (source, sink)])
        at = SUBMITTED_AT_S + 1 + rng.random() * 4
        steps.append((at, Kill(nodes=victim, at=f"{at:.6f}s")))
        back = at + 3 + rng.random() * 5
        steps.append((back, Restart(nodes=victim, at=f"{back:.6f}s")))
    return tuple(action for _, action in sorted(steps, key=lambda step: step[0]))
