"""Our sky against what others have computed: Vallado's vectors for SGP4, and Skyfield's passes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest

from meshd.ephemeris import GroundStation, parse_catalog, parse_time, sky_from_catalog
from meshd.topology import LinkPolicy, build_plan
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND, Instant

Row = tuple[float, ...]


def vallado() -> Iterator[tuple[int, str, list[Row]]]:
    """Line, two-line set and rows (minutes, km, km/s) of every object of the verification run."""
    package = files("sgp4")
    rows: dict[int, list[list[Row]]] = {}
    for line in (package / "tcppver.out").read_text().splitlines():
        words = line.split()
        if words[-1] == "xx":
            rows.setdefault(int(words[0]), []).append([])
            latest = int(words[0])
        else:
            rows[latest][-1].append(tuple(map(float, words[:7])))
    lines = (package / "SGP4-VER.TLE").read_text().splitlines()
    for number, (one, two) in enumerate(pairwise(lines), start=1):
        if one.startswith("1 ") and two.startswith("2 "):
            yield number, f"{one}\n{two}\n", rows[int(one[2:7])].pop(0)


OBJECTS = list(vallado())


def test_vallado_s_vectors_through_our_reader_to_a_tenth_of_a_millimetre() -> None:
    compared = 0
    for line, text, rows in OBJECTS:
        try:
            (e,) = parse_catalog(text).elements
        except InputError as error:
            assert text.split()[1][:5] in ("28872", "33333", "33334", "33335"), (line, error)
            continue
        minutes = np.array([row[0] for row in rows])
        at = e.epoch + np.rint(minutes * 60e9).astype(np.int64)
        positions, velocities = sky_from_catalog(parse_catalog(text)).states_at(at)
        wanted = np.array(rows)
        # One object is followed for 1,280 days: minutes as a double are then 1e-8 s apart.
        bound_km = 1e-7 + 1e-13 * float(np.abs(minutes).max())
        assert np.abs(positions[:, 0] - wanted[:, 1:4]).max() < bound_km, f"line {line}: {text}"
        assert np.abs(velocities[:, 0] - wanted[:, 4:7]).max() < 1e-9, f"line {line}: {text}"
        compared += len(rows)
    # 28 objects, one of them twice; four are made to be wrong (under ground, false checksums).
    assert (len(OBJECTS), compared) == (33, 577)


def test_what_vallado_made_wrong_is_refused_for_it() -> None:
    catalog = parse_catalog((files("sgp4") / "SGP4-VER.TLE").read_text())
    assert [(r.line, r.code) for r in catalog.refused] == [
        (87, "underground"), (100, "bad-checksum"), (103, "bad-checksum"),
        (106, "bad-checksum"), (109, "superseded"),
    ]  # fmt: skip
    assert len(catalog.elements) == 28


# --- Skyfield's documentation: the ISS over Bluffton, Ohio ---------------------------------------

ISS = (
    "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082\n"
    "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473\n"
)
PASSES = (("06:25:37", "06:26:58", "06:28:19"), ("12:54:56", "12:56:27", "12:57:58"))


def test_passes_of_the_space_station_within_a_second() -> None:
    """Rise and set are the edges of contacts at 30 degrees, found by our root finder."""
    sky = sky_from_catalog(parse_catalog(ISS), [GroundStation("Bluffton", 40.8939, -83.8917)])
    day = parse_time("2014-01-23")
    plan = build_plan(sky, LinkPolicy(isl="nearest", min_elevation_deg=30.0), day, day + 24 * HOUR)
    found = sorted(zip(plan.begin.tolist(), plan.finish.tolist(), strict=True))
    assert len(found) == len(PASSES)
    for (rise, fall), (told_rise, told_top, told_fall) in zip(found, PASSES, strict=True):
        assert abs(rise - on(told_rise)) <= SECOND
        assert abs(fall - on(told_fall)) <= SECOND
        instants = rise + np.arange(0, fall - rise, SECOND // 10, dtype=np.int64)
        positions, _ = sky.states_at(instants)
        ray = positions[:, 0] - positions[:, 1]
        up = sky.zeniths(instants)[:, 0]
        sine = np.sum(ray * up, axis=1) / np.linalg.norm(ray, axis=1)
        assert abs(int(instants[sine.argmax()]) - on(told_top)) <= SECOND


def on(clock: str) -> Instant:
    """Skyfield prints whole seconds, cut or rounded: the middle of both."""
    return parse_time(f"2014-01-23T{clock}Z")


@pytest.mark.parametrize("hours", [0, 7, 31])
def test_elevation_and_range_against_skyfield_s_own_for_any_hour(hours: int) -> None:
    from skyfield.api import EarthSatellite, load, wgs84

    scale = load.timescale(builtin=True)
    one, two = ISS.splitlines()
    at = parse_time("2014-01-23T11:18:07Z") + hours * HOUR + 3 * MINUTE
    moment = scale.utc(2014, 1, 23, 11 + hours, 21, 7)
    there = wgs84.latlon(40.8939, -83.8917)
    elevation, _, distance = (EarthSatellite(one, two, ts=scale) - there).at(moment).altaz()
    sky = sky_from_catalog(parse_catalog(ISS), [GroundStation("Bluffton", 40.8939, -83.8917)])
    positions, _ = sky.states(at)
    ray = positions[0] - positions[1]
    up = sky.zeniths(np.array([at]))[0, 0]
    range_km = float(np.linalg.norm(ray))
    # UT1 - UTC (-0.1 s here) turns our station by 40 m.
    assert range_km == pytest.approx(distance.km, abs=0.06)
    ours = np.degrees(np.arcsin(float(ray @ up) / range_km))
    assert ours == pytest.approx(elevation.degrees, abs=4e-3)
