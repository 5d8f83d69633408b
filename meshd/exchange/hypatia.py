"""Hypatia's folder of a network and its forwarding, as its ns-3 module reads it.

Of each instant only what changed is written: `current,destination,next,interface,interface there`,
with -1 where there is no way. Only ground stations are destinations. A satellite's lasers are its
interfaces 0, 1... in the order of isls.txt, the next is its radio; a station has interface 0. So
does satgenpy's `algorithm_free_one_only_over_isls`; its README has the formats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from meshd.ephemeris.hypatia import Wiring
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.stations import GroundStation
from meshd.kernels.graph import snapshot_at
from meshd.kernels.sweep import NOWHERE, sweep_search
from meshd.router.graph import graph_of
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import IntArray
from protocols.errors import InputError
from protocols.types import MILLISECOND, SECOND, SPEED_OF_LIGHT_KM_S, Duration, Instant

File: TypeAlias = tuple[str, str]
"""A path inside the folder, and its text."""

# WGS-72, as satgenpy turns its stations into Cartesian metres.
_A_M, _ECCENTRICITY = 6_378_135.0, 0.08181881066274845


def write_folder(plan: ContactPlan, sky: Sky, step: Duration) -> Iterator[File]:
    """The folder of a plan, file by file, with states each `step` from the plan's start on.

    Raises InputError "not-hypatia" for a sky that does not come with its links and elements.
    """
    wiring, satellites = sky.wiring, sky.satellites
    if wiring is None or not isinstance(satellites, Sgp4) or plan.trajectory is None:
        raise InputError(
            "not-hypatia",
            "Hypatia's folders have fixed lasers and one epoch: take a constellation of its own, "
            "such as hypatia:kuiper_630 or honest:kuiper_630, or a folder by --catalog",
        )
    if step <= 0 or step % MILLISECOND:
        raise InputError("bad-step", "a step is whole milliseconds, and more than 0")
    yield "tles.txt", _tles(wiring, satellites)
    yield "isls.txt", "".join(f"{a} {b}\n" for a, b in wiring.pairs)
    yield from _stations(sky.stations)
    yield "gsl_interfaces_info.txt", "".join(f"{n},1,1.000000\n" for n in range(plan.n_sites))
    yield "description.txt", _description(plan, wiring)
    length = plan.end - plan.start
    folder = f"dynamic_state_{step // MILLISECOND}ms_for_{length / SECOND:g}s"
    ports = ports_of(wiring, sky.n_satellites)
    before: IntArray | None = None
    for at in range(plan.start, plan.end, step):
        after = at - plan.start
        hops = next_hops(plan, sky.n_satellites, at)
        yield f"{folder}/fstate_{after}.txt", _changes(hops, before, ports)
        yield f"{folder}/gsl_if_bandwidth_{after}.txt", "" if after else _bandwidths(plan, ports)
        before = hops


@dataclass(frozen=True, slots=True)
class Ports:
    """Numbers of interfaces: of each satellite's laser to another, and how many it has."""

    laser: dict[tuple[int, int], int]
    lasers: tuple[int, ...]

    def of(self, here: int, there: int) -> int:
        """The interface at a node towards another; -1 towards none."""
        if there < 0 or here < 0:
            return -1
        satellites = len(self.lasers)
        if here >= satellites:
            return 0
        return self.lasers[here] if there >= satellites else self.laser[here, there]


def ports_of(wiring: Wiring, satellites: int) -> Ports:
    laser, lasers = dict[tuple[int, int], int](), [0] * satellites
    for a, b in wiring.pairs:
        for here, there in ((a, b), (b, a)):
            laser[here, there] = lasers[here]
            lasers[here] += 1
    return Ports(laser, tuple(lasers))


