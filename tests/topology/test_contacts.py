"""Contacts against the geometry they claim: true propagator, bisection, published lengths."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from meshd.ephemeris import (
    PRESETS,
    GroundStation,
    Sky,
    find_city,
    parse_catalog,
    parse_time,
    parse_tle,
    sky_from_catalog,
    sky_from_preset,
)
from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.kernels.visibility import CROSS, GROUND, Scene, margin_at
from meshd.topology import LinkPolicy, build_plan, make_trajectory, policy_for
from meshd.topology.candidates import grid_pairs, slot_shift
from meshd.topology.scene import limits_of
from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, MINUTE, SECOND, light_time

T0 = parse_time("2026-06-28T12:00:00Z")
CITIES = [
    find_city(name)
    for name in ("London", "New York", "Sydney", "Tokyo", "Sao Paulo", "Johannesburg")
]
SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")


@pytest.fixture(scope="module")
def iridium() -> Sky:
    return sky_from_preset("iridium", CITIES)


def truth(sky: Sky, policy: LinkPolicy, a: int, b: int, at: int) -> float:
    """The margin of a pair from the propagator itself, in plain Python, away from our kernels."""
    position, _ = sky.states(at)
    p, q = position[a].tolist(), position[b].tolist()
    if sky.kinds[b] == "ground":
        up = sky.zeniths(np.array([at]))[0, b - sky.n_satellites].tolist()
        away = [x - y for x, y in zip(p, q, strict=True)]
        sine = sum(x * y for x, y in zip(away, up, strict=True)) / math.hypot(*away)
        return sine - math.sin(math.radians(policy.min_elevation_deg))
    low = min(
        math.hypot(*(x + f / 2000 * (y - x) for x, y in zip(p, q, strict=True)))
        for f in range(2001)
    )
    margin = low - EARTH_RADIUS_KM - policy.grazing_altitude_km
    shell = sky.shells[0]
    if a // shell.slots != b // shell.slots and policy.cross_plane_latitude_max_deg is not None:
        sine = max(abs(p[2]) / math.hypot(*p), abs(q[2]) / math.hypot(*q))
        margin = min(margin, math.sin(math.radians(policy.cross_plane_latitude_max_deg)) - sine)
    return margin


def margin_of(policy: LinkPolicy, p: np.ndarray, q: np.ndarray, up: np.ndarray | None) -> float:
    """The kernel's margin of a laser between two positions, or of a station at q under p."""
    zeniths = np.zeros((1, 0, 3)) if up is None else up.reshape(1, 1, 3)
    states = np.stack([p, q]).reshape(1, 2, 3)
    scene = Scene(0, SECOND, states, np.zeros_like(states), zeniths, np.zeros((1, 1, 3)))
    kind = CROSS if up is None else GROUND
    return float(margin_at(scene, limits_of(policy), (0, 1), kind, (0, 0.0)))


@pytest.mark.parametrize(
    ("h_km", "length_km"),
    [(340, 3701.8), (500, 4733.4), (550, 5016.6), (630, 5443.0), (1000, 7135.6), (2000, 10674.4)],
)
def test_longest_laser_grazes_at_80_km(h_km: float, length_km: float) -> None:
    radius = EARTH_RADIUS_KM + h_km

    def margin(length: float) -> float:
        across = math.sqrt(radius**2 - length**2 / 4)
        ends = np.array([[across, length / 2, 0.0], [across, -length / 2, 0.0]])
        return margin_of(LinkPolicy(), ends[0], ends[1], None)

    assert margin(length_km - 0.1) > 0 > margin(length_km + 0.1)


@pytest.mark.parametrize(("h_km", "slant_km"), [(550, 1123.4), (630, 1266.7), (1200, 2204.8)])
def test_slant_range_at_25_degrees(h_km: float, slant_km: float) -> None:
    ground, up = np.array([EARTH_RADIUS_KM, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])
    lift = math.radians(25)
    satellite = ground + slant_km * np.array([math.sin(lift), math.cos(lift), 0.0])
    assert np.linalg.norm(satellite) == pytest.approx(EARTH_RADIUS_KM + h_km, abs=0.1)
    assert abs(margin_of(LinkPolicy(), satellite, ground, up)) < 1e-12


def test_a_beam_that_points_away_from_the_earth_is_clear() -> None:
    a, b = np.array([7000.0, 0, 0]), np.array([9000.0, 0, 0])
    assert margin_of(LinkPolicy(), a, b, None) > 500


def test_a_site_without_a_position_sees_nobody() -> None:
    nan, b = np.full(3, np.nan), np.array([9000.0, 0, 0])
    assert margin_of(LinkPolicy(), nan, b, None) < 0
    assert margin_of(LinkPolicy(), nan, b, b / 9000.0) < 0


