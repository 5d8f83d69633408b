"""Tabulated ephemerides: states at instants, as operators publish them, and what lies between."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from meshd.ephemeris.elements import Refused
from meshd.ephemeris.names import fold
from meshd.ephemeris.propagate import (
    EARTH_RADIUS_KM,
    MU_KM3_S2,
    Failure,
    States,
    j2_rates_rad_s,
)
from meshd.ephemeris.timescale import FloatArray, IntArray, format_time
from protocols.errors import InputError
from protocols.types import SECOND, Instant

# Kernels are imported where they are called: numba takes 0.3 s, and most who name a sky read no
# tables.
if TYPE_CHECKING:
    from meshd.kernels.tables import Nodes

Method: TypeAlias = Literal["hermite", "lagrange"]

STATES_MAX = 30_000_000
"""States of one sky: 1.7 GB. All of Starlink's three days at 60 s are 48 million."""

OUTSIDE_TABLE = 100
"""Failure code: beyond SGP4's own."""


@dataclass(frozen=True, slots=True)
class Segment:
    """States (n, 6) of one satellite in TEME (km, km/s) at rising instants (n,) of UTC.

    It holds from `begin` to `finish`, both included. `digest` is sha256 (hex) over the numbers
    as they were written, before any turning, which could differ between processors by a last bit.
    """

    name: str
    instants: IntArray
    states: FloatArray
    begin: Instant
    finish: Instant
    method: Method
    degree: int
    digest: str


