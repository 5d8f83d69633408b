from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.adapters.clock import MissionClock, parse_epoch, parse_instant
from meshd.ports import ClockPort
from protocols.errors import InputError
from protocols.types import HOUR, SECOND

UTC_2026 = parse_instant("2026-01-01T00:00:00Z")


@dataclass
class Oscillator:
    """A computer's two clocks: one that counts, one that people set."""

    counted: int = 5 * HOUR
    utc: int = UTC_2026

    def monotonic_ns(self) -> int:
        return self.counted

    def time_ns(self) -> int:
        return self.utc

    def run(self, ns: int) -> None:
        self.counted += ns
        self.utc += ns


def clock(
    oscillator: Oscillator, epoch: int | None = None, speed: float = 1.0, anchor: int | None = None
) -> MissionClock:
    return MissionClock(
        epoch, speed, anchor, time_ns=oscillator.time_ns, monotonic_ns=oscillator.monotonic_ns
    )


def test_without_an_epoch_it_is_utc() -> None:
    oscillator = Oscillator()
    port: ClockPort = clock(oscillator)
    assert port.now() == UTC_2026
    oscillator.run(3 * SECOND)
    assert port.now() == UTC_2026 + 3 * SECOND


def test_a_step_of_utc_does_not_reach_the_mission() -> None:
    oscillator = Oscillator()
    mission = clock(oscillator)
    oscillator.run(SECOND)
    oscillator.utc -= HOUR
    assert mission.now() == UTC_2026 + SECOND


def test_processes_share_one_mission() -> None:
    oscillator = Oscillator()
    epoch, anchor = parse_epoch("2030-06-01T00:00:00Z@2026-01-01T00:00:10Z")
    early = clock(oscillator, epoch, 60.0, anchor)
    assert early.now() == epoch - 600 * SECOND
    oscillator.run(30 * SECOND)
    oscillator.counted += HOUR  # another process: its clock counts from elsewhere
    late = clock(oscillator, epoch, 60.0, anchor)
    oscillator.counted -= HOUR
    assert early.now() == epoch + 1200 * SECOND
    oscillator.counted += HOUR
    assert late.now() == epoch + 1200 * SECOND


def test_epoch_without_anchor_starts_now() -> None:
    oscillator = Oscillator()
    mission = clock(oscillator, 1000, 2.0)
    assert mission.now() == 1000
    oscillator.run(7)
    assert mission.now() == 1014


@given(
    st.floats(min_value=1e-3, max_value=1e5),
    st.lists(st.integers(min_value=0, max_value=10**15), max_size=20),
)
def test_it_never_goes_back(speed: float, steps: list[int]) -> None:
    oscillator = Oscillator()
    mission = clock(oscillator, UTC_2026, speed)
    last = mission.now()
    for step in steps:
        oscillator.run(step)
        assert mission.now() >= last
        last = mission.now()


@given(st.floats(min_value=1e-3, max_value=1e5), st.integers(min_value=1, max_value=10**15))
def test_waiting_as_told_is_enough(speed: float, wait: int) -> None:
    oscillator = Oscillator()
    mission = clock(oscillator, UTC_2026, speed)
    seconds = mission.real_seconds_until(UTC_2026 + wait)
    oscillator.run(math.ceil(seconds * SECOND))
    assert mission.now() >= UTC_2026 + wait
    assert seconds == pytest.approx(wait / speed / SECOND, rel=1e-12, abs=2e-9)


def test_the_past_needs_no_waiting() -> None:
    mission = clock(Oscillator())
    assert mission.real_seconds_until(UTC_2026) == 0
    assert mission.real_seconds_until(UTC_2026 - 1) == 0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_speeds_that_are_not(speed: float) -> None:
    with pytest.raises(InputError, match="more than 0"):
        MissionClock(speed=speed)


def test_parse() -> None:
    assert parse_instant("1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert parse_instant("2026-01-01T01:00:00+01:00") == UTC_2026
    assert parse_instant("2000-01-01T12:00:00Z") == 946_728_000 * SECOND
    assert parse_epoch("2026-01-01T00:00:00Z") == (UTC_2026, None)


@pytest.mark.parametrize("text", ["", "now", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "@"])
def test_times_that_are_not(text: str) -> None:
    with pytest.raises(InputError, match="2026-03-20T12:00:00Z") as caught:
        parse_epoch(text)
    assert caught.value.code == "bad-time"


def test_a_real_clock_runs() -> None:
    mission = MissionClock(speed=1000.0)
    assert mission.now() <= mission.now()