@pytest.mark.parametrize("preset", ["iridium", "starlink-1", "telesat-2"])
def test_the_trajectory_is_within_3_cm_of_the_propagator(preset: str) -> None:
    sky = sky_from_preset(preset, CITIES)
    trajectory = make_trajectory(sky, T0, T0 + 10 * MINUTE)
    rng = random.Random(1)
    for _ in range(10):
        at = T0 + rng.randrange(10 * MINUTE)
        expected, _ = sky.states(at)
        assert np.abs(trajectory.positions_km(at) - expected).max() < 3e-5
        for site in rng.sample(range(sky.n_sites), 5):
            assert trajectory.position_km(site, at) == pytest.approx(expected[site], abs=3e-5)
            row = trajectory.site_positions_km(np.array([site]), np.array([at]))[0]
            assert trajectory.position_km(site, at) == pytest.approx(row, abs=1e-9)


def test_the_trajectory_holds_to_its_ends_and_no_further() -> None:
    sky = sky_from_preset("iridium", CITIES)
    trajectory = make_trajectory(sky, T0 + 7, T0 + MINUTE)
    for at in (trajectory.start, trajectory.end):
        expected, _ = sky.states(at)
        assert trajectory.position_km(3, at) == pytest.approx(expected[3], abs=1e-8)
        assert trajectory.positions_km(at) == pytest.approx(expected, abs=1e-8)
    assert trajectory.start <= T0 + 7 - 30 * SECOND < T0 + 90 * SECOND <= trajectory.end
    for at in (trajectory.start - 1, trajectory.end + 30 * SECOND):
        with pytest.raises(ValueError, match="outside"):
            trajectory.position_km(3, at)
        with pytest.raises(ValueError, match="outside"):
            trajectory.positions_km(at)


def test_light_time_is_range_at_departure_over_c(iridium: Sky) -> None:
    plan = build_plan(iridium, policy_for(iridium), T0, T0 + MINUTE)
    position, _ = iridium.states(T0 + 7 * SECOND)
    for a, b in ((0, 1), (3, 66), (70, 12)):
        expected = light_time(float(np.linalg.norm(position[a] - position[b])))
        assert abs(plan.light_time_ns(a, b, T0 + 7 * SECOND) - expected) <= 1
        assert plan.light_time_ns(a, b, T0) == plan.light_time_ns(b, a, T0)


def test_edges_are_inside_the_true_ones_by_less_than_1_ms(iridium: Sky) -> None:
    policy = policy_for(iridium)
    plan = build_plan(iridium, policy, T0, T0 + HOUR)
    rng = random.Random(2)
    rows = rng.sample(range(plan.n_contacts), 60)
    tried = 0
    for row in rows:
        a, b = int(plan.a[row]), int(plan.b[row])
        begin, finish = int(plan.begin[row]), int(plan.finish[row])
        if begin > plan.start:
            tried += 1
            assert truth(iridium, policy, a, b, begin + 20_000) >= 0
            assert truth(iridium, policy, a, b, begin - MILLISECOND - 20_000) < 0
        if finish < plan.end:
            tried += 1
            assert truth(iridium, policy, a, b, finish - 20_000) >= 0
            assert truth(iridium, policy, a, b, finish + MILLISECOND + 20_000) < 0
    assert tried > 60


def test_grazing_edges_against_direct_bisection() -> None:
    """Two-slot rings 4 x 2 at 550 km: across planes the Earth comes between, and goes."""
    sky = sky_from_preset("D:1200:70:24/6/1")
    policy = LinkPolicy()
    plan = build_plan(sky, policy, T0, T0 + 2 * HOUR)
    edges = [
        (int(plan.a[row]), int(plan.b[row]), int(plan.begin[row]))
        for row in range(plan.n_contacts)
        if plan.begin[row] > plan.start
    ]
    assert len(edges) > 5
    for a, b, begin in edges[:10]:
        low, high = begin - SECOND, begin + SECOND
        while high - low > 1_000:
            middle = (low + high) // 2
            pair = sky.states(middle)[0][[a, b]]
            inside = margin_of(policy, pair[0], pair[1], None) >= 0
            low, high = (low, middle) if inside else (middle, high)
        assert 0 <= begin - high < MILLISECOND + 20_000


