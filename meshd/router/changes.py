"""Why the best path changed: a contact that ended or began, or another path that became shorter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from meshd.router.answers import why_no_route
from meshd.router.timeline import Path, Stretch, Timeline
from meshd.topology.plan import ContactPlan
from meshd.topology.reasons import Sight, why_ended
from protocols.types import MILLISECOND, Duration, Instant

SightAt = Callable[[Instant], Sight | None]
"""The sites at an instant; None for a plan without a sky."""


def why_each(
    timeline: Timeline, sight_at: SightAt, step: Duration = 1, otherwise: str = "became shorter"
) -> list[str]:
    """For every stretch of a timeline why it began, in words; "" for the first.

    On a grid what changed may have done so anywhere in the `step` before. `otherwise` is said
    where no contact was the reason.
    """
    first = timeline.stretches[0]
    told = [""]
    if not first.path:
        told = [why_no_route(timeline.plan, timeline.source, timeline.target, first.begin)]
    for before, after in pairwise(timeline.stretches):
        told.append(_contact(timeline, (before, after), sight_at, step) or otherwise)
    return told


def _contact(
    timeline: Timeline, change: tuple[Stretch, Stretch], sight_at: SightAt, step: Duration
) -> str | None:
    """What a contact had to do with a change, if it had."""
    before, after = change
    plan, at = timeline.plan, after.begin
    lost = _edge(plan, before.path, at - step, at)
    if lost is not None:
        reason = _physical(plan, lost, sight_at(at + MILLISECOND))
        return f"{_pair(plan, lost)} ended: {reason}" if reason else f"{_pair(plan, lost)} ended"
    won = _edge(plan, after.path, at, at - step)
    if won is not None:
        return f"{_pair(plan, won)} began"
    return None


def _edge(
    plan: ContactPlan, path: Path, open_at: Instant, shut_at: Instant
) -> tuple[int, int] | None:
    """The first link of a path that is open at one instant and not at the other."""
    for a, b in pairwise(path):
        if plan.open_contact(a, b, open_at) and not plan.open_contact(a, b, shut_at):
            return a, b
    return None


def _physical(plan: ContactPlan, pair: tuple[int, int], sight: Sight | None) -> str | None:
    return why_ended(sight, *pair) if sight is not None else None


def _pair(plan: ContactPlan, pair: tuple[int, int]) -> str:
    return f"{plan.names[pair[0]]} - {plan.names[pair[1]]}"
