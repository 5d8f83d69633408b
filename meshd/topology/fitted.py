"""Lasers for a real catalogue: the same lasting pairs on every node, without memory or a word.

A catalogue has no slots, and neighbours come and go, so pairs are chosen for blocks of time
aligned on UTC, from what nearly does not change as satellites move (`kernels/pairing.py`). Most
links of one block are chosen again in the next. Where two blocks differ, satellites change over
plane after plane, so that no join darkens the whole mesh at once. (Figures in ARCHITECTURE.)

Four terminals a satellite: ahead, behind, east, west. East means a plane whose node lies further
east; seen from the satellite that is starboard on the way up and port on the way down.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sky import Sky
from meshd.kernels.pairing import Orbits, Terminals, Wanted, Weighed, match, weigh
from meshd.topology.contacts import Intervals, joined
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import HOUR, MINUTE, SECOND, Instant

BLOCK_NS = 3 * HOUR
JOIN_NS = 30 * MINUTE
SLOT_NS = 30 * SECOND
"""Satellites change over from one block to the next within JOIN_NS of the join, slot by slot."""
BLOCKS_MAX = 4
RING_KM, SIDE_KM = 800.0, 1_600.0
"""Best mean ranges along a plane and across: shortest routes of 20 city pairs (ARCHITECTURE)."""
_BIN_KM = 200.0  # wide, so that links do not change hands over a few km of drift
_MEAN_RANGE_MAX_KM = 3_000.0
_RANGE_MIN_KM = 50.0
_SIGHT_MARGIN_KM = 30.0  # orbits are not quite circles: +-10 km of J2 at both ends
# Along-track drift of a pair in km an hour: under 20 it lasts a day, under 200 some hours.
_SLOW_KM_H, _QUICK_KM_H = 20.0, 200.0
_BLOCK = 1_024


class Block(NamedTuple):
    """One block's choice: all lasting candidates, best first, and which of them are taken."""

    orbits: Orbits
    usable: IntArray
    candidates: Weighed
    taken: np.ndarray[tuple[int], np.dtype[np.bool_]]
    pairs: IntArray
    """Taken pairs as a * n + b, ascending."""


