"""Objectives: what a best path is the least of. The cost of a path is the sum over its links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meshd.kernels.bends import Spans
from meshd.topology.trajectory import FloatArray
from protocols.errors import InputError
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S, Duration, light_time

NS_PER_KM = SECOND / SPEED_OF_LIGHT_KM_S

ENERGY_RANGE_KM = 2_000.0
"""At this range sending costs as much as being a hop: receiving, switching, pointing."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The cost of a link `l` nanoseconds of light long: `hop + l + square * l**2` (or without l).

    All costs are in nanoseconds, and none is less than the link's light time, so a straight line
    to the target is a bound under every objective.
    """

    name: str
    hop: float
    linear: float
    square: float

    def cost(self, light_ns: Any) -> Any:
        """Cost of a link of this light time, for numbers and arrays."""
        return self.hop + light_ns * (self.linear + self.square * light_ns)

    def whole_cost(self, light_ns: Duration) -> int:
        """The cost in whole nanoseconds, so that every processor orders paths alike."""
        return light_ns if self is DELAY else round(self.cost(light_ns))

    def ends(self, spans: Spans) -> tuple[FloatArray, FloatArray]:
        """The costs of links at both ends of a span, ns."""
        begin, finish = spans.begin_km * NS_PER_KM, spans.finish_km * NS_PER_KM
        return self.cost(begin), self.cost(finish)

    def bends(self, spans: Spans) -> tuple[FloatArray, FloatArray]:
        """By how much at most a link's cost curves up and down over a span, ns / s^2 (both >= 0).

        A length's second derivative is (across^2 + along . pull) / length with `across` the
        relative speed across the line: never less than -pull.
        """
        least_km = np.maximum(spans.least_km, 1e-9)  # as good as infinite, and no NaN follows
        up = NS_PER_KM * (spans.speed_km_s**2 / least_km + spans.pull_km_s2)
        down = NS_PER_KM * spans.pull_km_s2
        square = 2 * self.square * NS_PER_KM**2
        if square:
            swing = spans.most_km * spans.pull_km_s2
            return square * (spans.speed_km_s**2 + swing), square * swing
        return self.linear * up, self.linear * down


DELAY = Objective("delay", 0.0, 1.0, 0.0)

HOPS = Objective("hops", 1e10, 1.0, 0.0)
"""A hop costs more light time than any path has: of those with fewest hops the quickest."""

_ENERGY_NS = float(light_time(ENERGY_RANGE_KM))
ENERGY = Objective("energy", _ENERGY_NS, 0.0, 1 / _ENERGY_NS)
"""Light spreads, so sending over a link costs as the square of its range."""

OBJECTIVES = {objective.name: objective for objective in (DELAY, HOPS, ENERGY)}


def objective_of(name: str) -> Objective:
    """The objective of this name. Raises InputError "bad-objective"."""
    found = OBJECTIVES.get(name.strip().lower())
    if found is None:
        known = ", ".join(OBJECTIVES)
        raise InputError("bad-objective", f"no objective is called {name!r}; write one of {known}")
    return found


def energy_hops(cost_ns: float) -> float:
    """An energy cost in units of what one hop costs besides its sending."""
    return cost_ns / _ENERGY_NS
