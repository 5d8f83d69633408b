"""From a sky and a policy to a contact plan, anew or by mending the one there is."""

from __future__ import annotations

import numpy as np

from meshd.ephemeris.elements import Elements
from meshd.ephemeris.propagate import Failure, Sgp4
from meshd.ephemeris.sky import Sky
from meshd.kernels.edges import Couples
from meshd.kernels.runs import Runs, unlike
from meshd.topology.candidates import Pairs
from meshd.topology.contacts import Intervals, among, passes
from meshd.topology.making import Making, begin, make
from meshd.topology.plan import CONTACTS_MAX, Columns, ContactPlan, Header, assemble, plan_digest
from meshd.topology.policy import LinkPolicy, check_policy
from meshd.topology.trajectory import IntArray, Trajectory
from protocols.errors import InputError
from protocols.types import Instant


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
    same = known is not None and (known.sky_digest, known.policy_code) == (sky.digest, policy.code)
    last = known.derived.get("making") if same and known is not None else None
    making = begin(sky, policy, (start, end), last)
    parts = [making.lasers(making.pairs()), *_stations(making)]
    return _plan(making, parts, _failed(sky, making.trajectory), None)


def mend_plan(plan: ContactPlan, satellite: int, elements: Elements) -> ContactPlan:
    """The plan after one satellite's elements have changed: what `build_plan` of the new sky gives.

    Only contacts of this satellite, and of pairs that are chosen otherwise for its sake, are worked
    out. Raises InputError "bad-plan" for a plan that was not predicted here from elements.
    """
    last: Making | None = plan.derived.get("making")
    if last is None or not isinstance(last.sky.satellites, Sgp4):
        raise InputError("bad-plan", "only a plan predicted from elements can be mended")
    sky = last.sky.with_elements(satellite, elements)
    satellites = sky.satellites
    assert isinstance(satellites, Sgp4)
    states = satellites.orbit(satellite, last.trajectory.knots())
    trajectory = last.trajectory.with_site(satellite, *states)
    choices = last.choices.changed(sky, satellite)
    making = make(sky, last.policy, last.window, (trajectory, choices), (last, satellite))
    pairs, n = making.pairs(), sky.n_satellites
    keys = pairs.a * n + pairs.b
    fresh = (pairs.a == satellite) | (pairs.b == satellite)
    gone = _changed(last.chosen, making.chosen)
    fresh |= among(keys, gone)
    laser = plan.b < n
    touched = (plan.a == satellite) | (plan.b == satellite)
    touched |= among(plan.a.astype(np.int64) * n + plan.b, gone) & laser
    found = [making.lasers(Pairs(pairs.a[fresh], pairs.b[fresh], pairs.cross[fresh]))]
    if last.policy.ground == "all":
        found += [making.passes(_only(satellite, n + s)) for s in range(len(sky.stations))]
    else:
        touched |= ~laser
        found += _stations(making)
    kept = Columns(*(column[~touched] for column in _columns(plan)))
    others = tuple(failure for failure in plan.sites_failed if failure.site != satellite)
    own = _failed(sky, trajectory, satellite)
    failed = tuple(sorted((*others, *own), key=lambda failure: failure.site))
    return _plan(making, [kept, *found], failed, plan)


def _plan(
    making: Making, parts: list[Columns], failed: tuple[Failure, ...], like: ContactPlan | None
) -> ContactPlan:
    """The plan of some columns, with its making beside it."""
    sky, policy, window = making.sky, making.policy, making.window
    columns = Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if columns.a.size > CONTACTS_MAX:
        raise InputError("plan-too-large", f"more than {CONTACTS_MAX} contacts: shorten the window")
    digest = plan_digest(sky.digest, policy.code, *window)
    header = Header(sky.digest, policy.code, digest, sky.names, sky.kinds, *window)
    trajectory = making.trajectory
    plan = assemble(header, columns, trajectory, trajectory.light_time_ns, failed, like)
    plan.derived["making"] = making
    return plan


def _stations(making: Making) -> list[Columns]:
    n = making.sky.n_satellites
    return [making.passes(passes(n, n + station)) for station in range(len(making.sky.stations))]


def _only(satellite: int, station: int) -> Couples:
    every = passes(satellite + 1, station)
    return Couples(every.a[-1:], every.b[-1:], every.kind[-1:])


def _columns(plan: ContactPlan) -> Columns:
    a, b = plan.a.astype(np.int64), plan.b.astype(np.int64)
    return Columns(a, b, plan.begin, plan.finish, plan.rate_bps)


def _changed(before: Intervals, after: Intervals) -> IntArray:
    """The pairs whose runs are not the same in both, in order."""
    pairs = unlike(Runs(*before), Runs(*after))
    return np.asarray(pairs[np.diff(pairs, prepend=-1) != 0])


def _failed(sky: Sky, trajectory: Trajectory, site: int | None = None) -> tuple[Failure, ...]:
    """The satellites without a state at some knot; of one site alone, if it is given."""
    if site is None:
        positions = trajectory.positions
    else:
        positions, _ = trajectory.states_of(np.array([site]))
    lost = ~np.isfinite(positions).all(axis=2)
    if not lost.any():
        return ()
    # For each satellite its first knot without a state.
    rows = np.unique(lost.argmax(axis=0)[lost.any(axis=0)])
    found = sky.failures(trajectory.knots()[rows])
    return found if site is None else tuple(f for f in found if f.site == site)
