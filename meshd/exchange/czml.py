"""A plan as CZML, for Cesium: satellites that move, stations, and links while they are open.

Positions are Earth-fixed metres, one each 30 s, between which Cesium lays a polynomial of degree 5:
so satellites stand over the right places whatever its model of the Earth's turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from meshd.ephemeris.sky import Sky
from meshd.ephemeris.stations import to_fixed
from meshd.ephemeris.timescale import format_time
from meshd.topology.plan import ContactPlan
from meshd.topology.trajectory import FloatArray, IntArray
from protocols.errors import InputError
from protocols.types import SECOND

SITES_MAX = 20_000
"""Cesium draws no more at a bearable rate; each takes 1 kB for ten minutes."""

_LASER, _RADIO = [230, 120, 90, 140], [120, 200, 230, 120]


def write_czml(plan: ContactPlan, sky: Sky) -> Iterator[str]:
    """The plan's window as CZML packets, line by line. Raises InputError "plan-too-large"."""
    if plan.n_sites > SITES_MAX or plan.trajectory is None:
        message = f"CZML is written for up to {SITES_MAX} sites, with orbits"
        raise InputError("plan-too-large", message)
    knots = plan.trajectory.knots()
    positions_m = 1e3 * to_fixed(plan.trajectory.positions, knots)
    yield "[" + json.dumps(_document(plan))
    for site in range(plan.n_sites):
        yield "," + json.dumps(_site(plan, sky, site, (knots, positions_m[:, site])))
    spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
    columns = (plan.a, plan.b, plan.begin, plan.finish)
    for a, b, begin, finish in zip(*(column.tolist() for column in columns), strict=True):
        spans.setdefault((a, b), []).append((begin, finish))
    for pair, intervals in spans.items():
        yield "," + json.dumps(_link(plan, pair, intervals))
    yield "]"


def _interval(begin: int, finish: int) -> str:
    return f"{format_time(begin)}/{format_time(finish)}"


def _document(plan: ContactPlan) -> dict[str, Any]:
    clock = {
        "interval": _interval(plan.start, plan.end),
        "currentTime": format_time(plan.start),
        "multiplier": 10,
        "range": "LOOP_STOP",
        "step": "SYSTEM_CLOCK_MULTIPLIER",
    }
    return {"id": "document", "name": "meshd", "version": "1.0", "clock": clock}


def _site(
    plan: ContactPlan, sky: Sky, site: int, track: tuple[IntArray, FloatArray]
) -> dict[str, Any]:
    name = plan.names[site]
    packet: dict[str, Any] = {"id": f"site-{site}", "name": name}
    if plan.kinds[site] == "ground":
        station = sky.stations[site - sky.n_satellites]
        degrees = [station.longitude_deg, station.latitude_deg, 1e3 * station.altitude_km]
        packet["position"] = {"cartographicDegrees": degrees}
        offset = {"cartesian2": [0, -14]}
        packet["label"] = {"text": name, "font": "12px sans-serif", "pixelOffset": offset}
        packet["point"] = {"pixelSize": 6, "color": {"rgba": [255, 210, 90, 255]}}
        return packet
    knots, positions_m = track
    if not np.isfinite(positions_m).all():
        return packet
    after = (knots - plan.start) / SECOND
    samples = np.column_stack([after, np.round(positions_m, 3)]).ravel().tolist()
    packet["availability"] = _interval(plan.start, plan.end)
    packet["position"] = {
        "epoch": format_time(plan.start),
        "referenceFrame": "FIXED",
        "interpolationAlgorithm": "LAGRANGE",
        "interpolationDegree": 5,
        "cartesian": samples,
    }
    packet["point"] = {"pixelSize": 4, "color": {"rgba": [255, 255, 255, 220]}}
    return packet


def _link(
    plan: ContactPlan, pair: tuple[int, int], intervals: list[tuple[int, int]]
) -> dict[str, Any]:
    a, b = pair
    ground = "ground" in (plan.kinds[a], plan.kinds[b])
    shown = [{"interval": _interval(plan.start, plan.end), "boolean": False}]
    shown += [{"interval": _interval(*span), "boolean": True} for span in intervals]
    line = {
        "show": shown,
        "positions": {"references": [f"site-{a}#position", f"site-{b}#position"]},
        "width": 1,
        "arcType": "NONE",
        "material": {"solidColor": {"color": {"rgba": _RADIO if ground else _LASER}}},
    }
    return {"id": f"link-{a}-{b}", "name": f"{plan.names[a]} - {plan.names[b]}", "polyline": line}
