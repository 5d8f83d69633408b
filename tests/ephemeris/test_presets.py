"""Presets check themselves: totals, altitudes and tilts, phasing, and the shells people give."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from meshd.ephemeris import (
    CONSTELLATIONS,
    PRESETS,
    WALKER_EPOCH,
    CircularJ2,
    Shell,
    code_of,
    find_city,
    parse_code,
    shells_of,
    sky_from_preset,
    sky_from_shells,
)
from meshd.ephemeris.presets import best_phasing, doubts
from meshd.ephemeris.propagate import (
    EARTH_RADIUS_KM,
    MU_KM3_S2,
    mean_motion_rad_s,
    sun_synchronous_deg,
)
from meshd.ephemeris.sun import sun_direction
from meshd.ephemeris.timescale import DAY
from meshd.ephemeris.walker import check_shell, closest_approach_km
from protocols.errors import InputError, NotFound
from protocols.types import SECOND

# Of each group, satellites and where its numbers were read (orbit.md, sections 1 and 2).
TOTALS = {
    "starlink-gen1": 4_408, "starlink-gen2": 10_080, "kuiper": 3_236, "telesat": 1_671,
    "oneweb-2": 6_372, "odc-10k": 10_080, "odc-100k": 99_990, "odc-1m": 999_900,
    "sunrise": 51_600, "starcloud": 88_000, "suncatcher": 81,
}  # fmt: skip
PERIODS_S = {500: 5677.0, 550: 5739.0, 650: 5863.7, 1000: 6307.1, 1400: 6826.9, 2000: 7631.9}
TILTS_DEG = {340: 96.814, 500: 97.402, 650: 97.986, 1000: 99.479, 1400: 101.427, 2000: 104.890}


def test_every_group_has_its_filing_s_total() -> None:
    groups = {name: c.shells for name, c in CONSTELLATIONS.items() if name not in PRESETS}
    assert {name: sum(s.total for s in shells) for name, shells in groups.items()} == TOTALS
    assert all(c.source for c in CONSTELLATIONS.values())
    names = [shell.name for shells in groups.values() for shell in shells]
    assert all(check_shell(shell) for shells in groups.values() for shell in shells)
    assert len(names) == len(set(names))


def test_data_centre_shells_fill_the_filed_band_in_steps_of_fifty_km() -> None:
    shells = shells_of("odc-1m")
    altitudes = [shell.altitude_km for shell in shells]
    assert (altitudes[0], altitudes[-1], len(altitudes)) == (525.0, 1975.0, 30)
    assert np.diff(altitudes) == pytest.approx([50.0] * 29)
    assert sum(shell.inclination_deg == 30.0 for shell in shells) == 15
    assert sum(shell.total for shell in shells) <= 1_000_000


@pytest.mark.parametrize(("h_km", "i_deg"), TILTS_DEG.items())
def test_sun_synchronous_tilts(h_km: float, i_deg: float) -> None:
    assert sun_synchronous_deg(h_km) == pytest.approx(i_deg, abs=0.002)


def test_shells_over_ninety_five_degrees_agree_with_their_altitude() -> None:
    """To 0.01 degrees where they are ours; filings round, or do not mean it (Telesat)."""
    for name, constellation in CONSTELLATIONS.items():
        for shell in constellation.shells:
            if shell.inclination_deg > 95:
                bound = 0.05 if name in PRESETS or name == "starlink-gen1" else 0.001
                bound = 0.6 if shell.name == "telesat-1" else bound
                away = abs(shell.inclination_deg - sun_synchronous_deg(shell.altitude_km))
                assert away <= bound, shell.name


@pytest.mark.parametrize(("h_km", "period_s"), PERIODS_S.items())
def test_mean_motion_follows_from_altitude(h_km: float, period_s: float) -> None:
    shell = Shell("x", 1, 1, float(h_km), 0.0, "delta", 0)
    sky = sky_from_shells((shell,))
    two_body = mean_motion_rad_s(h_km)
    assert 2 * math.pi / two_body == pytest.approx(period_s, abs=0.05)
    radius = float(np.linalg.norm(sky.states(WALKER_EPOCH)[0][0]))
    assert math.sqrt(MU_KM3_S2 / radius**3) == pytest.approx(two_body, rel=1e-12)


def test_dawn_dusk_planes_stand_across_the_sun_all_year() -> None:
    days = WALKER_EPOCH + np.arange(0, 365, 5, dtype=np.int64) * DAY
    for name in ("sunrise", "starcloud"):
        shells = shells_of(name)
        sky = sky_from_shells((shells[0], shells[-1]))
        p, v = sky.states_at(days)
        for site in (0, shells[0].slots):
            normal = np.cross(p[:, site], v[:, site])
            node = np.degrees(np.arctan2(normal[:, 0], -normal[:, 1]))
            sun = sun_direction(days)
            over = np.degrees(np.arctan2(sun[:, 1], sun[:, 0]))
            local_time_h = 12 + ((node - over + 180) % 360 - 180) / 15
            # The true Sun leads or follows the mean one by up to 16.5 minutes.
            assert np.abs(local_time_h - 18.0).max() < 0.30


def test_a_cluster_stays_within_a_kilometre_and_nobody_within_ninety_metres() -> None:
    sky = sky_from_preset("suncatcher")
    for day in (0, 30, 300):
        at = WALKER_EPOCH + day * DAY + np.arange(0, 6_000, 60, dtype=np.int64) * SECOND
        p, _ = sky.states_at(at)
        centre = np.linalg.norm(p[:, 1:] - p[:, :1], axis=2)
        assert 0.9 < centre.max() < 1.01
        for row in p[::10]:
            away = np.linalg.norm(row[:, None] - row[None], axis=2)
            assert away[~np.eye(81, dtype=bool)].min() > 0.09


# --- phasing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["starlink-1", "starlink-3", "telesat-1", "kuiper-3", "oneweb"])
def test_closest_approach_against_a_fine_walk_round_the_orbit(name: str) -> None:
    shell = PRESETS[name]
    period_ns = 2 * math.pi / mean_motion_rad_s(shell.altitude_km) * SECOND
    flying = CircularJ2.of((shell,))
    least = math.inf
    for part in np.array_split(np.linspace(0, period_ns, 5_000).astype(np.int64), 50):
        p, _ = flying.states(WALKER_EPOCH + part)
        away = np.linalg.norm(p[:, shell.slots :] - p[:, :1], axis=2)
        least = min(least, float(away.min()))
    assert closest_approach_km(shell) == pytest.approx(least, abs=0.2)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_where_no_source_gives_f_it_is_the_widest(name: str) -> None:
    shell = PRESETS[name]
    stated = shell.source.rpartition("F: ")[2].removesuffix(" km")
    if "F: " in shell.source:
        assert shell.phasing == best_phasing(shell)
        assert f"{closest_approach_km(shell):.1f}" == stated
    assert closest_approach_km(shell) > 14.0


def test_f_39_crosses_wider_than_f_17() -> None:
    shell = PRESETS["starlink-1"]
    assert shell.phasing == 39
    assert closest_approach_km(shell) == pytest.approx(49.8, abs=0.1)
    assert closest_approach_km(replace(shell, phasing=17)) == pytest.approx(20.2, abs=0.1)


def test_f_39_leads_from_tokyo_to_sydney_nearly_straight() -> None:
    from meshd.router.offline import plan_route
    from meshd.topology import policy_for

    over = []
    for phasing in (39, 17):
        shell = replace(PRESETS["starlink-1"], phasing=phasing)
        sky = sky_from_shells((shell,), [find_city("Tokyo"), find_city("Sydney")])
        route = plan_route(sky, policy_for(sky), "Tokyo", "Sydney", WALKER_EPOCH)
        assert route is not None
        over.append(route.rtt_ms / route.great_circle_rtt_ms)
    assert over[0] < 1.25 and over[1] > 2.0


# --- shells that people give ---------------------------------------------------------------------


def test_exchanged_planes_and_slots_are_doubted() -> None:
    (told,) = doubts(parse_code("D:550:53:1584/22/17"))
    assert "starlink-1 is 72 planes of 22" in told and "exchanged?" in told
    assert doubts(parse_code("S:1200:87.9:588/49/1"))
    assert doubts(parse_code("D:550:53:1584/72/39+D:1200:53:1584/22/17")) == []
    assert all(doubts(c.shells) == [] for c in CONSTELLATIONS.values())


# --- ellipses ------------------------------------------------------------------------------------


def test_the_code_of_ellipses_is_read_and_written() -> None:
    code = "D/10.5:11585.0/1215.0/270.0:63.4:56/7/1:12.0"
    (shell,) = parse_code(code)
    assert shell.ellipse == (11585.0, 1215.0, 270.0)
    assert (shell.altitude_km, shell.anomaly_offset_deg) == (6400.0, 12.0)
    assert code_of(shell) == code
    assert parse_code("D:550:53:1584/72/39/7")[0].anomaly_offset_deg == 7.0


@pytest.mark.parametrize(
    "code", ["D:500/600/0:53:10/2/1", "D:600/100/0:53:10/2/1", "D:600/500:53:10/2/1",
             "D:600/500/400:53:10/2/1", "D:600/500/x:53:10/2/1"]
)  # fmt: skip
def test_ellipses_that_are_none_are_refused(code: str) -> None:
    with pytest.raises(InputError):
        parse_code(code)


def test_an_ellipse_is_highest_over_the_side_away_from_its_perigee() -> None:
    """A Molniya-like shell: perigee in the south, apogee over the north."""
    sky = sky_from_preset("D:39000/1000/270:63.4:8/2/1")
    period_s = 2 * math.pi / mean_motion_rad_s(20_000.0)
    at = WALKER_EPOCH + (np.linspace(0, period_s, 2_001) * SECOND).astype(np.int64)
    p, v = sky.states_at(at)
    radius = np.linalg.norm(p, axis=2)
    assert radius.max() == pytest.approx(EARTH_RADIUS_KM + 39_000, abs=1.0)
    assert radius.min() == pytest.approx(EARTH_RADIUS_KM + 1_000, abs=1.0)
    top = radius[:, 0].argmax()
    assert p[top, 0, 2] / radius[top, 0] == pytest.approx(math.sin(math.radians(63.4)), abs=1e-3)
    # Energy and angular momentum, but for J2's turning of the frame.
    energy = np.sum(v**2, axis=2) / 2 - MU_KM3_S2 / radius
    assert energy == pytest.approx(-MU_KM3_S2 / (2 * (EARTH_RADIUS_KM + 20_000)), rel=1e-3)


def test_velocity_on_an_ellipse_is_the_derivative_of_position() -> None:
    sky = sky_from_preset("D:1400/600/30:70:12/3/1+D:550:53:20/4/1+D:9000/600/200:116:6/2/1")
    at = WALKER_EPOCH + 77 * DAY + np.array([-1, 0, 1], dtype=np.int64) * (SECOND // 20)
    p, v = sky.states_at(at)
    assert (p[2] - p[0]) / 0.1 == pytest.approx(v[1], abs=1e-6)
    assert sky.n_satellites == 38 and sky.satellites.mean_motions_rad_s().shape == (38,)


def test_a_round_ellipse_is_a_circle() -> None:
    circle = sky_from_preset("D:700:53:40/4/1")
    ellipse = sky_from_preset("D:700/700/90:53:40/4/1/270")
    at = WALKER_EPOCH + np.array([0, 1, 30], dtype=np.int64) * DAY
    for one, other in zip(circle.states_at(at), ellipse.states_at(at), strict=True):
        # The perigee turns as the anomaly does not, so only their sum is the same.
        assert other == pytest.approx(one, abs=1e-6)


def test_j2_turns_an_ellipse_as_sgp4_does() -> None:
    from meshd.ephemeris import Elements, Sgp4

    (shell,) = parse_code("D:2000/600/40:98:1/1/0")
    turns = mean_motion_rad_s(1_300.0) * 86_400 / (2 * math.pi)
    e = (2000.0 - 600.0) / (2 * (EARTH_RADIUS_KM + 1_300.0))
    real = Elements("x", 1, WALKER_EPOCH, 98.0, 0.0, e, 40.0, 0.0, turns)
    at = WALKER_EPOCH + np.arange(0, 10, dtype=np.int64) * DAY // 5
    for k in range(2):
        ours, theirs = sky_from_shells((shell,)).states_at(at), Sgp4.of([real]).states(at)
        normals = [np.cross(p[:, 0], v[:, 0]) for p, v in (ours, theirs)]
        nodes = [np.unwrap(np.arctan2(n[:, 0], -n[:, 1])) for n in normals]
        drift = [math.degrees(node[-1] - node[0]) for node in nodes]
        assert drift[0] == pytest.approx(drift[1], abs=0.02), k


# --- a million -----------------------------------------------------------------------------------


def test_a_million_satellites_are_a_sky() -> None:
    sky = sky_from_preset("odc-1m", [find_city("London")])
    assert sky.n_satellites == 999_900
    last = "odc-1m-1975-33-1010"
    assert sky.names[sky.index_of(last)] == last and sky.index_of(last) == 999_899
    assert sky.index_of("london") == 999_900
    with pytest.raises(NotFound):
        sky.index_of("odc-1m-1975-33-1011")
    p, v = sky.states(WALKER_EPOCH + 40 * DAY)
    radius = np.linalg.norm(p[:-1], axis=1)
    assert radius.min() == pytest.approx(EARTH_RADIUS_KM + 525, abs=1e-6)
    assert radius.max() == pytest.approx(EARTH_RADIUS_KM + 1975, abs=1e-6)
    assert np.abs(np.sum(p[:-1] * v[:-1], axis=1)).max() < 1e-6
