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

from meshd.ephemeris.propagate import EARTH_RADIUS_KM, Sgp4
from meshd.ephemeris.sky import Sky
from meshd.kernels.matching import match_sides, parts
from meshd.kernels.pairing import ByteArray, Orbits, Wanted, Weighed, replaced, weigh
from meshd.topology.contacts import BoolArray, Intervals, joined
from meshd.topology.policy import LinkPolicy
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.types import HOUR, MINUTE, SECOND, Instant

BLOCK_NS = 3 * HOUR
JOIN_NS = 30 * MINUTE
SLOT_NS = 30 * SECOND
"""Satellites change over from one block to the next within JOIN_NS of the join, slot by slot."""
BLOCKS_MAX = 4
PHASES = 8
"""Blocks for which a pair keeps its rank."""
FEW_PART = 0.1
"""Satellites that lasting links join to less than this part of all keep a terminal free."""
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
    """One block's choice: all lasting candidates, best first, and the pairs taken."""

    every: Orbits
    """At the block's middle, then at the reference instants."""
    candidates: Weighed
    pairs: IntArray
    """Taken pairs as a * n + b, ascending."""


def choose(sky: Sky, policy: LinkPolicy, block: int) -> Block:
    """The lasting pairs of the block that begins at `block * BLOCK_NS`.

    Only pairs in sight of each other all around the orbit, all through the block. Greedy, one
    link a terminal, best first: by how slowly they drift apart, then by how near they are to the
    best range and straight ahead or abeam, then by a hash of the two. First come links that join
    what hung apart, so that the mesh is one; then each terminal keeps to its own side; then free
    ones take any.

    A pair is ranked where it is at a reference instant that stays for PHASES blocks, each pair's
    at another block: so few ranks change from block to block, and few links with them.
    """
    states = sky.satellites.orbits(_instants(block))
    every = _orbits(*states, sky.satellites.mean_motions_rad_s())
    near = _near(_only(every, 0), _usable(every))
    found = weigh(_only(every, 0), _only(every, slice(1, None)), _wanted(policy), *near)
    return _matched(every, _best_first(found), policy.terminals)


def chosen_anew(block: Block, number: int, sky: Sky, policy: LinkPolicy, satellite: int) -> Block:
    """The block as `choose` has it after a satellite's elements have changed.

    Only its own candidates are weighed again. The sky's satellites are propagated from elements.
    """
    satellites = sky.satellites
    assert isinstance(satellites, Sgp4)
    positions, velocities = satellites.orbit(satellite, _instants(number))
    motions = satellites.mean_motions_rad_s()
    own = _orbits(positions[:, None], velocities[:, None], motions[satellite : satellite + 1])
    every = Orbits(*(column.copy() for column in block.every))
    for column, new in zip(every[:4], own[:4], strict=True):
        column[:, satellite] = new[:, 0]
    every = every._replace(motion_rad_s=motions)
    i, j = _near_one(_only(every, 0), _usable(every), satellite)
    found = weigh(_only(every, 0), _only(every, slice(1, None)), _wanted(policy), i, j)
    best = replaced(block.candidates, satellite, _best_first(found))
    return _matched(every, best, policy.terminals)


def _best_first(found: Weighed) -> Weighed:
    order = np.argsort(found.key, kind="stable")
    return Weighed(found.i[order], found.j[order], found.key[order], found.side[order])


