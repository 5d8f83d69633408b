"""From a sky and a policy to a contact plan."""

from __future__ import annotations

import hashlib

import numpy as np

from meshd.ephemeris.propagate import Failure
from meshd.ephemeris.sky import Sky
from meshd.topology.candidates import grid_pairs
from meshd.topology.contacts import Intervals, ground_intervals, laser_intervals
from meshd.topology.nearest import nearest_intervals
from meshd.topology.plan import Columns, ContactPlan, Header, assemble
from meshd.topology.policy import LinkPolicy, check_policy
from meshd.topology.trajectory import FloatArray, IntArray, Trajectory, make_trajectory
from protocols.errors import InputError
from protocols.types import Instant

CONTACTS_MAX = 5_000_000


def build_plan(sky: Sky, policy: LinkPolicy, start: Instant, end: Instant) -> ContactPlan:
    """Every contact of a sky under a policy in the window [start, end).

    Edges are whole milliseconds, inside the true ones by less than 1 ms. The same arguments give
    the same plan on every node; `digest` is sha256 (hex) over them. Raises InputError
    "bad-window" or "bad-policy" (`plus-grid` over a catalogue, which has no slots).
    """
    check_policy(policy)
    if not start < end:
        raise InputError("bad-window", f"a plan must end after it starts: [{start}, {end})")
    if policy.isl == "plus-grid" and not sky.shells:
        raise InputError("bad-policy", "plus-grid needs planes and slots; a catalogue has none")
    trajectory = make_trajectory(sky, start, end)
    parts = [_lasers(sky, policy, trajectory, start, end)]
    for station in range(len(sky.stations)):
        seen = ground_intervals(trajectory, policy, sky, station)
        site = np.full(seen.pair.size, sky.n_satellites + station, dtype=np.int64)
        parts.append(_clip(seen, seen.pair, site, policy.ground_rate_bps, (start, end)))
    columns = Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if columns.a.size > CONTACTS_MAX:
        raise InputError("plan-too-large", f"more than {CONTACTS_MAX} contacts: shorten the window")
    text = f"{sky.digest}|{policy.code}|{start}|{end}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    header = Header(sky.digest, policy.code, digest, sky.names, sky.kinds, start, end)
    return assemble(header, columns, trajectory, trajectory.light_time_ns, _failed(sky, trajectory))


def _lasers(
    sky: Sky, policy: LinkPolicy, trajectory: Trajectory, start: Instant, end: Instant
) -> Columns:
    if policy.isl == "nearest":
        pairs, seen = nearest_intervals(sky, policy, trajectory, start, end)
    else:
        pairs = grid_pairs(sky.shells)
        seen = laser_intervals(trajectory, policy, pairs)
    return _clip(seen, pairs.a[seen.pair], pairs.b[seen.pair], policy.isl_rate_bps, (start, end))


def _clip(
    seen: Intervals, a: IntArray, b: IntArray, rate_bps: float, window: tuple[Instant, Instant]
) -> Columns:
    begin, finish = np.maximum(seen.begin, window[0]), np.minimum(seen.finish, window[1])
    keep = begin < finish
    rate: FloatArray = np.full(int(keep.sum()), rate_bps)
    return Columns(a[keep], b[keep], begin[keep], finish[keep], rate)


def _failed(sky: Sky, trajectory: Trajectory) -> tuple[Failure, ...]:
    if np.isfinite(trajectory.positions).all():
        return ()
    count = trajectory.positions.shape[0]
    knots = trajectory.first + np.arange(count, dtype=np.int64) * trajectory.step_ns
    return sky.failures(knots)
