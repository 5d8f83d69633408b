"""Presets check themselves, and the IETF's code is read and written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshd.ephemeris import (
    CITIES,
    PRESETS,
    WALKER_EPOCH,
    code_of,
    find_city,
    parse_code,
    shells_of,
    sky_from_preset,
)
from meshd.ephemeris.names import fold
from meshd.ephemeris.propagate import EARTH_RADIUS_KM, mean_motion_rad_s
from meshd.ephemeris.walker import check_shell
from protocols.errors import InputError, NotFound

# planes x satellites per plane, and mean motion where a source gives one (orbit.md, section 2).
TABLE = {
    "iridium": (6, 11, None),
    "starlink-1": (72, 22, 15.05),
    "starlink-2": (72, 22, None),
    "starlink-3": (36, 20, None),
    "starlink-4": (6, 58, None),
    "starlink-5": (4, 43, None),
    "kuiper-1": (34, 34, 14.80),
    "kuiper-2": (36, 36, None),
    "kuiper-3": (28, 28, None),
    "telesat-1": (27, 13, 13.66),
    "telesat-2": (40, 33, None),
    "oneweb": (12, 49, None),
    "uniform-1600": (40, 40, None),
    "starlink-gen2-1": (28, 120, None),
    "starlink-gen2-2": (28, 120, None),
    "starlink-gen2-3": (28, 120, None),
    "oneweb-2-1": (36, 49, None),
    "oneweb-2-2": (32, 72, None),
    "oneweb-2-3": (32, 72, None),
    "starlink-2019": (24, 66, None),
}


def test_no_preset_has_its_planes_transposed() -> None:
    assert {name: (s.planes, s.slots) for name, s in PRESETS.items()} == {
        name: row[:2] for name, row in TABLE.items()
    }


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[2]])
def test_mean_motion_follows_from_altitude(name: str) -> None:
    turns = mean_motion_rad_s(PRESETS[name].altitude_km) * 86_400 / (2 * math.pi)
    assert turns == pytest.approx(TABLE[name][2], abs=0.02)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_can_be_flown_and_coded(name: str) -> None:
    shell = check_shell(PRESETS[name])
    (back,) = parse_code(code_of(shell))
    same = ("planes", "slots", "altitude_km", "inclination_deg", "pattern", "phasing")
    assert all(getattr(back, field) == getattr(shell, field) for field in same)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_no_two_satellites_of_a_preset_meet(name: str) -> None:
    sky = sky_from_preset(name)
    shell = PRESETS[name]
    period_ns = int(2 * math.pi / mean_motion_rad_s(shell.altitude_km) * 1e9)
    at = WALKER_EPOCH + np.linspace(0, period_ns, 241).astype(np.int64)
    position, _ = sky.states_at(at)
    away = np.linalg.norm(position[:, 1:] - position[:, :1], axis=2)
    # Star planes cross at the poles, half a slot apart.
    assert away.min() > 14.0


def test_the_ietf_code() -> None:
    one, two = parse_code("D:550:53.0:1584/72/17 + S/10:780:86.4:66/6/2/5".replace(" ", ""))
    assert (one.planes, one.slots, one.phasing, one.pattern) == (72, 22, 17, "delta")
    assert (two.planes, two.slots, two.pattern, two.raan_offset_deg) == (6, 11, "star", 10.0)
    assert two.anomaly_offset_deg == 5.0
    assert (one.name, two.name) == ("s1", "s2")
    assert sky_from_preset("S:780:86.4:66/6/2").names[:2] == ("s-1-1", "s-1-2")


@pytest.mark.parametrize(
    "code",
    ["D:550", "X:550:53:10/2/1", "D:550:53:11/2/1", "D:550:53:10/0/1", "D:x:53:10/2/1",
     "D:550/560/0:53:10/2/1", "D:550:53:10/2/1+", "D:nan:53:10/2/1", "D:550:53:10/2/2",
     "D:550:inf:10/2/1", "D:550:53:99999999999/1/0"],
)  # fmt: skip
def test_bad_codes_are_refused(code: str) -> None:
    with pytest.raises(InputError):
        shells_of(code)


def test_an_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        shells_of("starlnk-1")
    assert "starlink-1" in caught.value.message


def test_a_star_leaves_plane_one_and_the_last_counter_rotating() -> None:
    sky = sky_from_preset("iridium")
    position, velocity = sky.states(WALKER_EPOCH)
    normal = np.cross(position, velocity)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    planes = normal.reshape(6, 11, 3)[:, 0]
    gaps = [math.degrees(math.acos(float(planes[p] @ planes[p + 1]))) for p in range(5)]
    assert gaps == pytest.approx([29.9] * 5, abs=0.1)
    assert float(planes[0] @ planes[5]) == pytest.approx(math.cos(math.radians(150)), abs=0.02)


def test_walker_satellites_stand_where_the_code_says() -> None:
    position, _ = sky_from_preset("D:550:53.0:1584/72/17").states(WALKER_EPOCH)
    assert position[0] == pytest.approx((EARTH_RADIUS_KM + 550, 0, 0), abs=1e-9)
    u = math.radians(17 * 360 / 1584)
    assert position[22, 2] == pytest.approx(
        (EARTH_RADIUS_KM + 550) * math.sin(u) * math.sin(math.radians(53)), abs=1e-6
    )


def test_at_least_a_hundred_cities_all_found_by_name() -> None:
    assert len(CITIES) >= 100
    for name, latitude, longitude in CITIES:
        station = find_city(name.upper())
        assert (station.name, station.latitude_deg, station.longitude_deg) == (
            name, latitude, longitude,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "name"),
    [("são paulo", "Sao Paulo"), ("St. Petersburg", "Saint Petersburg"), ("NEW YORK", "New York"),
     ("rio-de-janeiro", "Rio de Janeiro"), ("NYC", "New York"), ("Bangalore", "Bengaluru")],
)  # fmt: skip
def test_cities_as_people_type_them(typed: str, name: str) -> None:
    assert find_city(typed).name == name


def test_an_unknown_city_offers_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        find_city("Lodnon")
    assert caught.value.code == "unknown-city" and "London" in caught.value.message


@given(st.one_of(st.text(), st.text(st.characters(codec="ascii"))))
@example("㏗")  # capitals only when taken apart
def test_a_folded_name_is_words_joined_by_hyphens_and_stays_so(name: str) -> None:
    folded = fold(name)
    assert fold(folded) == folded == folded.casefold()
    assert folded == "-".join(folded.split("-")) and not folded.startswith("-")
    # An accent that is dropped sends the same name down the other road.
    assert fold(f"\u0301{name}") == folded