def _instants(block: int) -> IntArray:
    """The middle of a block, then the reference instants of its phases."""
    middle = block * BLOCK_NS + BLOCK_NS // 2
    references = [(block + p) // PHASES * PHASES - p + PHASES // 2 for p in range(PHASES)]
    return np.array([middle, *(ref * BLOCK_NS for ref in references)], dtype=np.int64)


def _usable(every: Orbits) -> IntArray:
    """The satellites that have an orbit at all instants."""
    return np.flatnonzero(np.isfinite(every.along).all(axis=(0, 2)))


def _matched(every: Orbits, best: Weighed, terminals: int) -> Block:
    """Take the best candidates, twice: whoever hangs together with few keeps a terminal free.

    A batch of satellites on its way up drifts by everyone else: it would spend all its terminals
    on itself. With one to spare each reaches out by passing links.
    """
    n = every.motion_rad_s.size
    spare = np.full(n, terminals, np.int8)
    taken = _take(best, spare)
    component = parts(best.i[taken], best.j[taken], n)
    few: BoolArray = np.bincount(component, minlength=n)[component] < FEW_PART * n
    if few.any():
        taken = _take(best, np.where(few, spare - 1, spare))
    return Block(every, best, np.sort(best.i[taken] * n + best.j[taken]))


def _take(best: Weighed, free: ByteArray) -> BoolArray:
    return np.asarray(match_sides(best.i, best.j, best.side, free.astype(np.int8)) != 0)


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


def _orbits(positions: FloatArray, velocities: FloatArray, motions: FloatArray) -> Orbits:
    """Orbits from states (instants, n, 3); NaN for satellites that have none."""
    radius = np.sqrt((positions**2).sum(axis=-1))
    out = positions / radius[..., None]
    along = velocities - out * (velocities * out).sum(axis=-1)[..., None]
    along = along / np.sqrt((along**2).sum(axis=-1))[..., None]
    return Orbits(out, along, np.cross(out, along), radius, motions)


def _only(orbits: Orbits, instants: int | slice) -> Orbits:
    out, along, normal, radius, motions = orbits
    return Orbits(out[instants], along[instants], normal[instants], radius[instants], motions)


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


def _near_one(orbits: Orbits, usable: IntArray, satellite: int) -> tuple[IntArray, IntArray]:
    """As `_near`, the pairs of one satellite alone."""
    others = usable[usable != satellite]
    if others.size == usable.size:
        return others[:0], others[:0]
    outward = (orbits.out[others] * orbits.out[satellite]).sum(axis=1)
    cosine = (outward + (orbits.along[others] * orbits.along[satellite]).sum(axis=1)) / 2
    j = others[cosine > _cosine_min(orbits, usable)]
    return np.minimum(j, satellite), np.maximum(j, satellite)


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


class _Join(NamedTuple):
    """What changes where one block follows another: pairs, ascending, and when in the join."""

    old: IntArray
    until_ns: IntArray
    new: IntArray
    from_ns: IntArray


def _join(before: IntArray, after: Block, terminals: int) -> _Join:
    """A new pair begins with the last of its ends' turns; an old one stays until it is in the way.

    A satellite's old links end one by one as its new ones begin and no terminal is free: so it
    never needs more terminals than it has.
    """
    n = after.every.motion_rad_s.size
    old = np.setdiff1d(before, after.pairs, assume_unique=True)
    new = np.setdiff1d(after.pairs, before, assume_unique=True)
    turn = turns(_only(after.every, 0))
    from_ns = np.maximum(turn[new // n], turn[new % n]) * SLOT_NS
    used = np.bincount(before // n, minlength=n) + np.bincount(before % n, minlength=n)
    # Both ends of every link as rows, by satellite; new ones in order of their beginning.
    satellite, start = np.concatenate([new // n, new % n]), np.concatenate([from_ns, from_ns])
    order = np.lexsort((start, satellite))
    start = np.append(start[order], JOIN_NS)
    first = np.searchsorted(satellite[order], np.arange(n + 1))
    ends = np.concatenate([old // n, old % n])
    by_end = np.argsort(ends, kind="stable")
    rank = np.empty(ends.size, dtype=np.int64)
    rank[by_end] = np.arange(ends.size) - np.searchsorted(ends[by_end], ends[by_end])
    taker = first[ends] + rank + (terminals - used[ends])
    until = np.where(taker < first[ends + 1], start[np.minimum(taker, start.size - 1)], JOIN_NS)
    return _Join(old, np.minimum(until[: old.size], until[old.size :]), new, from_ns)


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

    def changed(self, sky: Sky, satellite: int) -> Choices:
        """The choices after one satellite's elements have changed: blocks at hand are mended."""
        other = Choices(sky, self._policy)
        other._blocks = {
            number: chosen_anew(block, number, sky, self._policy, satellite)
            for number, block in self._blocks.items()
        }
        return other

    def runs(self, start: Instant, end: Instant) -> Intervals:
        """When each lasting pair is chosen, for all blocks that reach into [start, end).

        `pair` is a * n + b.
        """
        first = start // BLOCK_NS
        if start - first * BLOCK_NS < JOIN_NS:
            first -= 1  # its links may not have ended
        numbers = range(first, -(-end // BLOCK_NS))
        pairs = [self.block(number).pairs for number in numbers]
        begins = [np.full(p.size, k * BLOCK_NS) for k, p in zip(numbers, pairs, strict=True)]
        finishes = [begin + BLOCK_NS for begin in begins]
        for k, number in enumerate(numbers[1:]):
            join = _join(pairs[k], self.block(number), self._policy.terminals)
            finishes[k][np.searchsorted(pairs[k], join.old)] += join.until_ns
            begins[k + 1][np.searchsorted(pairs[k + 1], join.new)] += join.from_ns
        pair, begin, finish = (np.concatenate(column) for column in (pairs, begins, finishes))
        order = np.lexsort((begin, pair))
        return joined(Intervals(pair[order], begin[order], finish[order]))
