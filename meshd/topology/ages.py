"""Old elements: how much of a contact they leave sure.

Measured on Starlink's catalogues of four days (figures in ARCHITECTURE): a day makes 95% of laser
edges late or early by less than 20 s and of ground passes by less than 10 s.
"""

from __future__ import annotations

import numpy as np

from meshd.kernels.edges import Couples
from meshd.kernels.visibility import GROUND
from meshd.topology.contacts import Intervals, later
from meshd.topology.trajectory import IntArray
from protocols.types import HOUR, MINUTE, SECOND, Duration, Instant

LASER_MARGIN_NS_PER_DAY = 20 * SECOND
GROUND_MARGIN_NS_PER_DAY = 10 * SECOND
AGE_MARGIN_MAX_NS: Duration = 2 * MINUTE
"""Elements of a week are past prediction: more margin would not help them."""


def aged(
    seen: Intervals, couples: Couples, epochs: IntArray, span: tuple[Instant, Instant]
) -> Intervals:
    """Intervals shrunk at their edges by what the age of elements makes doubtful there.

    `epochs` has one instant a satellite; `span` is what was looked at: its ends are no edges.
    """
    a, b = couples.a[seen.pair], couples.b[seen.pair]
    ground = couples.kind[seen.pair] == GROUND
    rate = np.where(ground, GROUND_MARGIN_NS_PER_DAY, LASER_MARGIN_NS_PER_DAY)
    other = np.where(ground, a, b)

    def margin(edge: IntArray, whole: int) -> IntArray:
        age = np.maximum(np.abs(edge - epochs[a]), np.abs(edge - epochs[other]))
        # In seconds of age, so that products stay well inside 64 bits.
        doubt = np.minimum(age // SECOND * (rate // (24 * HOUR // SECOND)), AGE_MARGIN_MAX_NS)
        return np.where(edge == whole, 0, doubt)

    return later(seen, margin(seen.begin, span[0]), margin(seen.finish, span[1]))
