"""Question: what do packets feel of the Sun shining into the receivers of the lasers?

Method: 66 satellites and three cities for 20 minutes of a day on which the Sun stands in the
plane of some of their orbits (14 January 2026). A laser is blind while the Sun is within 3
degrees of the direction in which one of its ends looks: the orbits say when, looked at every 5
s, but no router is told. A ping between the cities every second.

Expectation: several lasers go blind, for some minutes at most each. A blind link falls silent
after 5 s and is routed round, so a ping is late by 15 s at the most, nine of ten by nothing,
and none is lost but those for whom there is no other way.
"""

from __future__ import annotations

import math

import numpy as np

from meshd.ephemeris.sun import sun_direction
from meshd.topology import ContactPlan
from protocols.types import Instant
from sim.scenario.actions import Cut, Mend
from sim.script import ScriptMesh

HALF_CONE_DEG = 3.0
STEP_S = 5

SCENARIO = {
    "constellation": "iridium",
    "stations": ["London", "Sydney", "New York"],
    "epoch": "2026-01-14T12:00:00Z",
    "duration": "20m",
    "sample_every": "10s",
    "link": {"min_elevation_deg": 8.2, "cross_plane_latitude_max_deg": 70.0},
    "node": {"roster": "all"},
    "packets": [{"count": 1180, "rate_hz": 1.0, "at": "10s", "ping": True}],
    "expect": {"lasers_blinded_min": 2, "packets_lost_max": 12, "excess_us_p90_max": 50},
}


async def experiment(mesh: ScriptMesh) -> None:
    assert mesh.plan is not None
    blind: set[tuple[str, str]] = set()
    ever: set[tuple[str, str]] = set()
    while mesh.now_s < 20 * 60 - STEP_S:
        now = blinded(mesh.plan, mesh.now)
        for pair in sorted(now - blind):
            await mesh.do(Cut(between=pair))
        for pair in sorted(blind - now):
            await mesh.do(Mend(between=pair))
        blind, ever = now, ever | now
        await mesh.run_for(STEP_S)
    mesh.measure("lasers_blinded", len(ever))


def blinded(plan: ContactPlan, at: Instant) -> set[tuple[str, str]]:
    """The lasers with an end that looks into the Sun."""
    assert plan.trajectory is not None
    sun, found = sun_direction(np.array([at]))[0], set()
    for a, b in plan.open_at(at):
        if plan.kinds[a] == plan.kinds[b] == "satellite":
            ends = [np.array(plan.trajectory.position_km(site, at)) for site in (a, b)]
            beam = ends[1] - ends[0]
            cosine = abs(float(beam @ sun)) / float(np.linalg.norm(beam))
            if cosine > math.cos(math.radians(HALF_CONE_DEG)):
                found.add((plan.names[a], plan.names[b]))
    return found