@pytest.mark.parametrize("preset", ["iridium", "S:780:86.4:66/6/2", "D:1200:70:60/6/1"])
def test_the_plan_agrees_with_geometry_at_random_instants(preset: str) -> None:
    sky = sky_from_preset(preset, CITIES)
    policy = replace(policy_for(sky), min_elevation_deg=10.0, cross_plane_latitude_max_deg=65.0)
    plan = build_plan(sky, policy, T0, T0 + HOUR)
    pairs = grid_pairs(sky.shells)
    candidates = list(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))
    grounds = range(sky.n_satellites, sky.n_sites)
    candidates += [(a, b) for a in range(sky.n_satellites) for b in grounds]
    rng = random.Random(3)
    for _ in range(4):
        at = T0 + rng.randrange(HOUR)
        margins = {pair: truth(sky, policy, *pair, at) for pair in candidates}
        seen = {pair for pair, margin in margins.items() if margin >= 0}
        close = {pair for pair, margin in margins.items() if abs(margin) < 1e-4}
        assert set(plan.open_at(at)) - close == seen - close


def test_iss_passes_over_bluffton_against_skyfield() -> None:
    sky = sky_from_catalog(
        parse_tle(
            "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082\n"
            "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473\n"
        ),
        [GroundStation("Bluffton", 40.8939, -83.8917)],
    )
    day = parse_time("2014-01-23")
    plan = build_plan(sky, LinkPolicy(isl="nearest", min_elevation_deg=30.0), day, day + 24 * HOUR)
    expected = [("06:25:37", "06:28:19"), ("12:54:56", "12:57:58")]
    assert len(plan.contacts_of(0)) == 2
    for contact, (rise, fall) in zip(plan.contacts_of(0), expected, strict=True):
        assert abs(contact.begin - parse_time(f"2014-01-23T{rise}Z")) <= SECOND
        assert abs(contact.finish - parse_time(f"2014-01-23T{fall}Z")) <= SECOND