def next_hops(plan: ContactPlan, satellites: int, at: Instant) -> IntArray:
    """The next node from every node to every station on the shortest path: (nodes, stations).

    -1 where there is none, and from a station to itself.
    """
    graph = graph_of(plan)
    assert graph is not None
    stations = np.arange(satellites, plan.n_sites, dtype=np.int32)
    _, hops = sweep_search(snapshot_at(graph, at), stations)
    hops[stations, stations - satellites] = NOWHERE
    return hops.astype(np.int64)


def _changes(hops: IntArray, before: IntArray | None, ports: Ports) -> str:
    changed = np.ones(hops.shape, dtype=bool) if before is None else hops != before
    satellites = len(ports.lasers)
    lines = []
    for here, station in np.argwhere(changed).tolist():
        there = int(hops[here, station])
        if here != satellites + station:
            mine, theirs = ports.of(here, there), ports.of(there, here)
            lines.append(f"{here},{satellites + station},{there},{mine},{theirs}\n")
    return "".join(lines)


def _bandwidths(plan: ContactPlan, ports: Ports) -> str:
    own = [*ports.lasers, *([0] * (plan.n_sites - len(ports.lasers)))]
    return "".join(f"{node},{port},1.000000\n" for node, port in enumerate(own))


def _tles(wiring: Wiring, satellites: Sgp4) -> str:
    if len({e.epoch for e in satellites.elements}) > 1 or not satellites.elements[0].line1:
        raise InputError("not-hypatia", "Hypatia wants TLEs of one epoch for all satellites")
    lines = [f"{wiring.planes} {wiring.slots}"]
    for number, e in enumerate(satellites.elements):
        # Hypatia reads the number after the first blank of a name.
        title = "-".join(e.name.split()[:-1]) or "Satellite"
        lines += [f"{title} {number}", e.line1, e.line2]
    return "\n".join(lines) + "\n"


def _stations(stations: tuple[GroundStation, ...]) -> Iterator[File]:
    basic, extended = [], []
    for number, s in enumerate(stations):
        name = s.name.replace(" ", "-").replace(",", "")
        head = f"{number},{name},{s.latitude_deg!r},{s.longitude_deg!r}"
        x, y, z = _cartesian_m(s)
        basic.append(f"{head},{1e3 * s.altitude_km:g}\n")
        extended.append(f"{head},{1e3 * s.altitude_km:f},{x:f},{y:f},{z:f}\n")
    yield "ground_stations.basic.txt", "".join(basic)
    yield "ground_stations.txt", "".join(extended)


def _cartesian_m(station: GroundStation) -> tuple[float, float, float]:
    latitude, longitude = math.radians(station.latitude_deg), math.radians(station.longitude_deg)
    height = 1e3 * station.altitude_km
    normal = _A_M / math.sqrt(1 - (_ECCENTRICITY * math.sin(latitude)) ** 2)
    across = (normal + height) * math.cos(latitude)
    z = (normal * (1 - _ECCENTRICITY**2) + height) * math.sin(latitude)
    return across * math.cos(longitude), across * math.sin(longitude), z


def _description(plan: ContactPlan, wiring: Wiring) -> str:
    limits = [wiring.ground_range_max_km, wiring.isl_range_max_km]
    for place, limit in enumerate(limits):
        if limit is None:
            limits[place] = _longest_km(plan, ground=place == 0)
    gsl, isl = (1e3 * limit for limit in limits if limit is not None)
    return f"max_gsl_length_m={gsl:.10f}\nmax_isl_length_m={isl:.10f}\n"


def _longest_km(plan: ContactPlan, ground: bool) -> float:
    """The longest that a link is at an edge of its contacts, to the next kilometre."""
    kinds = np.array([kind == "ground" for kind in plan.kinds])
    rows = np.flatnonzero(kinds[plan.b] == ground).tolist()
    longest_ns = max(
        (
            plan.light_time_ns(int(plan.a[row]), int(plan.b[row]), int(at))
            for row in rows
            for at in (plan.begin[row], plan.finish[row])
        ),
        default=0,
    )
    return math.ceil(longest_ns / SECOND * SPEED_OF_LIGHT_KM_S) + 1.0
