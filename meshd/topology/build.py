"""From a sky and a policy to a contact plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshd.ephemeris.propagate import Failure
from meshd.ephemeris.sky import Sky
from meshd.kernels.edges import Couples
from meshd.kernels.visibility import Limits, Scene
from meshd.topology.ages import AGE_MARGIN_MAX_NS, aged
from meshd.topology.candidates import Pairs, grid_pairs, listed_pairs
from meshd.topology.contacts import (
    NEVER,
    Intervals,
    acquired,
    joined,
    lasers,
    meet,
    passes,
    visible,
    within,
)
from meshd.topology.fitted import Choices
from meshd.topology.ground import held_passes, lead_ns
from meshd.topology.nearest import STAY_NS, Passing
from meshd.topology.plan import CONTACTS_MAX, Columns, ContactPlan, Header, assemble, plan_digest
from meshd.topology.policy import LinkPolicy, check_policy
from meshd.topology.scene import limits_of, scene_of
from meshd.topology.trajectory import Trajectory, make_trajectory
from protocols.errors import InputError
from protocols.types import Duration, Instant


def build_plan(
    sky: Sky, policy: LinkPolicy, start: Instant, end: Instant, known: ContactPlan | None = None
) -> ContactPlan:
    """Every contact of a sky under a policy in the window [start, end).

    Edges are whole milliseconds, inside the true ones by less than 1 ms. The same sky, policy and
    window give the same plan on every node; `digest` is sha256 (hex) over them. What a `known`
    plan of the same sky and policy has worked out is not worked out again. Raises InputError
    "bad-window" or "bad-policy" (`plus-grid` over a catalogue, which has no slots; `listed` over
    a sky without links of its own).
    """
    check_policy(policy)
    if not start < end:
        raise InputError("bad-window", f"a plan must end after it starts: [{start}, {end})")
    if policy.isl == "plus-grid" and not sky.shells:
        raise InputError("bad-policy", "plus-grid needs planes and slots; a catalogue has none")
    if policy.isl == "listed" and sky.wiring is None:
        raise InputError(
            "bad-policy", "listed needs a sky that comes with its links; this has none"
        )
    builder = _builder(sky, policy, start, end, known)
    parts = [builder.lasers(), *map(builder.station, range(len(sky.stations)))]
    columns = Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if columns.a.size > CONTACTS_MAX:
        raise InputError("plan-too-large", f"more than {CONTACTS_MAX} contacts: shorten the window")
    digest = plan_digest(sky.digest, policy.code, start, end)
    header = Header(sky.digest, policy.code, digest, sky.names, sky.kinds, start, end)
    trajectory = builder.trajectory
    failed = _failed(sky, trajectory)
    plan = assemble(header, columns, trajectory, trajectory.light_time_ns, failed)
    plan.derived["choices"] = builder.choices
    return plan


@dataclass(frozen=True, slots=True)
class _Builder:
    """One plan in the making."""

    sky: Sky
    policy: LinkPolicy
    window: tuple[Instant, Instant]
    trajectory: Trajectory
    choices: Choices
    scene: Scene
    limits: Limits
    lead_ns: Duration
    """Links may have begun so long before the window and still not be usable in it."""

    def lasers(self) -> Columns:
        """Every contact of two satellites."""
        policy = self.policy
        wiring = self.sky.wiring
        if policy.isl == "plus-grid":
            pairs = grid_pairs(self.sky.shells)
            seen = self._seen(lasers(pairs))
        elif policy.isl == "listed" and wiring is not None:
            pairs = listed_pairs(wiring.pairs)
            seen = self._seen(lasers(pairs))
        else:
            pairs, runs = self._runs()
            seen = meet(self._seen(lasers(pairs)), runs)
        usable = within(acquired(seen, policy.acquisition_ns), self.window)
        rate = np.full(usable.pair.size, policy.isl_rate_bps)
        a, b = pairs.a[usable.pair], pairs.b[usable.pair]
        return Columns(a, b, usable.begin, usable.finish, rate)

    def station(self, station: int) -> Columns:
        """Every contact of one station."""
        couples = passes(self.sky.n_satellites, self.sky.n_satellites + station)
        seen = self._seen(couples)
        held = held_passes(self.scene, self.limits, self.policy, couples, seen)
        usable = within(held, self.window)
        rate = np.full(usable.pair.size, self.policy.ground_rate_bps)
        a, b = couples.a[usable.pair], couples.b[usable.pair]
        return Columns(a, b, usable.begin, usable.finish, rate)

    def _seen(self, couples: Couples) -> Intervals:
        seen = visible(self.scene, self.limits, couples)
        epochs = self.sky.satellites.epochs() if self.policy.age_margin else None
        if epochs is None:
            return seen
        return aged(seen, couples, epochs, (self.trajectory.start, self.trajectory.end))

    def _runs(self) -> tuple[Pairs, Intervals]:
        """The pairs that the policy chooses at some tick, and for which runs of ticks."""
        n = self.sky.n_satellites
        start, end = self.window[0] - self.lead_ns, self.window[1]
        lasting = NEVER
        if self.policy.isl == "fitted":
            lasting = self.choices.runs(start, end)
        passing = Passing(self.sky, self.policy, self.scene, self.limits)
        runs = passing.runs(start, end, lasting)
        keys, begin, finish = (np.concatenate(both) for both in zip(lasting, runs, strict=True))
        distinct, pair = np.unique(keys, return_inverse=True)
        order = np.lexsort((begin, pair))
        # A pair may be passing up to where it is lasting: one contact, not two.
        chosen = joined(Intervals(pair[order], begin[order], finish[order]))
        cross = np.ones(distinct.size, dtype=bool)
        return Pairs(distinct // n, distinct % n, cross), chosen


def _builder(
    sky: Sky, policy: LinkPolicy, start: Instant, end: Instant, known: ContactPlan | None
) -> _Builder:
    lead = policy.acquisition_ns + (AGE_MARGIN_MAX_NS if policy.age_margin else 0)
    before = max(lead, lead_ns(policy))
    after = max(lead_ns(policy), AGE_MARGIN_MAX_NS if policy.age_margin else 0)
    if policy.isl in ("fitted", "nearest"):
        before, after = max(before, lead + STAY_NS), max(after, STAY_NS)
    same = known is not None and (known.sky_digest, known.policy_code) == (sky.digest, policy.code)
    held = known.trajectory if same and known is not None else None
    trajectory = make_trajectory(sky, start - before, end + after, known=held)
    choices = known.derived.get("choices") if same and known is not None else None
    return _Builder(
        sky=sky,
        policy=policy,
        window=(start, end),
        trajectory=trajectory,
        choices=choices or Choices(sky, policy),
        scene=scene_of(sky, policy, trajectory),
        limits=limits_of(policy),
        lead_ns=lead,
    )


def _failed(sky: Sky, trajectory: Trajectory) -> tuple[Failure, ...]:
    lost = ~np.isfinite(trajectory.positions).all(axis=2)
    if not lost.any():
        return ()
    # For each satellite its first knot without a state.
    rows = np.unique(lost.argmax(axis=0)[lost.any(axis=0)])
    return sky.failures(trajectory.knots()[rows])
