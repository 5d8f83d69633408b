"""A plan in the making: from a sky, a policy and a window to columns of contacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.sky import Sky
from meshd.kernels.edges import Couples
from meshd.topology.ages import AGE_MARGIN_MAX_NS, aged
from meshd.topology.candidates import Pairs, grid_pairs, listed_pairs
from meshd.topology.contacts import (
    NEVER,
    Intervals,
    acquired,
    among,
    joined,
    lasers,
    meet,
    within,
)
from meshd.topology.fitted import Choices
from meshd.topology.ground import held_passes, lead_ns
from meshd.topology.nearest import STAY_NS, Passing
from meshd.topology.plan import Columns
from meshd.topology.policy import LinkPolicy
from meshd.topology.scene import Stage, stage_of
from meshd.topology.trajectory import Trajectory, make_trajectory
from protocols.types import Duration, Instant


@dataclass(frozen=True, slots=True)
class Making:
    """What a plan is made of, kept beside it so that the next one need not begin afresh."""

    sky: Sky
    policy: LinkPolicy
    window: tuple[Instant, Instant]
    trajectory: Trajectory
    choices: Choices
    stage: Stage
    passing: Passing
    chosen: Intervals
    """Pairs that the policy chooses, as a * n + b, and when; empty where pairs are fixed."""

    def pairs(self) -> Pairs:
        """The pairs of satellites that may have a laser at some time."""
        if self.policy.isl == "plus-grid":
            return grid_pairs(self.sky.shells)
        if self.policy.isl == "listed" and self.sky.wiring is not None:
            return listed_pairs(self.sky.wiring.pairs)
        pair, n = self.chosen.pair, self.sky.n_satellites
        keys = pair[np.diff(pair, prepend=-1) != 0]
        return Pairs(keys // n, keys % n, np.ones(keys.size, dtype=bool))

    def lasers(self, pairs: Pairs) -> Columns:
        """Every contact of these pairs, in order."""
        policy, n = self.policy, self.sky.n_satellites
        seen = self._seen(lasers(pairs))
        if policy.isl in CHOSEN:
            keys = pairs.a * n + pairs.b
            mine = among(self.chosen.pair, keys)
            runs = Intervals(*(column[mine] for column in self.chosen))
            seen = meet(seen, Intervals(np.searchsorted(keys, runs.pair), runs.begin, runs.finish))
        usable = within(acquired(seen, policy.acquisition_ns), self.window)
        rate = np.full(usable.pair.size, policy.isl_rate_bps)
        a, b = pairs.a[usable.pair], pairs.b[usable.pair]
        return Columns(a, b, usable.begin, usable.finish, rate)

    def passes(self, couples: Couples) -> Columns:
        """Every contact of these satellites with the one station of the couples."""
        seen = self._seen(couples)
        held = held_passes(self.stage, self.policy, couples, seen)
        usable = within(held, self.window)
        rate = np.full(usable.pair.size, self.policy.ground_rate_bps)
        a, b = couples.a[usable.pair], couples.b[usable.pair]
        return Columns(a, b, usable.begin, usable.finish, rate)

    def _seen(self, couples: Couples) -> Intervals:
        seen = self.stage.visible(couples)
        epochs = self.sky.satellites.epochs() if self.policy.age_margin else None
        if epochs is None:
            return seen
        return aged(seen, couples, epochs, (self.trajectory.start, self.trajectory.end))


CHOSEN = ("fitted", "nearest")
"""Policies that choose pairs for a while; the others have fixed ones."""


def begin(
    sky: Sky, policy: LinkPolicy, window: tuple[Instant, Instant], known: Making | None
) -> Making:
    """All that contacts of a window follow from; states and blocks of a `known` one are reused."""
    _, before, after = _reach(policy)
    span = (window[0] - before, window[1] + after)
    trajectory = make_trajectory(sky, *span, known=known.trajectory if known else None)
    choices = known.choices if known else Choices(sky, policy)
    return make(sky, policy, window, (trajectory, choices), None)


def make(
    sky: Sky,
    policy: LinkPolicy,
    window: tuple[Instant, Instant],
    found: tuple[Trajectory, Choices],
    moved: tuple[Making, int] | None,
) -> Making:
    """The pairs chosen over a window, by states and blocks that are `found`.

    `moved` is how it was before one satellite's elements changed, and that satellite.
    """
    trajectory, choices = found
    stage = stage_of(sky, policy, trajectory)
    before, satellite = moved if moved else (None, -1)
    passing = Passing(policy, stage, before.passing if before else None, satellite)
    start = window[0] - _reach(policy)[0]
    chosen = (
        _chosen(policy, choices, passing, (start, window[1])) if policy.isl in CHOSEN else NEVER
    )
    return Making(sky, policy, window, trajectory, choices, stage, passing, chosen)


def _chosen(
    policy: LinkPolicy, choices: Choices, passing: Passing, span: tuple[Instant, Instant]
) -> Intervals:
    """The pairs that the policy chooses at some time of a span, by (pair, begin)."""
    lasting = choices.runs(*span) if policy.isl == "fitted" else NEVER
    brief = passing.runs(*span, lasting)
    pair, begins, ends = (np.concatenate(both) for both in zip(lasting, brief, strict=True))
    order = np.lexsort((begins, pair))
    # A pair may be passing up to where it is lasting: one contact, not two.
    return joined(Intervals(pair[order], begins[order], ends[order]))


def _reach(policy: LinkPolicy) -> tuple[Duration, Duration, Duration]:
    """How long before a window links may have begun that are not usable yet; how far to look
    before and after the window."""
    doubt = AGE_MARGIN_MAX_NS if policy.age_margin else 0
    lead = policy.acquisition_ns + doubt
    before, after = max(lead, lead_ns(policy)), max(doubt, lead_ns(policy))
    if policy.isl in CHOSEN:
        before, after = max(before, lead + STAY_NS), max(after, STAY_NS)
    return lead, before, after
