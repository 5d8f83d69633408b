"""Every change of the best path between two sites over a span, at its exact instant.

Nothing is sampled. Over a short window each link's cost is a straight line but for a known bend,
so a path that is ahead at both ends by more than four bends stays ahead: only the few that are not
can be best in between, and where they cross is found to a microsecond (`Field`). Contacts that open
or close in a window are taken as open while rivals are looked for, and as they are when the best of
these is chosen, so only those that matter cost anything.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from meshd.router.envelope import TIE_NS, Field
from meshd.router.objective import DELAY, Objective
from meshd.router.snapshot import snapshot_route
from meshd.router.window import Links, Window, usable_links, window_of
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import Trajectory
from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, SECOND, Duration, Instant

TIMELINE_MAX_NS = 24 * HOUR
LOOKS_MAX = 2_000_000

Path: TypeAlias = tuple[int, ...]
Way: TypeAlias = tuple[int, ...]
"""A path as links of a window."""
Progress: TypeAlias = Callable[[Instant], None]

_FIRST_NS = 4 * SECOND
_FEW = 12
"""With so few rivals the next window may be longer."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """[begin, finish), and the sites of the best path in it, ends included; empty while dark."""

    begin: Instant
    finish: Instant
    path: Path


@dataclass(frozen=True)
class Timeline:
    """The best paths from one site to another over [start, end): stretches without a gap."""

    plan: ContactPlan
    source: int
    target: int
    objective: Objective
    stretches: tuple[Stretch, ...]

    @property
    def start(self) -> Instant:
        return self.stretches[0].begin

    @property
    def end(self) -> Instant:
        return self.stretches[-1].finish

    @cached_property
    def _begins(self) -> list[Instant]:
        return [stretch.begin for stretch in self.stretches]

    def at(self, instant: Instant) -> Stretch:
        """The stretch in which an instant of [start, end) lies."""
        return self.stretches[bisect_right(self._begins, instant) - 1]

    def on_grid(self, step: Duration) -> Timeline:
        """What somebody sees who looks every `step` from the start on, and not in between.

        Raises InputError "bad-step".
        """
        check_step(step, self.end - self.start)
        looks = range(self.start, self.end, step)
        seen = [Stretch(at, min(at + step, self.end), self.at(at).path) for at in looks]
        return Timeline(self.plan, self.source, self.target, self.objective, joined(seen))


def check_step(step: Duration, length: Duration) -> None:
    """Raises InputError "bad-step" unless a span is looked at so often, and not too often."""
    if step <= 0 or length // step > LOOKS_MAX:
        raise InputError("bad-step", f"a step is more than 0 and makes at most {LOOKS_MAX} looks")


def timeline_of(
    plan: ContactPlan,
    ends: tuple[int, int],
    span: tuple[Instant, Instant],
    objective: Objective = DELAY,
    progress: Progress | None = None,
) -> Timeline:
    """The timeline between two sites over a span inside the plan's window.

    Ties go to fewer hops, then to lower sites from the end backwards. A path that is ahead by
    less than a microsecond may be left out. `progress` is told how far it has got. A plan without
    positions is taken to have constant light times in each contact. Raises InputError
    "bad-window".
    """
    start, end = span
    if not (plan.start <= start < end <= plan.end) or end - start > TIMELINE_MAX_NS:
        raise InputError("bad-window", "a timeline lies in its plan and is up to 24h long")
    found = _stretches(plan, ends, span, objective, progress or (lambda at: None))
    return Timeline(plan, *ends, objective, joined(found))


def valid_until(
    plan: ContactPlan,
    ends: tuple[int, int],
    at: Instant,
    end: Instant,
    objective: Objective = DELAY,
) -> Instant:
    """The first instant after `at` when `snapshot_route` finds another path (or none).

    `end` when it is the same up to then, as far as the plan goes. Where two paths cross slowly the
    router, which counts whole nanoseconds, takes some milliseconds to tell them apart.
    """
    end = min(end, plan.end)

    def path(instant: Instant) -> Path:
        route = snapshot_route(plan, *ends, instant, objective)
        return route.path if route else ()

    first: Stretch | None = None
    for stretch in _stretches(plan, ends, (at, end), objective, lambda at: None):
        if first is not None and stretch.path != first.path:
            return _seen_by_router(path, path(at), (at, stretch.begin, end))
        first = stretch
    return end


def _seen_by_router(
    path: Callable[[Instant], Path], before: Path, bounds: tuple[Instant, Instant, Instant]
) -> Instant:
    """Where, near the middle of three bounds, the router's path is first another than before."""
    first, change, last = bounds
    low, high, step = change - 1, change, MILLISECOND
    while low > first and path(low) != before:
        low, step = max(first, low - step), 2 * step
    step = MILLISECOND
    while high < last and path(high) == before:
        high, step = min(last, high + step), 2 * step
    while high - low > MILLISECOND:
        middle = (low + high) // 2
        low, high = (middle, high) if path(middle) == before else (low, middle)
    return high


def _stretches(
    plan: ContactPlan,
    ends: tuple[int, int],
    span: tuple[Instant, Instant],
    objective: Objective,
    told: Progress,
) -> Iterator[Stretch]:
    if ends[0] == ends[1]:
        return iter([Stretch(*span, (ends[0],))])
    if plan.trajectory is None:
        return _between_events(plan, ends, span, objective)
    search = _Search(plan, plan.trajectory, ends, objective, usable_links(plan, *ends))
    return search.stretches(span, told)


