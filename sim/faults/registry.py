"""Registry: every fault a swarm may draw, how it is drawn, and what it excuses.

A feature that brings a new way to fail adds its Fault here, its action in sim/scenario/actions.py,
and its bug in tests/mutants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias, get_args

from sim.scenario.actions import (
    Action,
    Backup,
    Cut,
    Disturb,
    FailCommit,
    FillDisk,
    Kill,
    Lie,
    Outage,
    Partition,
    Pause,
    Rollback,
    Skew,
    Slow,
    Swallow,
    Tell,
    Treason,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a swarm does harm: seconds after the start."""

    names: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    begin_s: float
    finish_s: float


Draw: TypeAlias = Callable[[Random, Place], list[Action]]


@dataclass(frozen=True, slots=True)
class Fault:
    """`excuses` names the promises that it makes void, where it strikes (`Host.excused`)."""

    name: str
    draw: Draw
    excuses: tuple[str, ...] = ()


def seconds(value: float) -> str:
    return f"{value:.3f}s"


def _at(rng: Random, place: Place) -> str:
    return seconds(rng.uniform(place.begin_s, place.finish_s))


def _for(rng: Random, least_s: float = 1.0, most_s: float = 20.0) -> str:
    return seconds(rng.uniform(least_s, most_s))


