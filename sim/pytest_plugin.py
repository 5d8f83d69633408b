"""A pytest plugin: `sim_clock` runs a trio test in simulated time.

Name it in your conftest.py, beside pytest-trio: `pytest_plugins = ["sim.pytest_plugin"]`. Then

    async def test_an_hour_takes_no_time(sim_clock):
        await trio.sleep(3600)
        assert sim_clock.now_ns == 3600 * 10**9

pytest-trio gives `trio.run` whatever fixture of a test is a clock.
"""

from __future__ import annotations

import pytest

from sim.simclock import SimClock


@pytest.fixture
def sim_clock() -> SimClock:
    """Simulated time from 0, that stands while threads are out; `sim_clock.at` makes calls."""
    return SimClock(seed=0)
