"""A wish: what is asked of the way between two places, and the answer over a plan.

The command line asks it of a sky or plan of its own, a daemon of what it knows: one answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import msgspec

from meshd.ephemeris.timescale import format_time, parse_duration
from meshd.router.answers import route_json, why_no_route
from meshd.router.changes import SightAt
from meshd.router.disjoint import Apart, disjoint_routes
from meshd.router.explain import explain
from meshd.router.objective import DELAY, objective_of
from meshd.router.offline import ROUTE_WINDOW_NS, route_answer
from meshd.router.steady import STAY, steadiness, steady_timeline
from meshd.router.timeline import TIMELINE_MAX_NS, Progress, Timeline, timeline_of
from meshd.router.timeline_answers import alternatives_json, explanation_json, timeline_json
from meshd.router.transfer import parse_bytes, transfer_json
from meshd.topology.plan import ContactPlan
from protocols.errors import InputError, MeshError
from protocols.types import MINUTE, Duration, Instant

STEADY = "stable"

TRANSFER_WINDOW_NS = 40 * MINUTE
"""How far ahead a contact that lasts long enough is looked for: as far as a daemon plans."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for besides the two ends, as people type it; `timeline` is a duration."""

    at: str | None = None
    timeline: str | None = None
    step: str | None = None
    by: str = "delay"
    stay_percent: float = 100 * STAY
    k: int = 1
    disjoint: str = "nodes"
    explain: bool = False
    size: str | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the best way at one instant, and no more."""
        more = self.timeline or self.explain or self.size
        return not (more or self.k != 1 or self.by != "delay")

    def check(self) -> Wish:
        """The same; raises InputError "usage" for wishes that do not go together."""
        if self.step and not self.timeline:
            raise InputError("usage", "--step is for a timeline: add --timeline 1h")
        if self.by == STEADY and not self.timeline:
            raise InputError("usage", "--by stable is for a timeline: add --timeline 1h")
        if self.timeline and (self.k != 1 or self.explain):
            raise InputError("usage", "--k and --explain are for one instant: leave out --timeline")
        if self.size and self.timeline:
            raise InputError("usage", "--size is for one instant: leave out --timeline")
        if self.disjoint not in ("nodes", "links"):
            raise InputError("usage", f"--disjoint is nodes or links, not {self.disjoint!r}")
        return self

    def window_ns(self, longest: Duration = TIMELINE_MAX_NS) -> Duration:
        """How far from its instant on a plan must reach. Raises InputError "bad-duration"."""
        if not self.timeline:
            return TRANSFER_WINDOW_NS if self.size else ROUTE_WINDOW_NS
        span = parse_duration(self.timeline)
        if not 0 < span <= longest:
            hours = longest / TIMELINE_MAX_NS * 24
            raise InputError("bad-duration", f"a timeline is up to {hours:g}h long")
        return span


PARAMETERS = tuple(field.name for field in fields(Wish))
"""What the API knows of wishes."""


def wish_of(query: Mapping[str, str]) -> Wish:
    """The wish in a query of the API. Raises InputError "bad-request" or "usage"."""
    told = {name: text for name, text in query.items() if name in PARAMETERS}
    try:
        return msgspec.convert(told, Wish, strict=False).check()
    except msgspec.ValidationError as error:
        raise InputError("bad-request", f"the query cannot be read: {error}") from None


# --- over time ------------------------------------------------------------------------------------


class Followed(NamedTuple):
    """The answer to a wish over time, its timeline, and the best ways where those are others."""

    answer: dict[str, Any]
    shown: Timeline
    best: Timeline | None


def follow(
    plan: ContactPlan,
    ends: tuple[int, int],
    window: tuple[Instant, Instant],
    wish: Wish,
    sight_at: SightAt,
    progress: Progress = lambda at: None,
) -> Followed:
    """Every change of the way between two sites over a window of a plan.

    Raises InputError "bad-objective", "bad-step" or "bad-stay".
    """
    step = parse_duration(wish.step) if wish.step else None
    objective = DELAY if wish.by == STEADY else objective_of(wish.by)
    best = timeline_of(plan, ends, window, objective, progress)
    if wish.by != STEADY:
        otherwise = "became shorter" if wish.by == "delay" else "came to cost less"
        return Followed(timeline_json(best, sight_at, step, otherwise), best, None)
    steady = steady_timeline(best, wish.stay_percent / 100)
    otherwise = f"the one before came to be {wish.stay_percent:g}% longer than the best"
    answer = timeline_json(steady, sight_at, step, otherwise)
    answer |= {"by": STEADY, "stay_percent": wish.stay_percent}
    answer["against_best"] = asdict(steadiness(steady, best))
    return Followed(answer, steady, best)


# --- at one instant -------------------------------------------------------------------------------


def at_once(
    plan: ContactPlan, ends: tuple[int, int], when: Instant, wish: Wish, sight_at: SightAt
) -> dict[str, Any]:
    """The way between two sites at an instant, with what else is wished for.

    Raises MeshError "no-route" with the physical reason, unless an explanation is asked for, or a
    transfer, which may wait; InputError "bad-objective", "bad-count" or "bad-size".
    """
    objective = objective_of(wish.by)
    found = route_answer(plan, *ends, when, objective=objective)
    answer: dict[str, Any] = {"basis": "plan"}
    if found is not None:
        answer |= {**route_json(found), "by": objective.name}
    elif not (wish.explain or wish.size):
        raise MeshError("no-route", f"no route: {why_no_route(plan, *ends, when)}")
    else:
        names = {"from": plan.names[ends[0]], "to": plan.names[ends[1]], "at": format_time(when)}
        answer |= {**names, "path": [], "why": why_no_route(plan, *ends, when)}
    if wish.k != 1:
        apart: Apart = "nodes" if wish.disjoint == "nodes" else "links"
        routes = disjoint_routes(plan, ends, when, wish.k, apart, objective)
        answer |= {"disjoint": apart, "alternatives": alternatives_json(plan, routes)}
    if wish.size:
        answer["transfer"] = transfer_json(plan, ends, when, parse_bytes(wish.size))
    if wish.explain:
        told = explain(plan, ends, when, sight_at, objective)
        answer["explain"] = explanation_json(plan, told, when)
    return answer