def choose(sky: Sky, policy: LinkPolicy, block: int) -> Block:
    """The lasting pairs of the block that begins at `block * BLOCK_NS`.

    Only pairs in sight of each other all around the orbit, all through the block. Greedy, one
    link a terminal, best first: by how slowly they drift apart, then by how near they are to the
    best range and straight ahead or abeam, then by a hash of the two. First each terminal keeps to
    its own side; then free ones take any.
    """
    middle = np.array([block * BLOCK_NS + BLOCK_NS // 2], dtype=np.int64)
    positions, velocities = sky.satellites.orbits(middle)
    orbits, usable = _orbits(positions[0], velocities[0], sky.satellites.mean_motions_rad_s())
    found = weigh(orbits, _wanted(policy), *_near(orbits, usable))
    order = np.argsort(found.key, kind="stable")
    best = Weighed(found.i[order], found.j[order], found.key[order], found.side[order])
    return _matched(orbits, usable, best, policy.terminals)


def _matched(orbits: Orbits, usable: IntArray, best: Weighed, terminals: int) -> Block:
    n = orbits.radius_km.size
    free = Terminals(np.full(n, terminals, np.int8), np.zeros(n, np.int8))
    taken = np.zeros(best.i.size, np.int8)
    match(best.i, best.j, best.side, free, taken)
    match(best.i, best.j, best.side[:0], free, taken)
    held = taken != 0
    return Block(orbits, usable, best, held, np.sort(best.i[held] * n + best.j[held]))


def _wanted(policy: LinkPolicy) -> Wanted:
    longest, slew = policy.isl_range_max_km, policy.slew_max_deg_s
    return Wanted(
        grazing_radius_km=EARTH_RADIUS_KM + policy.grazing_altitude_km,
        range_max_km=math.inf if longest is None else longest,
        range_min_km=_RANGE_MIN_KM,
        mean_range_max_km=_MEAN_RANGE_MAX_KM,
        sight_margin_km=_SIGHT_MARGIN_KM,
        held_s=(BLOCK_NS / 2 + JOIN_NS) / SECOND,
        slew_rad_s=math.inf if slew is None else math.radians(slew),
        ring_km=RING_KM,
        side_km=SIDE_KM,
        bin_km=_BIN_KM,
        slow_km_h=_SLOW_KM_H,
        quick_km_h=_QUICK_KM_H,
    )


def _orbits(
    positions: FloatArray, velocities: FloatArray, motions: FloatArray
) -> tuple[Orbits, IntArray]:
    """Orbits at one instant, from states (n, 3), and the satellites that have one."""
    radius = np.sqrt((positions**2).sum(axis=1))
    out = positions / radius[:, None]
    along = velocities - out * (velocities * out).sum(axis=1)[:, None]
    along = along / np.sqrt((along**2).sum(axis=1))[:, None]
    usable = np.flatnonzero(np.isfinite(out).all(axis=1) & np.isfinite(along).all(axis=1))
    return Orbits(out, along, np.cross(out, along), radius, motions), usable


def _near(orbits: Orbits, usable: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs (i < j) of usable satellites whose mean range is at most _MEAN_RANGE_MAX_KM, or nearly.

    In order. The single-precision product only sifts; what passes is weighed in double precision.
    """
    state = np.hstack([orbits.out[usable], orbits.along[usable]]) / np.sqrt(2)
    state = state.astype(np.float32)
    cosine_min = _cosine_min(orbits, usable)
    found_i, found_j = [usable[:0]], [usable[:0]]
    for begin in range(0, usable.size, _BLOCK):
        block = state[begin : begin + _BLOCK] @ state[begin:].T
        i, j = np.nonzero(block > cosine_min)
        ahead = j > i
        found_i.append(usable[i[ahead] + begin])
        found_j.append(usable[j[ahead] + begin])
    return np.concatenate(found_i), np.concatenate(found_j)


def _cosine_min(orbits: Orbits, usable: IntArray) -> float:
    least = float(orbits.radius_km[usable].min()) if usable.size else EARTH_RADIUS_KM
    return float(1 - (_MEAN_RANGE_MAX_KM / least) ** 2 / 2 - 1e-4)


def turns(orbits: Orbits) -> IntArray:
    """At which slot after a join each satellite changes over, (n,).

    By the distance of its node from the equinox, folded: neighbours are of one turn or the next,
    and which turn a satellite is of hangs on its own elements alone.
    """
    slots = JOIN_NS // SLOT_NS
    node = np.abs(np.arctan2(orbits.normal[:, 0], -orbits.normal[:, 1]))
    part = np.nan_to_num(node / np.pi)
    return np.minimum((part * slots).astype(np.int64), slots - 1)


class Choices:
    """The lasting pairs of a sky under a policy, block after block."""

    def __init__(self, sky: Sky, policy: LinkPolicy) -> None:
        self._sky = sky
        self._policy = policy
        self._blocks: dict[int, Block] = {}

    def block(self, number: int) -> Block:
        if number not in self._blocks:
            self._blocks[number] = choose(self._sky, self._policy, number)
            if len(self._blocks) > BLOCKS_MAX:
                del self._blocks[min(self._blocks)]
        return self._blocks[number]

    def runs(self, start: Instant, end: Instant) -> Intervals:
        """When each lasting pair is chosen, for all blocks that reach into [start, end).

        `pair` is a * n + b. Where blocks join, an old pair ends with the first of its ends and a
        new one begins with the last of its own: so all old links of a satellite have ended when
        its new ones begin, and it never needs more terminals than it has.
        """
        first = start // BLOCK_NS
        if start - first * BLOCK_NS < JOIN_NS:
            first -= 1  # its links may not have ended
        numbers = range(first, -(-end // BLOCK_NS))
        pieces = [self._piece(number, number > first, number < numbers[-1]) for number in numbers]
        pair, begin, finish = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.lexsort((begin, pair))
        return joined(Intervals(pair[order], begin[order], finish[order]))

    def _piece(self, number: int, follows: bool, goes_on: bool) -> Intervals:
        """One block's pairs: from its join with the last block to its join with the next."""
        pairs = self.block(number).pairs
        begin = np.full(pairs.size, number * BLOCK_NS)
        finish = np.full(pairs.size, (number + 1) * BLOCK_NS)
        n = self._sky.n_satellites
        a, b = pairs // n, pairs % n
        if follows:
            turn = turns(self.block(number).orbits)
            fresh = ~np.isin(pairs, self.block(number - 1).pairs, assume_unique=True)
            begin += np.where(fresh, np.maximum(turn[a], turn[b]) * SLOT_NS, 0)
        if goes_on:
            turn = turns(self.block(number + 1).orbits)
            old = ~np.isin(pairs, self.block(number + 1).pairs, assume_unique=True)
            finish += np.where(old, np.minimum(turn[a], turn[b]) * SLOT_NS, 0)
        return Intervals(pairs, begin, finish)
