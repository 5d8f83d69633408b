"""How old elements are, and what their age costs: an orbit drifts from what was predicted of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from meshd.ephemeris.elements import Elements, semi_major_axis_km
from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.timescale import DAY
from protocols.types import HOUR, Duration, Instant


@dataclass(frozen=True, slots=True)
class _Band:
    """Altitudes that drift alike: how old elements may be there, and km along the track by days."""

    name: str
    below_km: float
    fresh_ns: Duration
    fresh_told: str
    drift_km: tuple[tuple[float, float, float], ...]  # days, median, 95th percentile


# Measured on two catalogues of all Starlink satellites some days apart: the later one's positions
# less those predicted from the earlier. Drag and manoeuvres rule the lower band.
_BANDS = (
    _Band("below 420 km", 420.0, 6 * HOUR, "six hours",
          ((0, 0, 0), (1, 84, 322), (2, 236, 895), (3, 800, 3_658))),
    _Band("above 420 km", float("inf"), DAY, "a day",
          ((0, 0, 0), (1, 5, 40), (2, 8, 102), (3, 13, 178))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ages:
    """How far from an instant the epochs of element sets are, before or after it."""

    count: int
    median_ns: Duration
    oldest_ns: Duration
    oldest: str


def ages(elements: Sequence[Elements], at: Instant) -> Ages | None:
    """The ages of element sets at an instant; None for none."""
    if not elements:
        return None
    old = np.array([abs(at - e.epoch) for e in elements], dtype=np.int64)
    worst = int(old.argmax())
    return Ages(len(old), int(np.median(old)), int(old[worst]), elements[worst].name)


def stale_told(elements: Sequence[Elements], at: Instant) -> list[str]:
    """A line for each band of altitudes whose elements are too old at an instant, with the cost."""
    told, least_km = [], 0.0
    altitude = [semi_major_axis_km(e.mean_motion_rev_day) - EARTH_RADIUS_KM for e in elements]
    for band in _BANDS:
        here = [e for e, h in zip(elements, altitude, strict=True) if least_km <= h < band.below_km]
        least_km = band.below_km
        found = ages(here, at)
        if found is None or found.oldest_ns <= band.fresh_ns:
            continue
        late = sum(abs(at - e.epoch) > band.fresh_ns for e in here)
        if found.median_ns > band.fresh_ns:
            told.append(
                f"elements of {found.count} satellites {band.name} are {_days(found.median_ns)} "
                f"from their epoch at the median, {_days(found.oldest_ns)} at most "
                f"({found.oldest}): {_cost(band, found.median_ns)}; fetch elements at most "
                f"{band.fresh_told} old"
            )
        else:
            told.append(
                f"elements of {late} of {found.count} satellites {band.name} are more than "
                f"{band.fresh_told} from their epoch, {found.oldest}'s {_days(found.oldest_ns)}: "
                f"{_cost(band, found.oldest_ns)}"
            )
    return told


def _cost(band: _Band, age_ns: Duration) -> str:
    """What an age costs, between the days that were measured."""
    days = age_ns / DAY
    for (d0, m0, p0), (d1, m1, p1) in pairwise(band.drift_km):
        if days <= d1:
            share = (days - d0) / (d1 - d0)
            median, most = m0 + share * (m1 - m0), p0 + share * (p1 - p0)
            return f"then off by about {median:.0f} km along the track, 1 in 20 by {most:.0f} km"
    _, median, most = band.drift_km[-1]
    return f"then off by more than {median:.0f} km along the track, 1 in 20 by {most:.0f} km"


def _days(age_ns: Duration) -> str:
    return f"{age_ns / HOUR:.1f} h" if age_ns < 2 * DAY else f"{age_ns / DAY:.1f} days"
