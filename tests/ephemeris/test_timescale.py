"""Instants, Julian dates and the text people write."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris.timescale import (
    DAY,
    format_time,
    from_julian_date,
    gmst,
    gmst_rad,
    julian_date,
    parse_duration,
    parse_time,
)
from protocols.errors import InputError
from protocols.types import HOUR, MILLISECOND, MINUTE, SECOND

INSTANTS = st.integers(min_value=-(10**18), max_value=4 * 10**18)


@given(INSTANTS)
def test_julian_date_round_trips_to_the_nanosecond(at: int) -> None:
    jd, fraction = julian_date(at)
    assert 0.0 <= fraction < 1.0 or fraction == pytest.approx(1.0)
    assert abs(from_julian_date(jd, fraction) - at) <= 1


def test_julian_date_of_j2000() -> None:
    assert julian_date(parse_time("2000-01-01T12:00:00Z")) == (2_451_544.5, 0.5)


def test_gmst_against_vallado() -> None:
    # Vallado, Fundamentals of Astrodynamics, example 3-5: 1992-08-20 12:14 UT1, 152.578787886 deg.
    assert math.degrees(gmst(parse_time("1992-08-20T12:14:00Z"))) == pytest.approx(
        152.578787886, abs=1e-6
    )


def test_gmst_is_smooth_at_the_nanosecond() -> None:
    at = parse_time("2026-06-28T12:00:00Z") + np.arange(0, 1_000_000, 1_000, dtype=np.int64)
    steps = np.diff(gmst_rad(at))
    assert np.abs(steps - 7.2921158e-11).max() < 2e-12


@given(INSTANTS)
def test_time_text_round_trips_to_the_millisecond(at: int) -> None:
    assert parse_time(format_time(at)) == at // MILLISECOND * MILLISECOND


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-02", DAY),
        ("1970-01-01T01:02Z", HOUR + 2 * MINUTE),
        ("1970-01-01 00:00:00.000000001Z", 1),
        ("2026-06-28T12:00:00Z", 1_782_648_000 * SECOND),
    ],
)
def test_iso_times(text: str, instant: int) -> None:
    assert parse_time(text) == instant


@pytest.mark.parametrize(
    "text",
    ["", "now", "+20m", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
     "2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00.1234567891Z", "٢٠٢٦-01-01", "0000-01-01"],
)  # fmt: skip
def test_bad_times_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_time(text)
    assert caught.value.code == "bad-time"


def test_relative_times_need_a_base() -> None:
    assert parse_time("+20m", base=5) == 5 + 20 * MINUTE
    assert parse_time("-30s", base=MINUTE) == 30 * SECOND


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90 * SECOND), ("20m", 20 * MINUTE), ("2h", 2 * HOUR), ("1d", DAY),
     ("1h30m", 90 * MINUTE), ("1.5h", 90 * MINUTE), ("250ms", 250 * MILLISECOND)],
)  # fmt: skip
def test_durations(text: str, length: int) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "s", "20", "-5s", "5 m", "1e3s", "nan", "5y"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_duration(text)
    assert caught.value.code == "bad-duration"
