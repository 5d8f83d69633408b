"""Interval: a median and how sure it is, by the percentile bootstrap; the same on every run.

10,000 resamples by numpy's default generator from a fixed seed (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13). With few values an interval is coarse: two or
three say little, and eight or more are wanted before it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20_260_101
_CELLS_MAX = 4_000_000
"""Resamples are drawn so many values at a time."""


class Interval(msgspec.Struct, frozen=True):
    """Of `n` values the median, and 95 % of its bootstrap between `low` and `high`.

    One value has no interval, none no median.
    """

    n: int
    median: float | None = None
    low: float | None = None
    high: float | None = None


def interval_of(values: Sequence[float]) -> Interval:
    """NaN, a figure there was none of, is left out."""
    known = np.array([value for value in values if value == value], dtype=np.float64)
    if known.size == 0:
        return Interval(0)
    median = float(np.median(known))
    if known.size == 1:
        return Interval(1, median)
    return Interval(int(known.size), median, *_cut(_medians(known, _generator())))


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[Interval, bool]:
    """Theirs less ours, by seed, and whether they were paired.

    Runs of one seed have the same workload, so where both sides have the same seeds the
    differences of each pair are what is resampled: what seeds have in common cancels. Otherwise
    each side is resampled by itself.
    """
    mine = {seed: value for seed, value in ours.items() if value == value}
    other = {seed: value for seed, value in theirs.items() if value == value}
    if not mine or not other:
        return Interval(0), False
    if sorted(mine) == sorted(other):
        return interval_of([other[seed] - mine[seed] for seed in sorted(mine)]), True
    a, b = np.array(list(mine.values())), np.array(list(other.values()))
    median = float(np.median(b) - np.median(a))
    n = min(a.size, b.size)
    if n < 2:
        return Interval(n, median), False
    generator = _generator()
    spread = _medians(b, generator) - _medians(a, generator)
    return Interval(n, median, *_cut(spread)), False


def _generator() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _medians(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The median of each of RESAMPLES resamples."""
    rows = max(1, _CELLS_MAX // values.size)
    found = []
    for begin in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - begin)
        found.append(np.median(generator.choice(values, (count, values.size)), axis=1))
    return np.concatenate(found)


def _cut(medians: np.ndarray) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)