def joined(found: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Stretches of one path that follow each other, as one."""
    whole: list[Stretch] = []
    for stretch in found:
        if whole and whole[-1].path == stretch.path:
            whole[-1] = Stretch(whole[-1].begin, stretch.finish, stretch.path)
        elif stretch.begin < stretch.finish:
            whole.append(stretch)
    return tuple(whole)


def _between_events(
    plan: ContactPlan, ends: tuple[int, int], span: tuple[Instant, Instant], objective: Objective
) -> Iterator[Stretch]:
    """Without motion a path changes only where a contact begins or finishes."""
    edges = np.unique(np.concatenate([plan.begin, plan.finish]))
    inside = edges[(edges > span[0]) & (edges < span[1])].tolist()
    instants = [span[0], *inside, span[1]]
    for begin, finish in pairwise(instants):
        route = snapshot_route(plan, *ends, begin, objective)
        yield Stretch(begin, finish, route.path if route else ())


@dataclass(frozen=True, slots=True)
class _Search:
    """Windows one after another, as long as their rivals are few."""

    plan: ContactPlan
    trajectory: Trajectory
    ends: tuple[int, int]
    objective: Objective
    links: Links

    def stretches(self, span: tuple[Instant, Instant], told: Progress) -> Iterator[Stretch]:
        now, length = span[0], _FIRST_NS
        path: Path = ()
        step, first = self.trajectory.step_ns, self.trajectory.first
        while now < span[1]:
            knot = first + step * ((now - first) // step + 1)
            finish = min(span[1], knot, now + length)
            window = window_of(self.links, self.trajectory, self.objective, (now, finish))
            found = self._best(window, path)
            if isinstance(found, int):
                length = found - now
                continue
            pieces, rivals = found
            yield from pieces
            now, path = finish, pieces[-1].path
            if rivals <= _FEW:
                length = max(MILLISECOND, length * 3 // 2)
            told(now)

    def _best(self, window: Window, path: Path) -> tuple[list[Stretch], int] | Instant:
        """The best paths of a window and how many rivals there were, or where to cut it."""
        known = self._along(window, path)
        rivals = self._rivals(window, known) if known else None
        if rivals is None:
            # What was best before the window need not be near the best of it.
            whole = np.where(window.whole, window.costs[0], np.inf)
            found = window.near(whole, self.ends, None)
            if found == []:
                return self._dark(window)
            rivals = self._rivals(window, found[0]) if found else None
        if rivals is None:
            return self._cut(window)
        field = Field.of(window, self.objective, rivals)
        pieces = list(field.best())
        paths = [window.sites_of(rivals[n], self.ends[0]) if n >= 0 else () for _, n in pieces]
        instants = [*(begin for begin, _ in pieces), window.finish]
        spans = zip(pairwise(instants), paths, strict=True)
        return [Stretch(*span, sites) for span, sites in spans], len(rivals)

    def _rivals(self, window: Window, known: Way) -> list[Way] | None:
        """All paths that may be better than a known one somewhere in the window, and itself."""
        paths: set[Way] = set()
        for end in (0, 1):
            links = list(known)
            bound = window.costs[end][links].sum() + window.down[links].sum() * window.slack
            near = window.near(window.lowered(end), self.ends, float(bound) + TIE_NS)
            if near is None:
                return None
            paths.update(near)
        return sorted(paths, key=lambda p: self._rank(window, p))

    def _rank(self, window: Window, path: Way) -> tuple[int, Path]:
        """Who goes first among equals."""
        return len(path), window.sites_of(path, self.ends[0])[::-1]

    def _along(self, window: Window, path: Path) -> Way | None:
        """The links of a path, if all are open in the whole window."""
        taken = []
        for a, b in pairwise(path):
            low, high = min(a, b), max(a, b)
            links = window.links
            open_ = np.flatnonzero((links.a == low) & (links.b == high) & window.whole)
            if open_.size == 0:
                return None
            taken.append(int(open_[0]))
        return tuple(taken) or None

    def _dark(self, window: Window) -> tuple[list[Stretch], int] | Instant:
        """No path is open all the time; if one may be for a part of it, the window is cut."""
        if window.near(window.costs[0], self.ends, None) == []:
            return [Stretch(window.begin, window.finish, ())], 0
        return self._cut(window)

    def _cut(self, window: Window) -> tuple[list[Stretch], int] | Instant:
        """Where to cut: at an edge of a contact that matters, else in half, for a quarter of slack.

        When a window is a millisecond long its rivals are equals: the router's choice is taken.
        """
        found = window.near(window.costs[0], self.ends, None)
        links = list(found[0]) if found else np.arange(window.links.a.size)
        edges = np.concatenate([window.links.begin[links], window.links.finish[links]])
        inside = edges[(edges > window.begin) & (edges < window.finish)]
        if inside.size:
            return int(inside.min())
        if window.finish - window.begin > MILLISECOND:
            return (window.begin + window.finish) // 2
        route = snapshot_route(self.plan, *self.ends, window.begin, self.objective)
        return [Stretch(window.begin, window.finish, route.path if route else ())], 0
