"""Medians and their intervals, against cases counted by hand."""

from __future__ import annotations

from math import nan

from hypothesis import given
from hypothesis import strategies as st

from sim.results.compare import verdict_of
from sim.results.interval import Interval, difference, interval_of

VALUES = st.floats(-1e6, 1e6, allow_nan=False)


def test_two_pairs_as_counted_by_hand():
    """Differences 0 and 10. Of the four resamples one is (0, 0), two have the median 5, one is
    (10, 10): a quarter of the medians is 0 and a quarter is 10, so 2.5 % lies at 0, 97.5 % at 10.
    """
    apart, paired = difference({1: 3.0, 2: 4.0}, {1: 3.0, 2: 14.0})
    assert (apart, paired) == (Interval(2, 5.0, 0.0, 10.0), True)


def test_three_values_as_counted_by_hand():
    """Of 27 resamples of (1, 2, 9) seven have the median 1 (26 %), seven 9, thirteen 2."""
    assert interval_of([9.0, 1.0, 2.0]) == Interval(3, 2.0, 1.0, 9.0)


def test_one_in_ten_that_differs_is_not_within_the_interval():
    """Nine zeros and a ten: the median is not 0 when 5 or more of 10 draws are the ten, with
    probability sum of C(10, k) 0.1^k 0.9^(10-k) for k >= 5, 0.16 %: far within the tail."""
    assert interval_of([0.0] * 9 + [10.0]) == Interval(10, 0.0, 0.0, 0.0)


def test_pairs_cancel_what_seeds_have_in_common():
    ours = {seed: 100.0 * seed for seed in range(8)}
    theirs = {seed: 100.0 * seed + 1 for seed in range(8)}
    assert difference(ours, theirs) == (Interval(8, 1.0, 1.0, 1.0), True)
    others = {seed + 8: value for seed, value in theirs.items()}
    apart, paired = difference(ours, others)
    assert not paired
    assert apart.low is not None and apart.low < 0 < (apart.high or 0)


def test_what_was_not_measured_is_left_out():
    assert interval_of([nan, 4.0]) == Interval(1, 4.0)
    assert interval_of([nan]) == Interval(0)
    assert difference({1: nan}, {1: 2.0}) == (Interval(0), False)
    assert difference({1: 1.0, 2: 1.0}, {1: 5.0, 2: nan}) == (Interval(1, 4.0), False)


def test_verdicts_are_plain_words():
    def said(ours: list[float], theirs: list[float]) -> str:
        a, b = dict(enumerate(ours)), dict(enumerate(theirs))
        return verdict_of(difference(a, b)[0], a, b)

    assert said([1, 2], [1, 2]) == "same"
    assert said([1, 2], [2, 3]) == "higher"
    assert said([2, 3], [1, 2]) == "lower"
    assert said([1, 2], [0, 3]) == "unclear"
    assert said([1], [2]) == "differs"
    assert said([1], [1]) == "same"
    assert said([nan], [1]) == ""


@given(st.lists(VALUES, min_size=2, max_size=12))
def test_an_interval_holds_the_median_and_lies_within_the_values(values: list[float]):
    found = interval_of(values)
    assert found.median is not None and found.low is not None and found.high is not None
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    assert interval_of(values) == found


@given(st.dictionaries(st.integers(0, 20), VALUES, min_size=2, max_size=8))
def test_nothing_differs_from_itself(values: dict[int, float]):
    apart, _ = difference(values, values)
    assert (apart.median, apart.low, apart.high) == (0, 0, 0)
    assert verdict_of(apart, values, values) == "same"