@dataclass(frozen=True, slots=True)
class Tabulated:
    """What a file of tables gave: its segments in file order, and those refused."""

    segments: tuple[Segment, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Tables:
    """Satellites that are where their tables say; outside them they have no state.

    `digest` is sha256 (hex) over all segments.
    """

    names: tuple[str, ...]
    digest: str
    motions: tuple[Motion, ...] = field(repr=False, compare=False)
    nodes: Nodes = field(repr=False, compare=False)

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> Tables:
        """The segments by satellite, those of one name together, in order of first appearance.

        Where two of a satellite hold, the one that begins later counts: whoever made it knew
        more, of a manoeuvre for one. Raises InputError "ephemeris-too-large".
        """
        by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            by_name.setdefault(fold(segment.name), []).append(segment)
        ordered = [
            segment
            for group in by_name.values()
            for segment in sorted(group, key=lambda segment: segment.begin)
        ]
        sizes = [segment.instants.size for segment in ordered]
        check_size(sum(sizes))
        digest = hashlib.sha256("".join(s.digest for s in ordered).encode()).hexdigest()
        names = tuple(group[0].name for group in by_name.values())
        longest = [max(g, key=lambda s: s.finish - s.begin) for g in by_name.values()]
        motions = tuple(motion_of(segment) for segment in longest)
        nodes = _nodes(ordered, sizes, [len(g) for g in by_name.values()])
        return cls(names, digest, motions, nodes)

    @property
    def count(self) -> int:
        return len(self.names)

    def mean_motions_rad_s(self) -> FloatArray:
        """Mean anomaly's rate, as in element sets, over each satellite's longest segment."""
        return np.array([motion.anomaly for motion in self.motions])

    def epochs(self) -> IntArray | None:
        """When each ephemeris begins: whoever made it knew no more."""
        return np.asarray(self.nodes.begin[self.nodes.of[:-1]], dtype=np.int64)

    def states(self, instants: IntArray) -> States:
        from meshd.kernels.tables import table_states

        instants = np.ascontiguousarray(instants, dtype=np.int64)
        positions = np.empty((instants.size, self.count, 3))
        velocities = np.empty_like(positions)
        table_states(self.nodes, instants, positions, velocities)
        return positions, velocities

    def orbits(self, instants: IntArray) -> States:
        from meshd.kernels.tables import continued

        instants = np.ascontiguousarray(instants, dtype=np.int64)
        positions = np.empty((instants.size, self.count, 3))
        velocities = np.empty_like(positions)
        turns = np.array([(motion.latitude, motion.node) for motion in self.motions])
        continued(self.nodes, turns, instants, positions, velocities)
        return positions, velocities

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        positions, _ = self.states(instants)
        lost = np.isnan(positions[:, :, 0]).any(axis=0)
        return tuple(
            Failure(site, self.names[site], OUTSIDE_TABLE, f"its ephemeris is {self.span(site)}")
            for site in np.flatnonzero(lost).tolist()
        )

    def span(self, site: int) -> str:
        """When a satellite has states, in words."""
        segments = range(int(self.nodes.of[site]), int(self.nodes.of[site + 1]))
        ends = [(int(self.nodes.begin[s]), int(self.nodes.finish[s])) for s in segments]
        told = [f"from {format_time(begin)} to {format_time(finish)}" for begin, finish in ends[:2]]
        more = f" and {len(ends) - 2} more times" if len(ends) > 2 else ""
        return " and ".join(told) + more


def _nodes(ordered: Sequence[Segment], sizes: Sequence[int], groups: Sequence[int]) -> Nodes:
    from meshd.kernels.tables import Nodes

    return Nodes(
        instants=np.concatenate([s.instants for s in ordered]),
        states=np.concatenate([s.states for s in ordered]),
        first=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        begin=np.array([s.begin for s in ordered], dtype=np.int64),
        finish=np.array([s.finish for s in ordered], dtype=np.int64),
        window=np.array([_window(s) for s in ordered], dtype=np.int64),
        hermite=np.array([s.method == "hermite" for s in ordered]),
        of=np.concatenate([[0], np.cumsum(groups)]).astype(np.int64),
    )


class Motion(NamedTuple):
    """How fast a satellite goes round and its orbit turns, in rad/s."""

    anomaly: float
    latitude: float
    node: float


def motion_of(segment: Segment) -> Motion:
    """A segment's motion, as in element sets, from its first state to its last.

    The angle swept from end to end, less what is swept unevenly on an ellipse, and J2's turning
    of the orbit. Of a day it is good to 1e-5; osculating elements swing by 2e-3.
    """
    from meshd.kernels.tables import swept

    ends = segment.states[[0, -1]]
    energy = np.sum(ends[:, 3:] ** 2, axis=1) / 2 - MU_KM3_S2 / np.linalg.norm(ends[:, :3], axis=1)
    axis_km = float(np.clip(-MU_KM3_S2 / (2 * energy), EARTH_RADIUS_KM, 1e6).mean())
    altitude_km = axis_km - EARTH_RADIUS_KM
    momentum = np.cross(ends[0, :3], ends[0, 3:])
    cosine = float(np.clip(momentum[2] / np.linalg.norm(momentum), -1.0, 1.0))
    drift = j2_rates_rad_s(altitude_km, math.degrees(math.acos(cosine)))
    seconds = np.diff(segment.instants) / SECOND
    if seconds.max() * drift.anomaly > 2.0 or seconds.sum() * drift.anomaly < 6.0:
        # Too few states to follow the satellite round.
        return Motion(drift.anomaly, drift.latitude, drift.node)
    angles = np.empty(segment.instants.size)
    swept(np.ascontiguousarray(segment.states), angles)
    uneven = np.diff(_centre(ends))[0]
    latitude = float((angles[-1] - uneven) / seconds.sum()) - drift.node * cosine
    return Motion(latitude - drift.perigee, latitude, drift.node)


def _centre(states: FloatArray) -> FloatArray:
    """The equation of the centre, true less mean anomaly, of each state (n, 6)."""
    r, v = states[:, :3], states[:, 3:]
    radius = np.linalg.norm(r, axis=1)
    radial, square = np.sum(r * v, axis=1), np.sum(v * v, axis=1)
    momentum = np.linalg.norm(np.cross(r, v), axis=1)
    axis = 1 / (2 / radius - square / MU_KM3_S2)
    # e cos E and e sin E, then Kepler; E less true anomaly by its half-angle's tangent.
    x, y = 1 - radius / axis, radial / np.sqrt(MU_KM3_S2 * np.abs(axis))
    e = np.hypot(x, y)
    eccentric = np.arctan2(y, x)
    true = np.arctan2(momentum * radial / MU_KM3_S2, momentum**2 / MU_KM3_S2 - radius)
    away = (true - eccentric + np.pi) % (2 * np.pi) - np.pi
    return np.where(e < 1e-12, 0.0, away + y)


def _window(segment: Segment) -> int:
    """How many nodes a polynomial of the segment's degree needs, as far as there are so many."""
    from meshd.kernels.tables import WINDOW_MAX

    needed = segment.degree + 1
    if segment.method == "hermite":
        needed = math.ceil(needed / 2)
    return max(1, min(needed, segment.instants.size, WINDOW_MAX))


def check_size(states: int) -> None:
    """Raises InputError "ephemeris-too-large" for more states than a sky may hold."""
    if states > STATES_MAX:
        raise InputError(
            "ephemeris-too-large",
            f"{states} states or more are too many to hold, at most {STATES_MAX}: give fewer files",
        )


def check_table(instants: IntArray, states: FloatArray) -> None:
    """Raises InputError "bad-table" unless instants rise and states are numbers off the ground."""
    if instants.size < 2:
        raise InputError("bad-table", "fewer than two states: nothing lies between")
    if (np.diff(instants) <= 0).any():
        at = int(np.argmax(np.diff(instants) <= 0)) + 1
        raise InputError("bad-table", f"state {at + 1} is not later than the one before it")
    if not np.isfinite(states).all():
        raise InputError("bad-number", "a state is not finite")
    if (np.linalg.norm(states[:, :3], axis=1) < 6_000).any():
        raise InputError("underground", "a state is inside the Earth; positions are in km")
