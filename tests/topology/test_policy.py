"""Link policies: what suits a sky, and what people say otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from meshd.config import Config
from meshd.daemon.plans import world_of
from meshd.ephemeris import sky_from_preset
from meshd.topology import policy_for, policy_with
from protocols.errors import InputError


def test_rules_that_say_nothing_leave_what_suits_the_sky() -> None:
    sky = sky_from_preset("iridium")
    assert policy_with(sky, {"isl": None, "terminals": None}) == policy_for(sky)
    assert policy_with(sky, {"min_elevation_deg": 0.0}).min_elevation_deg == 0.0


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"isl": "best"}, "plus-grid, fitted, nearest"),
        ({"ground": "some"}, "all, highest, longest"),
        ({"lasers": 3}, "no 'lasers'"),
        ({"terminals": 0}, "1 to 8 terminals"),
        ({"antennas": 65}, "64 antennas"),
        ({"acquisition_ns": -1}, "acquisition"),
        ({"tick_ns": 7}, "multiple of 30 s"),
        ({"slew_max_deg_s": float("nan")}, "not finite"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        policy_with(sky_from_preset("iridium"), rules)


def test_a_daemon_has_the_policy_that_its_configuration_names() -> None:
    config = Config(
        constellation="iridium", isl="nearest", terminals=3, ground="highest", antennas=2,
        min_elevation_deg=0.0,
    )  # fmt: skip
    world = world_of(config)
    assert world is not None
    policy = world.policy
    assert (policy.isl, policy.terminals, policy.ground, policy.antennas) == (
        "nearest", 3, "highest", 2,
    )  # fmt: skip
    assert policy.min_elevation_deg == 0.0
    plain = world_of(Config(constellation="iridium"))
    assert plain is not None and plain.policy == policy_for(plain.sky)
