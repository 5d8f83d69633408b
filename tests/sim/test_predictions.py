"""Predictions against an independent computation, and what arrives against predictions.

SGP4 is called directly on the element sets, stations are placed by formulas written down here, and
light goes straight. Transmission is counted from the frames of the run's own trace.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import pytest
from sgp4.api import Satrec, jday
from typer.testing import CliRunner

import protocols
from meshd.ephemeris import find_city
from protocols.forward import Packet
from protocols.frame import LENGTH_BYTES
from protocols.types import MICROSECOND, SECOND, Instant
from sim.cli import app
from sim.outcome import Outcome, PacketFate
from sim.results.folder import Kept, read
from sim.results.tracefile import TRACE, entries

HERE = Path(__file__).resolve()
CATALOG = HERE.parents[2] / "sim/experiments/oneweb-2025-09-23.tle"
LIGHT_KM_S = 299_792.458
EARTH_KM, FLATTENING = 6378.137, 1 / 298.257223563
LASER_BPS, GROUND_BPS = 100e9, 10e9


def run(folder: Path, *words: str) -> Kept:
    result = CliRunner().invoke(app, ["run", *words, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return read(folder)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """326 satellites as they flew, and 200 packets."""
    return run(tmp_path_factory.mktemp("real") / "run", "real-catalog")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """All 1,684 nodes of shell-1, for fewer packets."""
    words = ("--set", "packets.0.count=400", "--set", "expect.packets_sent=400")
    words = (*words, "--set", "expect.packets_delivered=400", "--set", "duration=10s")
    return run(tmp_path_factory.mktemp("shell") / "run", "shell-1", *words)


def teme_of_city(name: str, at: Instant) -> tuple[float, float, float]:
    """A station on the WGS-84 ellipsoid, turned by GMST (IAU 1982, Vallado 3-45)."""
    city = find_city(name)
    latitude, longitude = math.radians(city.latitude_deg), math.radians(city.longitude_deg)
    e2 = FLATTENING * (2 - FLATTENING)
    n = EARTH_KM / math.sqrt(1 - e2 * math.sin(latitude) ** 2)
    days, rest = divmod(at, 86_400 * SECOND)
    t = (days + 2_440_587.5 + rest / (86_400 * SECOND) - 2_451_545.0) / 36_525
    seconds = 67_310.54841 + (876_600 * 3600 + 8_640_184.812866) * t + 0.093104 * t**2
    turn = longitude + math.radians(seconds / 240 % 360)
    height = n * (1 - e2) * math.sin(latitude)
    return n * math.cos(latitude) * math.cos(turn), n * math.cos(latitude) * math.sin(turn), height


def satellites() -> dict[str, Satrec]:
    lines = CATALOG.read_text().splitlines()
    triples = zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    return {name.strip(): Satrec.twoline2rv(one, two) for name, one, two in triples}


def teme_of_satellite(satellite: Satrec, at: Instant) -> tuple[float, float, float]:
    days, rest = divmod(at, 86_400 * SECOND)
    base, fraction = jday(1970, 1, 1, 0, 0, 0)
    error, position, _ = satellite.sgp4(base + days, fraction + rest / (86_400 * SECOND))
    assert error == 0
    return tuple(position)


def test_predictions_are_straight_light_between_sgp4_positions(real: Kept):
    flying, checked = satellites(), 0
    for fate in real.outcome.packets[::7]:
        assert fate.predicted_at is not None
        at = float(fate.sent_at)
        for here, there in zip(fate.predicted_path, fate.predicted_path[1:], strict=False):
            ends = [
                teme_of_satellite(flying[name], round(at))
                if name in flying
                else teme_of_city(name, round(at))
                for name in (here, there)
            ]
            at += math.dist(*ends) / LIGHT_KM_S * SECOND
        assert abs(at - fate.predicted_at) < MICROSECOND, fate
        checked += 1
    assert checked >= 25


def hops_of(kept: Kept) -> dict[str, dict[tuple[str, str], int]]:
    """For each packet, the bytes of the first frame that carried it over each hop of its way."""
    names = kept.outcome.nodes
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries(kept.path / TRACE):
        if entry.what == ">SendFrame" and b"\xa6packet" in entry.body[:16]:
            message = protocols.LINK.decode(entry.body)
            assert isinstance(message, Packet)
            sizes[message.id].setdefault(names[entry.node], len(entry.body) + LENGTH_BYTES)
    return {
        fate.packet: {
            (here, there): sizes[fate.packet][here]
            for here, there in zip(fate.path, fate.path[1:], strict=False)
        }
        for fate in kept.outcome.packets
    }


def transmission_ns(outcome: Outcome, hops: dict[tuple[str, str], int], grounds: set[str]) -> float:
    return sum(
        size * 8 * SECOND / (GROUND_BPS if grounds & set(hop) else LASER_BPS)
        for hop, size in hops.items()
    )


def on_an_open_path(fate: PacketFate) -> bool:
    return fate.path == fate.predicted_path and (fate.excess_ns or 0) < 50 * MICROSECOND


@pytest.mark.parametrize("which", ["real", "shell"])
def test_packets_arrive_when_predicted_plus_their_transmission(
    which: str, request: pytest.FixtureRequest
):
    kept: Kept = request.getfixturevalue(which)
    hops, grounds = hops_of(kept), set(kept.record.asked.stations)
    fates = kept.outcome.packets
    smooth = [fate for fate in fates if on_an_open_path(fate)]
    assert len(smooth) >= 0.9 * len(fates)
    within = 0
    for fate in smooth:
        assert fate.excess_ns is not None
        rest = fate.excess_ns - transmission_ns(kept.outcome, hops[fate.packet], grounds)
        assert rest > -MICROSECOND, fate  # nothing is early
        within += rest < MICROSECOND
    # The others shared a link with another frame at that instant: queueing.
    assert within >= 0.95 * len(smooth)
