"""Where satellites are, against the authorities: Vallado's vectors, Skyfield, and SGP4 itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from meshd.ephemeris import (
    PRESETS,
    WALKER_EPOCH,
    Elements,
    GroundStation,
    Sgp4,
    find_city,
    great_circle_km,
    parse_catalog,
    parse_time,
    parse_tle,
    sky_from_catalog,
    sky_from_preset,
)
from meshd.ephemeris.propagate import EARTH_RADIUS_KM, j2_rates_rad_s, mean_motion_rad_s
from meshd.ephemeris.stations import ecef_km, geodetic, to_fixed, zenith
from protocols.errors import InputError, NotFound
from protocols.types import HOUR, MINUTE, SECOND

VANGUARD = """1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753
2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667
"""
ISS = """1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082
2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473
"""
BLUFFTON = GroundStation("Bluffton", 40.8939, -83.8917)
SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")


@pytest.mark.parametrize(
    ("minutes", "km"),
    [
        (0, (7022.465292664064, -1400.0829675535551, 0.03995155416521326)),
        (360, (-7154.031202015707, -3783.176825036568, -3536.1941229422155)),
        (4320, (-9060.473735694444, 4658.709525022637, 813.6867315341166)),
    ],
)
def test_against_vallado_object_5(minutes: int, km: tuple[float, float, float]) -> None:
    catalog = parse_tle(VANGUARD)
    at = catalog.elements[0].epoch + minutes * MINUTE
    position, velocity = sky_from_catalog(catalog).states(at)
    # 0.1 mm is the package's own promise; an epoch in whole nanoseconds moves 7 um more.
    assert position[0] == pytest.approx(km, abs=2e-7)
    if minutes == 4320:
        assert velocity[0] == pytest.approx(
            (-2.232832782742506, -4.110453489937012, -3.1573454334573743), abs=1e-9
        )


def test_elements_without_their_lines_propagate_alike() -> None:
    (e,) = parse_tle(ISS).elements
    bare = Elements(
        e.name, e.norad_id, e.epoch, e.inclination_deg, e.raan_deg, e.eccentricity, e.argp_deg,
        e.mean_anomaly_deg, e.mean_motion_rev_day, e.bstar, e.ndot, e.nddot,
    )  # fmt: skip
    at = np.array([e.epoch + 5 * HOUR])
    assert Sgp4.of([bare]).states(at)[0] == pytest.approx(Sgp4.of([e]).states(at)[0], abs=1e-6)


def test_subpoint_against_skyfield() -> None:
    at = parse_time("2014-01-23T11:18:07Z")
    position, _ = sky_from_catalog(parse_tle(ISS)).states(at)
    latitude, longitude, height = geodetic(to_fixed(position[None], np.array([at]))[0, 0])
    # UT1 - UTC was -0.1 s: 0.0004 degrees of longitude. Precession is in neither frame.
    assert latitude == pytest.approx(50.243719, abs=2e-4)
    assert longitude == pytest.approx(-86.389810, abs=1e-3)
    assert height == pytest.approx(420.873728, abs=5e-3)


def test_look_angles_against_skyfield() -> None:
    at = parse_time("2014-01-23T11:18:07Z")
    sky = sky_from_catalog(parse_tle(ISS), [BLUFFTON])
    position, _ = sky.states(at)
    away = position[0] - position[1]
    range_km = float(np.linalg.norm(away))
    up = sky.zeniths(np.array([at]))[0, 0]
    elevation = math.degrees(math.asin(float(away @ up) / range_km))
    assert range_km == pytest.approx(1168.664104, abs=0.05)
    assert elevation == pytest.approx(16.275714, abs=3e-3)


@pytest.mark.parametrize(
    ("h_km", "period_s"),
    [(340, 5480.0), (550, 5739.0), (630, 5838.7), (1000, 6307.1), (1200, 6565.3), (2000, 7631.9)],
)
def test_periods(h_km: float, period_s: float) -> None:
    assert 2 * math.pi / mean_motion_rad_s(h_km) == pytest.approx(period_s, abs=0.05)


@pytest.mark.parametrize(("h_km", "i_deg"), [(500, 97.402), (800, 98.603), (1400, 101.427)])
def test_j2_turns_sun_synchronous_planes_once_a_year(h_km: float, i_deg: float) -> None:
    node_rate = j2_rates_rad_s(h_km, i_deg).node
    assert node_rate * 365.2422 * 86_400 == pytest.approx(2 * math.pi, rel=1e-4)


@pytest.mark.parametrize("preset", ["iridium", "starlink-1", "starlink-3"])
def test_j2_drift_against_sgp4(preset: str) -> None:
    shell = PRESETS[preset]
    rates = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg)
    node_rate, latitude_rate = rates.node, rates.latitude
    turns = mean_motion_rad_s(shell.altitude_km) * 86_400 / (2 * math.pi)
    e = Elements("x", 1, WALKER_EPOCH, shell.inclination_deg, 0.0, 1e-6, 0.0, 0.0, turns)
    day = np.array([WALKER_EPOCH, WALKER_EPOCH + 24 * HOUR])
    position, velocity = Sgp4.of([e]).states(day)
    normal = np.cross(position[:, 0], velocity[:, 0])
    node = np.unwrap(np.arctan2(normal[:, 0], -normal[:, 1]))
    # Periodic terms leave about 0.005 degrees.
    assert math.degrees(node[1] - node[0]) == pytest.approx(
        math.degrees(node_rate * 86_400), abs=0.02
    )
    assert latitude_rate == pytest.approx(mean_motion_rad_s(shell.altitude_km), rel=4e-3)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_walker_velocity_is_the_derivative_of_position(preset: str) -> None:
    sky = sky_from_preset(preset, [find_city("London")])
    at = parse_time("2026-06-28T12:00:00Z")
    position, velocity = sky.states_at(np.array([at - SECOND // 100, at, at + SECOND // 100]))
    assert (position[2] - position[0]) / 0.02 == pytest.approx(velocity[1], abs=1e-6)
    radius = np.linalg.norm(position[1, : sky.n_satellites], axis=1)
    assert radius == pytest.approx(EARTH_RADIUS_KM + PRESETS[preset].altitude_km, abs=1e-6)


def test_a_satellite_that_fails_is_reported() -> None:
    line1, line2 = ISS.splitlines()
    drag = line1[:33] + " .99999999" + line1[43:53] + " 99999+0" + line1[61:68]
    digits = sum(int(c) for c in drag if c.isdigit()) + drag.count("-")
    catalog = parse_tle(f"DOWN\n{drag}{digits % 10}\n{line2}\nV\n{VANGUARD}")
    assert len(catalog.elements) == 2
    sky = sky_from_catalog(catalog)
    at = np.array([catalog.elements[0].epoch + 24 * HOUR * 30])
    (failure,) = sky.failures(at)
    assert (failure.site, failure.name) == (0, "DOWN")
    assert failure.code != 0 and failure.reason
    position, _ = sky.states(int(at[0]))
    assert np.isnan(position[0]).all() and np.isfinite(position[1]).all()


def test_geodetic_and_ecef_are_inverse() -> None:
    stations = [find_city(name) for name in ("London", "Sydney", "Quito", "Longyearbyen")]
    stations.append(GroundStation("peak", 27.9881, 86.925, 8.849))
    for station, fixed in zip(stations, ecef_km(stations), strict=True):
        latitude, longitude, height = geodetic(fixed)
        assert latitude == pytest.approx(station.latitude_deg, abs=1e-9)
        assert longitude == pytest.approx(station.longitude_deg, abs=1e-9)
        assert height == pytest.approx(station.altitude_km, abs=1e-8)


def test_zenith_is_a_unit_vector_up() -> None:
    ((x, y, z),) = zenith([GroundStation("x", 90.0, 0.0)])
    assert (x, y, z) == pytest.approx((0, 0, 1), abs=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "rtt_ms"),
    [("New York", "London", 37.2), ("San Francisco", "London", 57.5),
     ("London", "Singapore", 72.4), ("London", "Johannesburg", 60.5), ("New York", "Sydney", 106.7),
     ("Seattle", "New York", 25.8)],
)  # fmt: skip
def test_great_circles(a: str, b: str, rtt_ms: float) -> None:
    rtt = 2 * great_circle_km(find_city(a), find_city(b)) / 299.792458
    assert rtt == pytest.approx(rtt_ms, abs=0.15)


def test_a_sky_numbers_satellites_then_stations() -> None:
    sky = sky_from_preset("iridium", [find_city("London"), find_city("Sydney")])
    assert sky.names[0] == "iridium-1-1" and sky.names[65] == "iridium-6-11"
    assert sky.names[66:] == ("London", "Sydney")
    assert sky.kinds == ("satellite",) * 66 + ("ground",) * 2
    assert sky.index_of("LONDON") == 66 and sky.index_of("Iridium-1-2") == 1
    with pytest.raises(NotFound) as caught:
        sky.index_of("Sidney")
    assert caught.value.code == "unknown-site" and "Sydney" in caught.value.message


def test_the_digest_of_a_sky_is_what_it_holds() -> None:
    london, sydney = find_city("London"), find_city("Sydney")
    base = sky_from_preset("iridium", [london, sydney])
    assert (
        base.digest == sky_from_preset("iridium", [london]).with_stations([london, sydney]).digest
    )
    others = [
        sky_from_preset("iridium", [sydney, london]),
        sky_from_preset("iridium", [london]),
        sky_from_preset("starlink-4", [london, sydney]),
        sky_from_catalog(parse_tle(ISS), [london, sydney]),
    ]
    assert len({base.digest, *(sky.digest for sky in others)}) == 5


def test_two_sites_may_not_share_a_name() -> None:
    with pytest.raises(InputError) as caught:
        sky_from_preset("iridium", [find_city("London"), GroundStation("london", 0, 0)])
    assert caught.value.code == "duplicate-name"


def test_satellites_of_one_name_are_told_apart_by_number() -> None:
    sky = sky_from_catalog(parse_tle(f"DEB\n{ISS}DEB\n{VANGUARD}"))
    assert sky.names == ("DEB-25544", "DEB-5")


@needs_shared
def test_the_real_catalogue_loads_whole() -> None:
    catalog = parse_catalog((SHARED / "catalog/starlink-2025-09-23.tle").read_text())
    assert (len(catalog.elements), catalog.refused) == (8_325, ())
    sky = sky_from_catalog(catalog)
    assert len(sky.failures(np.array([parse_time("2025-09-23T12:00:00Z")]))) <= 5


def test_an_omm_of_nine_digits_propagates() -> None:
    catalog = parse_catalog(
        '[{"OBJECT_NAME":"NEW","EPOCH":"2020-04-06T19:53:20","MEAN_MOTION":15.48685836,'
        '"ECCENTRICITY":0.000388,"INCLINATION":51.6465,"RA_OF_ASC_NODE":341.5807,'
        '"ARG_OF_PERICENTER":94.4223,"MEAN_ANOMALY":26.1197,"NORAD_CAT_ID":999999999}]'
    )
    position, _ = sky_from_catalog(catalog).states(catalog.elements[0].epoch)
    assert float(np.linalg.norm(position[0])) == pytest.approx(6_790, abs=30)
