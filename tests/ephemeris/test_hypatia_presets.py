"""Hypatia's constellations: its text to the letter, its rules, and what they get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meshd.ephemeris import find_city, sky_from_preset
from meshd.ephemeris.hypatia_presets import (
    HYPATIA_EPOCH,
    HYPATIA_PRESETS,
    HYPATIA_SHELLS,
    hypatia_stations,
    shell_tle,
)
from meshd.ephemeris.places import first_instant, place_in
from meshd.ephemeris.sky import Sky
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.errors import NotFound
from protocols.types import MILLISECOND, SECOND, SPEED_OF_LIGHT_KM_S

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")


def plan_of(sky: Sky, length_ns: int = SECOND) -> ContactPlan:
    return build_plan(sky, policy_for(sky), HYPATIA_EPOCH, HYPATIA_EPOCH + length_ns)


def test_elements_are_satgenpys_text() -> None:
    # The three lines that Hypatia's documents show, and the last digit of each is the checksum.
    lines = shell_tle(HYPATIA_SHELLS["kuiper_630"]).splitlines()
    assert lines[3 * 183 : 3 * 184] == [
        "Kuiper-630 183",
        "1 00184U 00000ABC 00001.00000000  .00000000  00000-0  00000+0 0    06",
        "2 00184  51.9000  52.9412 0000001   0.0000 142.9412 14.80000000    00",
    ]


@needs_shared
def test_the_cities_are_hypatias() -> None:
    lines = (SHARED / "reference/cities100.csv").read_text().splitlines()
    told = [f"{g},{s.name},{s.latitude_deg!r},{s.longitude_deg!r},0" for g, s in
            enumerate(hypatia_stations())]  # fmt: skip
    assert told == lines


@pytest.mark.parametrize(
    ("name", "ground_km", "isl_km"),
    [
        ("kuiper_630", 1_260.000, 5_442.958),
        ("starlink_550", 1_089.686, 5_016.591),
        ("telesat_1015", 5_845.152, 7_197.482),
    ],
)
def test_ranges_are_those_of_its_scripts(name: str, ground_km: float, isl_km: float) -> None:
    shell = HYPATIA_SHELLS[name]
    assert shell.ground_range_max_km == pytest.approx(ground_km, abs=5e-4)
    assert shell.isl_range_max_km == pytest.approx(isl_km, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "low_km", "high_km"),
    [
        ("kuiper_630", 151.7, 1_764.9),
        ("starlink_550", 619.5, 1_961.4),
        ("telesat_1015", 267.8, 3_541.2),
    ],
)
def test_lasers_reach_as_far_as_in_hypatia(name: str, low_km: float, high_km: float) -> None:
    sky = sky_from_preset(f"hypatia:{name}")
    plan = plan_of(sky, 200 * SECOND)
    laser = plan.b < sky.n_satellites
    assert plan.trajectory is not None
    ranges = [
        np.linalg.norm(at[plan.a[laser]] - at[plan.b[laser]], axis=1)
        for at in map(plan.trajectory.positions_km, range(plan.start, plan.end, 2 * SECOND))
    ]
    # No laser is ever out: every pair is one contact over the whole window.
    shell = HYPATIA_SHELLS[name]
    assert int(laser.sum()) == 2 * shell.total
    assert min(map(np.min, ranges)) == pytest.approx(low_km, abs=0.1)
    assert max(map(np.max, ranges)) == pytest.approx(high_km, abs=0.1)


def elevations_deg(sky: Sky, plan: ContactPlan) -> np.ndarray:
    """Of every ground link at the epoch, above the true horizon."""
    rows = plan.open_rows(plan.start)
    rows = rows[plan.b[rows] >= sky.n_satellites]
    positions, _ = sky.states(plan.start)
    up = sky.zeniths(np.array([plan.start]))[0][plan.b[rows] - sky.n_satellites]
    away = positions[plan.a[rows]] - positions[plan.b[rows]]
    sine = np.sum(away * up, axis=1) / np.linalg.norm(away, axis=1)
    return np.degrees(np.arcsin(sine))


def test_telesats_stations_see_through_the_earth_only_under_hypatias_rule() -> None:
    sky = sky_from_preset("hypatia:telesat_1015")
    seen = elevations_deg(sky, plan_of(sky))
    assert seen.size == 5_605
    # 65.4% and 82.3% against a sphere's horizon; the ellipsoid's makes a last digit's difference.
    assert np.mean(seen < 0) == pytest.approx(0.654, abs=1e-3)
    assert np.mean(seen < 10) == pytest.approx(0.823, abs=1e-3)
    assert seen.min() == pytest.approx(-15.8, abs=0.1)
    honest = sky_from_preset("honest:telesat_1015")
    plan = plan_of(honest)
    assert elevations_deg(honest, plan).min() >= 10
    ground = plan.open_rows(plan.start)
    ground = ground[plan.b[ground] >= honest.n_satellites]
    longest_ns = max(
        plan.light_time_ns(int(plan.a[row]), int(plan.b[row]), plan.start) for row in ground
    )
    # The slant range at 10 degrees from 1,015 km is 2,791.7 km over the equator; satellites
    # stand up to 25 km higher over an ellipsoid's poles.
    assert longest_ns / SECOND * SPEED_OF_LIGHT_KM_S < 2_791.7 + 45


@pytest.mark.parametrize(("name", "lowest"), [("kuiper_630", 25.24), ("starlink_550", 23.65)])
def test_the_other_two_are_off_by_some_degrees(name: str, lowest: float) -> None:
    sky = sky_from_preset(f"hypatia:{name}")
    seen = elevations_deg(sky, plan_of(sky))
    assert seen.min() == pytest.approx(lowest, abs=0.5)
    assert (seen < HYPATIA_SHELLS[name].min_elevation_deg).any()


def test_ground_links_open_and_close_at_the_range() -> None:
    sky = sky_from_preset("hypatia:kuiper_630")
    plan = plan_of(sky, 200 * SECOND)
    edges = [
        (int(plan.a[row]), int(plan.b[row]), int(at))
        for row in np.flatnonzero(plan.b >= sky.n_satellites).tolist()
        for at in (plan.begin[row], plan.finish[row])
        if plan.start < at < plan.end
    ]
    assert len(edges) > 500
    for a, b, at in edges[::7]:
        inside, outside = sorted(
            plan.light_time_ns(a, b, at + shift) for shift in (-MILLISECOND, MILLISECOND)
        )
        limit = 1_260.0 / SPEED_OF_LIGHT_KM_S * SECOND
        assert inside <= limit + 30 and outside >= limit - 30  # 7.6 km/s x 1 ms is 25 ns


def test_places_go_by_hypatias_numbers_and_by_either_name() -> None:
    sky = sky_from_preset("hypatia:kuiper_630")
    assert [place_in(sky, name) for name in ("Manila", "1241", "dalian", "Kuiper-630 7")] == [
        1_173, 1_241, 1_241, 7,
    ]  # fmt: skip
    assert sky.names[1_229] == "Sankt-Peterburg-(Saint-Petersburg)"
    assert place_in(sky, "St Petersburg") == 1_229
    assert place_in(sky, "New York") == 1_156 + 9
    assert place_in(sky, "Reykjavik") == find_city("Reykjavik")
    with pytest.raises(NotFound):
        place_in(sky, "1256")
    # Only there: elsewhere a number is no name.
    with pytest.raises(NotFound):
        place_in(sky_from_preset("iridium"), "12")


def test_a_station_of_the_same_name_is_hypatias_own() -> None:
    sky = sky_from_preset("hypatia:telesat_1015", [find_city("Tokyo"), find_city("Oslo")])
    assert sky.names[sky.n_satellites :].count("Tokyo") == 1
    assert sky.names[-1] == "Oslo"
    assert sky.n_sites == 351 + 101


def test_questions_without_a_time_are_of_the_epoch() -> None:
    assert first_instant(sky_from_preset("hypatia:telesat_1015"), 5) == HYPATIA_EPOCH
    assert first_instant(sky_from_preset("iridium"), 5) == 5


def test_every_preset_has_its_own_digest_and_unknown_ones_are_corrected() -> None:
    skies = [sky_from_preset(name) for name in HYPATIA_PRESETS]
    assert len({sky.digest for sky in skies}) == len(skies) == 6
    with pytest.raises(NotFound, match="hypatia:kuiper_630"):
        sky_from_preset("hypatia:kuiper_63")
