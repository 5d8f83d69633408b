"""Trajectories of which a few sites move otherwise: shared, not copied, and the same to the bit."""

from __future__ import annotations

import numpy as np

from meshd.topology.trajectory import MOVED_MAX, Trajectory, trajectory_of
from protocols.types import SECOND

SITES, KNOTS = 2 * MOVED_MAX, 5


def states(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=shape)


def test_many_sites_may_move_one_after_another() -> None:
    truth = states(0, KNOTS, SITES, 3)
    start: Trajectory = trajectory_of(0, SECOND, (truth[0].copy(), truth[1].copy()))
    moving = start
    for site in range(0, SITES, 1):
        own = states(site + 1, KNOTS, 3)
        moving = moving.with_site(site, *own)
        truth[0][:, site], truth[1][:, site] = own
        assert len(moving.moved) <= MOVED_MAX
        for k in (0, KNOTS - 1):
            assert (moving.states_at_knot(k)[0] == truth[0][k]).all()
        assert moving.position_km(site, 0) == tuple(own[0][0])
        some = np.array([0, site, SITES - 1])
        assert (moving.states_of(some)[1] == truth[1][:, some]).all()
    assert (moving.positions == truth[0]).all() and (moving.velocities == truth[1]).all()
    assert not (start.positions == truth[0]).any()
    assert (moving.positions_km(SECOND) == truth[0][1]).all()
