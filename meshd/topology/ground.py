"""Ground links: to every satellite in view, or to as many as a station has antennas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshd.kernels.edges import Couples
from meshd.topology.contacts import Intervals, joined, meet
from meshd.topology.policy import LinkPolicy
from meshd.topology.scene import Stage
from meshd.topology.trajectory import FloatArray
from protocols.types import MINUTE, SECOND, Instant

SLOT_NS = 15 * SECOND
"""Stations turn to other satellites on these ticks of UTC, as Starlink's do."""

HOLD_NS = 30 * MINUTE
"""Under `longest` a station chooses afresh on these ticks, so that no node must know its past."""


def lead_ns(policy: LinkPolicy) -> int:
    """How long before an instant a station's choice may have been made, and how far it looked."""
    return {"all": 0, "highest": SLOT_NS, "longest": HOLD_NS}[policy.ground]


def held_passes(stage: Stage, policy: LinkPolicy, couples: Couples, seen: Intervals) -> Intervals:
    """Of one station's passes, the parts for which it holds a link."""
    if policy.ground == "all":
        return seen
    start, end = stage.trajectory.start, stage.trajectory.end
    afresh = HOLD_NS if policy.ground == "longest" else SLOT_NS
    slots = range(-(-start // afresh) * afresh, end, SLOT_NS)

    def elevation(rows: np.ndarray, at: Instant) -> FloatArray:
        which = seen.pair[rows]
        some = Couples(couples.a[which], couples.b[which], couples.kind[which])
        return stage.margins(some, at)

    if policy.ground == "longest":
        chosen = _longest(seen, slots, policy.antennas)
    else:
        chosen = _highest(seen, slots, policy.antennas, elevation)
    rows = np.array(sorted(chosen), dtype=np.int64).reshape(-1, 3)
    return meet(seen, joined(Intervals(rows[:, 0], rows[:, 1], rows[:, 2])))


def _highest(
    seen: Intervals,
    slots: range,
    antennas: int,
    elevation: Callable[[np.ndarray, Instant], FloatArray],
) -> list[tuple[int, int, int]]:
    """At each slot the highest satellites in view, as (pair, begin, finish)."""
    chosen = []
    for at in slots:
        rows = np.flatnonzero((seen.begin <= at) & (at < seen.finish))
        # To 1e-9 of the sine: order must not hang on a last bit.
        height = -np.round(elevation(rows, at) * 1e9)
        for row in rows[np.lexsort((seen.pair[rows], height))][:antennas].tolist():
            chosen.append((int(seen.pair[row]), at, at + SLOT_NS))
    return chosen


def _longest(seen: Intervals, slots: range, antennas: int) -> list[tuple[int, int, int]]:
    """Each antenna keeps its satellite until it sets, then turns to the one that stays longest.

    Of those that outlast the period the first by number.
    """
    chosen, held = [], list[int]()
    for at in slots:
        if at % HOLD_NS == 0:
            held = []
        held = [row for row in held if seen.finish[row] > at]
        rows = np.flatnonzero((seen.begin <= at) & (at < seen.finish))
        # Nobody knows more than the period: windows that end sooner must choose alike.
        until = np.minimum(seen.finish[rows], at - at % HOLD_NS + HOLD_NS)
        stays = np.lexsort((seen.pair[rows], -until))
        for row in rows[stays].tolist():
            if len(held) == antennas:
                break
            if row not in held:
                held.append(row)
        chosen += [(int(seen.pair[row]), at, at + SLOT_NS) for row in held]
    return chosen
