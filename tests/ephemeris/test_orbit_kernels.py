"""The kernels of steady orbits against the same in plain numpy and plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import WALKER_EPOCH, CircularJ2, Shell
from meshd.ephemeris.propagate import EARTH_RADIUS_KM, j2_rates_rad_s
from meshd.ephemeris.timescale import DAY, FloatArray, IntArray
from meshd.kernels.orbits import kepler, turned
from protocols.types import HOUR

SHELLS = (
    Shell("a", 5, 7, 550.0, 53.0, "delta", 3, raan_offset_deg=11.0, anomaly_offset_deg=5.0),
    Shell("b", 3, 7, 1200.0, 87.9, "star", 1),
    Shell("c", 2, 13, 700.0, 98.2, "delta", 1),
)


def plainly(shells: tuple[Shell, ...], instants: IntArray) -> tuple[FloatArray, FloatArray]:
    """Every satellite by itself, from the definition of a Walker shell."""
    positions, velocities = [], []
    t = (instants - WALKER_EPOCH) / 1e9
    for shell in shells:
        rates = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg)
        r = EARTH_RADIUS_KM + shell.altitude_km
        i = math.radians(shell.inclination_deg)
        for plane in range(shell.planes):
            for slot in range(shell.slots):
                node = shell.raan_offset_deg + plane * shell.arc_deg / shell.planes
                u = shell.anomaly_offset_deg + slot * 360 / shell.slots
                u += plane * shell.phasing * 360 / shell.total
                n, w = math.radians(node) + rates.node * t, math.radians(u) + rates.latitude * t
                p = r * np.stack(
                    [
                        np.cos(n) * np.cos(w) - np.sin(n) * np.sin(w) * math.cos(i),
                        np.sin(n) * np.cos(w) + np.cos(n) * np.sin(w) * math.cos(i),
                        np.sin(w) * math.sin(i),
                    ]
                )
                along = r * np.stack(
                    [
                        -np.cos(n) * np.sin(w) - np.sin(n) * np.cos(w) * math.cos(i),
                        -np.sin(n) * np.sin(w) + np.cos(n) * np.cos(w) * math.cos(i),
                        np.cos(w) * math.sin(i),
                    ]
                )
                turning = np.stack([-p[1], p[0], np.zeros_like(t)])
                positions.append(p.T)
                velocities.append((along * rates.latitude + turning * rates.node).T)
    return np.stack(positions, axis=1), np.stack(velocities, axis=1)


def test_circular_orbits_against_their_definition() -> None:
    at = WALKER_EPOCH + np.array([-DAY, 0, 1, HOUR, 3 * DAY + 7, 30 * DAY], dtype=np.int64)
    ours, theirs = CircularJ2.of(SHELLS).states(at), plainly(SHELLS, at)
    # A micrometre; what is left is the plain one's rounding of long angles.
    assert ours[0] == pytest.approx(theirs[0], abs=1e-8)
    assert ours[1] == pytest.approx(theirs[1], abs=1e-11)


def test_mean_motions_are_by_satellite() -> None:
    flying = CircularJ2.of(SHELLS)
    motions = flying.mean_motions_rad_s()
    assert motions.shape == (flying.count,) == (82,)
    for site, shell in ((0, SHELLS[0]), (35, SHELLS[1]), (81, SHELLS[2])):
        rate = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg).latitude
        assert motions[site] == rate


@given(st.floats(0, 6.283185), st.floats(0, 0.95))
def test_kepler_s_equation_is_solved(mean: float, e: float) -> None:
    anomaly = kepler(mean, e)
    assert anomaly - e * math.sin(anomaly) == pytest.approx(mean, abs=1e-13)


@given(st.floats(-1e-5, 1.2e-3), st.integers(-4_000 * DAY, 4_000 * DAY))
def test_a_steady_turn_by_days_is_the_turn(rate: float, since: int) -> None:
    whole = rate * (since / 1e9)
    away = (turned(rate, since) - whole + math.pi) % (2 * math.pi) - math.pi
    assert abs(away) < 1e-9
