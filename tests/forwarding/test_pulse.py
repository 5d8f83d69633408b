"""Silence on a link is noticed within two beats and a round trip; mere loss is not taken for it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.forwarding.pulse import ASKS, BEAT_NS, Greeted, Pulse
from protocols.types import MILLISECOND, SECOND, Duration, Instant, LinkId

T0 = 1_000 * SECOND
L1, L2 = LinkId(1), LinkId(2)
DIALLED = Greeted(dialled=True, delay_ns=5 * MILLISECOND)
ACCEPTED = Greeted(dialled=False, delay_ns=5 * MILLISECOND)


def until_silent(pulse: Pulse, late_ns: Duration = 0) -> tuple[list[Instant], Instant]:
    """Wake it whenever it wants, or so much later: when it asked, and when it gave up."""
    asked = []
    while True:
        at = pulse.next_deadline()
        assert at is not None
        ask, silent = pulse.due(at + late_ns)
        asked += [at + late_ns] * len(ask)
        if silent:
            return asked, at + late_ns


@pytest.mark.parametrize(("hello", "first_ns"), [(DIALLED, BEAT_NS), (ACCEPTED, BEAT_NS * 5 // 4)])
def test_a_silent_link_is_asked_five_times_and_given_up(hello: Greeted, first_ns: Duration) -> None:
    pulse = Pulse(BEAT_NS)
    pulse.begin(L1, T0, hello)
    asked, gave_up = until_silent(pulse)
    assert len(asked) == ASKS
    assert asked[0] == T0 + first_ns
    assert gave_up == T0 + 2 * BEAT_NS + 2 * hello.delay_ns


def test_any_frame_is_life() -> None:
    pulse = Pulse(BEAT_NS)
    pulse.begin(L1, T0, DIALLED)
    for tenth in range(1, 200):
        now = T0 + tenth * BEAT_NS // 10
        pulse.heard(L1, now)
        assert pulse.due(now) == ([], [])
    _, gave_up = until_silent(pulse)
    assert gave_up == now + 2 * BEAT_NS + 2 * DIALLED.delay_ns


def test_only_the_silent_link_of_two_is_given_up() -> None:
    pulse = Pulse(BEAT_NS)
    for link in (L1, L2):
        pulse.begin(link, T0, DIALLED)
    pulse.heard(L2, T0 + BEAT_NS)
    now = pulse.next_deadline()
    assert now is not None
    while now < T0 + 2 * BEAT_NS + 2 * DIALLED.delay_ns:
        assert L2 not in pulse.due(now)[1]
        pulse.heard(L2, now)
        now = pulse.next_deadline()
        assert now is not None
    assert pulse.due(now)[1] == [L1]


def test_an_answer_measures_the_way() -> None:
    pulse = Pulse(BEAT_NS)
    pulse.begin(L1, T0, DIALLED)
    assert pulse.delay_ns(L1) is None
    for trip_ms in (14, 9, 30):
        pulse.answered(L1, T0, T0 + trip_ms * MILLISECOND)
    assert pulse.delay_ns(L1) == 4_500_000
    pulse.end(L1)
    assert pulse.delay_ns(L1) is None and pulse.next_deadline() is None


@given(st.integers(0, 10**9), st.floats(0, 0.05), st.integers(1, 200))
def test_two_ends_keep_a_link_that_loses_frames(seed: int, loss: float, light_ms: int) -> None:
    """Both ends under one seed's losses, for ten minutes of saying nothing else."""
    rng, light = Random(seed), light_ms * MILLISECOND
    ends = (Pulse(BEAT_NS), Pulse(BEAT_NS))
    for dialled, pulse in zip((True, False), ends, strict=True):
        pulse.begin(L1, T0, Greeted(dialled, light))
    coming: list[tuple[Instant, int, bool]] = []
    now = T0
    while now < T0 + 600 * SECOND:
        deadlines = [at for pulse in ends if (at := pulse.next_deadline()) is not None]
        now = min([*deadlines, *(at for at, _, _ in coming)])
        arrived = [item for item in coming if item[0] <= now]
        coming = [item for item in coming if item[0] > now]
        for _, to, asks in arrived:
            ends[to].heard(L1, now)
            if asks and rng.random() >= loss:
                coming.append((now + light, 1 - to, False))
        for number, pulse in enumerate(ends):
            ask, silent = pulse.due(now)
            assert not silent
            coming += [(now + light, 1 - number, True) for _ in ask if rng.random() >= loss]


def test_who_was_away_does_not_take_that_for_silence() -> None:
    pulse = Pulse(BEAT_NS)
    pulse.begin(L1, T0, DIALLED)
    at = pulse.next_deadline()
    assert at is not None
    away = 10 * SECOND
    assert pulse.due(at + away) == ([L1], []), "its ten seconds were nobody's silence"
    _, gave_up = until_silent(pulse)
    assert gave_up > at + away + 2 * BEAT_NS, "and it is patient for a while"


def test_who_is_slow_gives_up_later_than_who_is_not() -> None:
    slow, quick = Pulse(BEAT_NS), Pulse(BEAT_NS)
    for pulse in (slow, quick):
        pulse.begin(L1, T0, DIALLED)
    assert until_silent(slow, 300 * MILLISECOND)[1] > until_silent(quick)[1] + SECOND


def test_a_slow_contact_has_time_for_what_stands_before_an_answer() -> None:
    pulse = Pulse(BEAT_NS)
    pulse.begin(L1, T0, DIALLED._replace(queue_ns=3 * SECOND))
    assert until_silent(pulse)[1] == T0 + 5 * SECOND + 2 * DIALLED.delay_ns


def test_without_a_beat_nothing_is_watched() -> None:
    pulse = Pulse(0)
    pulse.begin(L1, T0, DIALLED)
    assert pulse.next_deadline() is None