def _some(rng: Random, place: Place) -> tuple[str, ...]:
    """One node or a few, seldom all."""
    most = max(1, len(place.names) // 2)
    return tuple(sorted(rng.sample(place.names, rng.randint(1, most))))


def _one(rng: Random, place: Place) -> tuple[str, ...]:
    return (rng.choice(place.names),)


def _disturb(**rates: Callable[[Random], Any]) -> Draw:
    def draw(rng: Random, place: Place) -> list[Action]:
        given = {field: rate(rng) for field, rate in rates.items()}
        where, at, lasting = _some(rng, place), _at(rng, place), _for(rng)
        return [Disturb(nodes=where, at=at, lasting=lasting, **given)]

    return draw


def _share(most: float) -> Callable[[Random], float]:
    return lambda rng: round(rng.uniform(0.01, most), 3)


def _delay(rng: Random) -> str:
    return f"{rng.randint(20, 900)}ms"


def _pointing(rng: Random, place: Place) -> list[Action]:
    return [Cut(between=rng.choice(place.edges), at=_at(rng, place), lasting=_for(rng))]


def _one_way(rng: Random, place: Place) -> list[Action]:
    ends = rng.choice(place.edges)
    return [Cut(between=ends, one_way=True, at=_at(rng, place), lasting=_for(rng))]


def _flap(rng: Random, place: Place) -> list[Action]:
    """One link up and down, a few times in a row."""
    ends, begin = rng.choice(place.edges), rng.uniform(place.begin_s, place.finish_s)
    period = rng.uniform(0.5, 6.0)
    return [
        Cut(between=ends, at=seconds(min(begin + k * period, place.finish_s)), lasting="0.4s")
        for k in range(rng.randint(2, 6))
    ]


def _partition(rng: Random, place: Place) -> list[Action]:
    return [Partition(nodes=_some(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _asymmetric(rng: Random, place: Place) -> list[Action]:
    nodes = _some(rng, place)
    return [Partition(nodes=nodes, one_way=True, at=_at(rng, place), lasting=_for(rng))]


def _isolate(rng: Random, place: Place) -> list[Action]:
    return [Outage(nodes=_one(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _brief_outage(rng: Random, place: Place) -> list[Action]:
    nodes = (rng.choice(place.names),)
    return [Outage(nodes=nodes, at=_at(rng, place), lasting=_for(rng, 5.0))]


def _several_die(rng: Random, place: Place) -> list[Action]:
    return [Kill(nodes=_some(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _crash(rng: Random, place: Place) -> list[Action]:
    torn = rng.random() < 0.7
    return [Kill(nodes=_one(rng, place), torn=torn, at=_at(rng, place), lasting=_for(rng))]


def _holder(rng: Random, place: Place) -> list[Action]:
    return [Kill(nodes="holder", at=_at(rng, place))]


def _crash_again(rng: Random, place: Place) -> list[Action]:
    """Killed, and killed again while it recovers."""
    node, begin = _one(rng, place), rng.uniform(place.begin_s, place.finish_s - 3.0)
    back = rng.uniform(0.5, 2.0)
    soon = min(begin + back + rng.choice((0.0, 0.001, 0.02, 0.3)), place.finish_s)
    return [
        Kill(nodes=node, torn=True, at=seconds(begin), lasting=seconds(back)),
        Kill(nodes=node, torn=True, at=seconds(soon), lasting=_for(rng)),
    ]


def _pause(rng: Random, place: Place) -> list[Action]:
    return [Pause(nodes=_one(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _slow(rng: Random, place: Place) -> list[Action]:
    lag, speed = f"{rng.randint(5, 1_500)}ms", round(rng.uniform(0.1, 1.0), 2)
    nodes = _some(rng, place)
    return [Slow(nodes=nodes, lag=lag, speed=speed, at=_at(rng, place), lasting=_for(rng))]


def _skew(rng: Random, place: Place) -> list[Action]:
    by = rng.choice(("5s", "-5s"))
    return [Skew(nodes=_some(rng, place), by=by, at=_at(rng, place))]


def _drift(rng: Random, place: Place) -> list[Action]:
    ppm = rng.choice((-1, 1)) * rng.randint(50, 20_000)
    return [Skew(nodes=_some(rng, place), by="0s", drift_ppm=ppm, at=_at(rng, place))]


def _step(rng: Random, place: Place) -> list[Action]:
    """A clock that is set, and set back."""
    by = seconds(rng.uniform(0.1, 30.0))
    back = rng.random() < 0.5
    by = f"-{by}" if back else by
    return [Skew(nodes=_one(rng, place), by=by, at=_at(rng, place), lasting=_for(rng))]


def _eio(rng: Random, place: Place) -> list[Action]:
    return [FailCommit(nodes=_one(rng, place), at=_at(rng, place))]


def _enospc(rng: Random, place: Place) -> list[Action]:
    return [FillDisk(nodes=_one(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _rollback(rng: Random, place: Place) -> list[Action]:
    node = _one(rng, place)
    copied, gone = sorted(rng.uniform(place.begin_s, place.finish_s) for _ in range(2))
    # With nothing to go back to it would forget its standing links, which only a person can renew.
    return [
        Backup(nodes=node, at=seconds(copied)),
        Rollback(nodes=node, at=seconds(gone), lasting=_for(rng, 0.5, 5.0)),
    ]


def _black_hole(rng: Random, place: Place) -> list[Action]:
    return [Swallow(nodes=_one(rng, place), at=_at(rng, place), lasting=_for(rng))]


def _lie(lie: Lie | Treason) -> Draw:
    return lambda rng, place: [Tell(nodes=_one(rng, place), lie=lie, at=_at(rng, place))]


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("loss", _disturb(loss=_share(0.3))),
        Fault("burst loss", _disturb(burst=_share(0.05))),
        Fault("duplicate", _disturb(duplicate=_share(0.5))),
        Fault("reorder", _disturb(reorder=_share(0.5))),
        Fault("corrupt", _disturb(corrupt=_share(0.1))),
        Fault("replay", _disturb(replay=_share(0.5))),
        Fault("delay spike", _disturb(delay=_delay)),
        Fault("bandwidth drop", _disturb(rate=lambda rng: rng.choice((1e-3, 1e-4, 2e-5)))),
        Fault(
            "queue overflow",
            _disturb(outbox_bytes=lambda rng: rng.randint(20_000, 200_000), rate=lambda rng: 1e-4),
        ),
        Fault("flap", _flap),
        Fault("pointing loss", _pointing),
        Fault("one-way link", _one_way),
        Fault("partition", _partition),
        Fault("asymmetric partition", _asymmetric),
        Fault("isolate one", _isolate),
        Fault("brief outage", _brief_outage),
        Fault("several die", _several_die),
        Fault("crash", _crash),
        Fault("crash of a holder", _holder),
        Fault("crash during recovery", _crash_again),
        Fault("pause", _pause),
        Fault("slow node", _slow),
        Fault("skew of 5 s", _skew),
        Fault("drift", _drift),
        Fault("step", _step),
        Fault("EIO", _eio),
        Fault("ENOSPC", _enospc, ("disk",)),
        Fault("rollback", _rollback, ("sequence", "jobs", "results")),
        Fault("black hole", _black_hole),
        *(Fault(f"{lie} record", _lie(lie)) for lie in get_args(Lie)),
    )
}

TREASONS: dict[str, Fault] = {
    f"{treason} word": Fault(f"{treason} word", _lie(treason)) for treason in get_args(Treason)
}
"""What can be done only where there are operators: drawn apart."""
