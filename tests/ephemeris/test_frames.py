"""Frames and time systems that ephemerides are written in, against astropy and Skyfield."""

from __future__ import annotations

import numpy as np
import pytest

from meshd.ephemeris import parse_time
from meshd.ephemeris.frames import to_teme, to_utc
from meshd.ephemeris.oem import parse_oem
from meshd.ephemeris.stations import to_fixed
from meshd.ephemeris.tables import Tables
from protocols.types import HOUR, SECOND
from tests.ephemeris.tabled import (
    HEADER,
    LAGRANGE_9,
    LOW,
    T0,
    astropy_to,
    between,
    grid,
    segment,
    truth,
)


def test_celestial_frames_against_astropy() -> None:
    at = T0 + np.arange(7, dtype=np.int64) * 13 * HOUR // 7
    states = truth(LOW, at)
    theirs = astropy_to("GCRF", at, states)
    positions, velocities = to_teme("GCRF", at, theirs[:, :3], theirs[:, 3:])
    # Two metres and more would be a term of nutation; astropy's own detour by the Earth's turn
    # costs centimetres.
    assert positions == pytest.approx(states[:, :3], abs=1e-3)
    assert velocities == pytest.approx(states[:, 3:], abs=2e-6)


def test_earth_fixed_frames_against_astropy_but_for_what_stations_leave_out_too() -> None:
    at = T0 + np.arange(5, dtype=np.int64) * HOUR
    states = truth(LOW, at)
    theirs = astropy_to("ITRF", at, states)
    positions, velocities = to_teme("ITRF2014", at, theirs[:, :3], theirs[:, 3:])
    # UT1 - UTC was 0.04 s (20 m in orbit), polar motion 0.4 arcseconds (14 m).
    assert positions == pytest.approx(states[:, :3], abs=0.05)
    assert velocities == pytest.approx(states[:, 3:], abs=5e-5)
    back = to_fixed(positions[:, None], at)[:, 0]
    assert back == pytest.approx(theirs[:, :3], abs=1e-9)


def test_the_frame_of_2000_against_skyfield() -> None:
    from skyfield.api import EarthSatellite, load
    from skyfield.framelib import ICRS_to_J2000

    scale = load.timescale(builtin=True)
    satellite = EarthSatellite(
        "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082",
        "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473",
        ts=scale,
    )
    at = np.array([parse_time("2014-01-23T11:18:07Z")])
    celestial = satellite.at(scale.utc(2014, 1, 23, 11, 18, 7))
    # The numbers of Skyfield's own documentation.
    assert celestial.position.km == pytest.approx(
        (-3918.87650458, -1887.64838745, 5209.08801512), abs=1e-4
    )
    r, v = celestial.position.km, celestial.velocity.km_per_s
    ours = to_teme("GCRF", at, r[None], v[None])
    old = ICRS_to_J2000 @ np.stack([r, v], axis=1)
    same = to_teme("EME2000", at, old[None, :, 0], old[None, :, 1])
    raw = satellite._position_and_velocity_TEME_km(scale.utc(2014, 1, 23, 11, 18, 7))
    for found in (ours, same):
        assert found[0][0] == pytest.approx(raw[0], abs=1e-6)
        # Skyfield, too, turns the velocity as it turns the position.
        assert found[1][0] == pytest.approx(raw[1], abs=1e-8)


@pytest.mark.parametrize("system", ["TAI", "TT", "GPS"])
def test_time_systems_against_astropy(system: str) -> None:
    from astropy.time import Time, TimeDelta

    days = ["1995-12-31T23:59:50", "1996-01-01T00:00:31", "2016-12-31T23:59:59",
            "2017-01-01T00:00:40", "2025-06-28T00:00:00"]  # fmt: skip
    for text in days:
        written = parse_time(f"{text}Z")
        if system == "GPS":
            moment = Time(text, scale="tai") + TimeDelta(19, format="sec")
        else:
            moment = Time(text, scale=system.lower())
        (utc,) = to_utc(system, np.array([written])).tolist()
        assert abs(utc - parse_time(moment.utc.isot + "Z")) < 2_000_000


def test_the_same_orbit_in_every_frame_and_time_system_is_one_orbit() -> None:
    nodes, at = grid(31), between(20) // 2 + T0 // 2
    states = truth(LOW, nodes)
    ahead = {"UTC": 0, "TAI": 37 * SECOND, "TT": 69_184_000_000, "GPS": 18 * SECOND}
    for system, shift in ahead.items():
        text = HEADER + segment("LOW", nodes + shift, states, system=system, more=LAGRANGE_9)
        positions, _ = Tables.of(parse_oem(text).segments).states(at)
        assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-6)
    theirs = astropy_to("GCRF", nodes, states)
    text = HEADER + segment("LOW", nodes, theirs, "ICRF", more=LAGRANGE_9)
    positions, _ = Tables.of(parse_oem(text).segments).states(at)
    assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-3)