def test_a_pass_shorter_than_a_step_is_found() -> None:
    """Raise the lowest elevation to just under each culmination: the pass shrinks, and stays."""
    sky = sky_from_preset("iridium", [find_city("London")])
    whole = build_plan(sky, policy_for(sky), T0, T0 + HOUR)
    tested = 0
    for contact in whole.contacts_of(66):
        if contact.begin == whole.start or contact.finish == whole.end:
            continue
        at = np.arange(contact.begin, contact.finish, SECOND // 10)
        position, _ = sky.states_at(at)
        away = position[:, contact.peer] - position[:, 66]
        up = sky.zeniths(at)[:, 0]
        sine = (away * up).sum(axis=1) / np.linalg.norm(away, axis=1)
        top = math.degrees(math.asin(float(sine.max())))
        policy = replace(policy_for(sky), min_elevation_deg=top - 0.002)
        short = build_plan(sky, policy, T0, T0 + HOUR)
        found = [c for c in short.contacts_of(66) if c.peer == contact.peer]
        assert any(0 < c.finish - c.begin < 30 * SECOND for c in found)
        tested += 1
    assert tested >= 3


def test_a_star_has_no_link_across_its_seam() -> None:
    pairs = grid_pairs((PRESETS["iridium"],))
    planes = {(a // 11, b // 11) for a, b in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)}
    assert planes == {(p, p) for p in range(6)} | {(p, p + 1) for p in range(5)}
    assert len(pairs.a) == 66 + 55


@pytest.mark.parametrize("preset", [name for name, s in PRESETS.items() if s.pattern == "delta"])
def test_a_delta_is_alike_everywhere(preset: str) -> None:
    """Four links a satellite, and the wrap from the last plane to the first is as long as any."""
    shell = PRESETS[preset]
    pairs = grid_pairs((shell,))
    degree = np.bincount(np.concatenate([pairs.a, pairs.b]), minlength=shell.total)
    assert (degree == 4).all()
    sky = sky_from_preset(preset)
    position, _ = sky.states_at(T0 + np.arange(0, 7_000, 50, dtype=np.int64) * SECOND)
    away = position[:, pairs.a[pairs.cross]] - position[:, pairs.b[pairs.cross]]
    longest = np.linalg.norm(away, axis=2).max(axis=0)
    assert longest.max() - longest.min() < 5.0


def test_the_partner_slot_is_the_one_with_the_shortest_longest_link() -> None:
    shell = replace(PRESETS["starlink-1"], phasing=17)
    assert slot_shift(shell) == 0
    # 8.9 of 16.4 degrees ahead: the one behind is nearer.
    assert slot_shift(replace(shell, phasing=39)) == -1
    # The same geometry with its lead counted from the slot before.
    assert slot_shift(replace(shell, phasing=71)) == -1


def test_shells_are_not_joined() -> None:
    sky = sky_from_preset("D:550:53.0:40/4/1+D:600:70.0:30/3/1")
    pairs = grid_pairs(sky.shells)
    assert not ((pairs.a < 40) & (pairs.b >= 40)).any()
    assert sky.names[40] == "s2-1-1"


def test_windows_and_policies_that_make_no_sense_are_refused(iridium: Sky) -> None:
    policy = policy_for(iridium)
    bad = [
        (policy, T0, T0),
        (replace(policy, min_elevation_deg=90.0), T0, T0 + SECOND),
        (replace(policy, isl_range_max_km=math.nan), T0, T0 + SECOND),
        (replace(policy, tick_ns=0), T0, T0 + SECOND),
    ]
    for case in bad:
        with pytest.raises(InputError):
            build_plan(iridium, *case)
    tle = parse_catalog(
        "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082\n"
        "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473\n"
    )
    with pytest.raises(InputError, match="plus-grid"):
        build_plan(sky_from_catalog(tle), policy, T0, T0 + SECOND)


def test_the_code_of_a_policy_tells_policies_apart() -> None:
    base = LinkPolicy()
    others = [
        replace(base, isl="nearest"), replace(base, isl="fitted"), replace(base, terminals=3),
        replace(base, slew_max_deg_s=0.5), replace(base, sun_exclusion_deg=1.0),
        replace(base, acquisition_ns=SECOND), replace(base, age_margin=True),
        replace(base, ground="highest"), replace(base, ground="longest"), replace(base, antennas=2),
        replace(base, min_elevation_deg=25.5),
        replace(base, grazing_altitude_km=81.0), replace(base, cross_plane_latitude_max_deg=70.0),
        replace(base, isl_range_max_km=4000.0), replace(base, isl_rate_bps=1e9),
        replace(base, ground_rate_bps=1e9), replace(base, tick_ns=MINUTE),
    ]  # fmt: skip
    assert len({base.code, *(policy.code for policy in others)}) == len(others) + 1
    assert base.code == LinkPolicy().code


def test_windows_that_overlap_agree_where_they_do(iridium: Sky) -> None:
    policy = policy_for(iridium)
    one = build_plan(iridium, policy, T0, T0 + HOUR)
    two = build_plan(iridium, policy, T0 + 20 * MINUTE + 7, T0 + 2 * HOUR)
    for at in range(T0 + 21 * MINUTE, T0 + HOUR, 97 * SECOND):
        assert one.open_at(at) == two.open_at(at)
        assert one.light_time_ns(1, 70, at) == two.light_time_ns(1, 70, at)


def test_nearest_joins_a_shell_without_being_told_its_slots() -> None:
    import networkx

    sky = sky_from_preset("starlink-3", CITIES)
    policy = replace(policy_for(sky), isl="nearest")
    plan = build_plan(sky, policy, T0, T0 + 10 * MINUTE)
    for at in (T0, T0 + 7 * MINUTE):
        lasers = [(a, b) for a, b in plan.open_at(at) if b < sky.n_satellites]
        graph = networkx.Graph(lasers)
        assert max(degree for _, degree in graph.degree) <= 4
        assert max(map(len, networkx.connected_components(graph))) >= 0.95 * sky.n_satellites
    again = build_plan(sky, policy, T0 + 3 * MINUTE, T0 + 8 * MINUTE)
    assert again.open_at(T0 + 7 * MINUTE) == plan.open_at(T0 + 7 * MINUTE)


@needs_shared
def test_nearest_joins_the_real_catalogue() -> None:
    import networkx

    catalog = parse_catalog((SHARED / "catalog/starlink-2025-09-23.tle").read_text())
    sky = sky_from_catalog(catalog, CITIES)
    at = parse_time("2025-09-23T12:00:00Z")
    plan = build_plan(sky, policy_for(sky), at, at + 5 * MINUTE)
    assert len(plan.sites_failed) <= 5
    lasers = [(a, b) for a, b in plan.open_at(at) if b < sky.n_satellites]
    graph = networkx.Graph(lasers)
    assert max(degree for _, degree in graph.degree) <= 4
    assert 2 * len(lasers) / sky.n_satellites > 3.9
    assert max(map(len, networkx.connected_components(graph))) > 0.999 * sky.n_satellites


@needs_shared
def test_nearest_changes_few_links_over_two_hours_and_a_block_join() -> None:
    catalog = parse_catalog((SHARED / "catalog/starlink-2025-09-23.tle").read_text())
    sky = sky_from_catalog(catalog)
    at = parse_time("2025-09-23T13:00:00Z")
    plan = build_plan(sky, policy_for(sky), at, at + 2 * HOUR)
    fresh = 2 * int((plan.begin > plan.start).sum())
    # 0.4 acquisitions a satellite an hour is what terminals are asked for (catalogue.md).
    assert fresh / sky.n_satellites / 2 < 0.4
