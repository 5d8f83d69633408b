"""The Sun is where the planetary ephemeris of JPL has it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meshd.ephemeris.sun import sun_direction
from meshd.ephemeris.timescale import DAY, FloatArray, format_time, parse_time

# The package's table of the Earth's rotation ages; only its planets are used here.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    skyfield_data = pytest.importorskip("skyfield_data")


def apparent_sun(instants: list[int]) -> FloatArray:
    """DE421 through Skyfield, apparent place in TEME: (K, 3)."""
    from skyfield.api import load, load_file
    from skyfield.sgp4lib import TEME

    planets: Any = load_file(str(Path(skyfield_data.get_skyfield_data_path()) / "de421.bsp"))
    jd = np.array(instants) / DAY
    at = load.timescale(builtin=True).utc(1970, 1, 1 + jd)
    seen = planets["earth"].at(at).observe(planets["sun"]).apparent().frame_xyz(TEME).au
    return np.asarray(seen / np.linalg.norm(seen, axis=0)).T


def test_the_sun_against_de421_within_a_hundredth_of_a_degree() -> None:
    first, last = parse_time("1990-01-01"), parse_time("2050-01-01")
    instants = np.linspace(first, last, 2_503).astype(np.int64)
    ours, theirs = sun_direction(instants), apparent_sun(instants.tolist())
    away = np.degrees(2 * np.arcsin(np.linalg.norm(ours - theirs, axis=1) / 2))
    worst = int(away.argmax())
    assert away[worst] < 0.01, format_time(int(instants[worst]))
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-14)


def test_the_seasons() -> None:
    # Equinox and solstice of June 2026 (USNO): 20 March 14:46 and 21 June 08:24 UTC.
    equinox, solstice = sun_direction(
        np.array([parse_time("2026-03-20T14:46:00Z"), parse_time("2026-06-21T08:24:00Z")])
    )
    assert equinox == pytest.approx((1, 0, 0), abs=2e-4)
    assert np.degrees(np.arcsin(solstice[2])) == pytest.approx(23.436, abs=2e-3)
