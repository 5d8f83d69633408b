"""Where satellites are: orbits of many, elements read, skies made; beside sgp4 and plain numpy."""

from __future__ import annotations

import io
import math

import numpy as np
from sgp4 import omm
from sgp4.api import WGS72, Satrec, SatrecArray

from meshd.ephemeris import (
    WALKER_EPOCH,
    CircularJ2,
    format_time,
    parse_catalog,
    shells_of,
    sky_from_catalog,
    sky_from_preset,
)
from meshd.ephemeris.propagate import EARTH_RADIUS_KM, j2_rates_rad_s, mean_motion_rad_s
from meshd.ephemeris.timescale import julian_dates
from tests.bench.measure import Row, median_s

READ = 8_325
"""As many as Starlink's catalogue had in September 2025."""


def rows() -> list[Row]:
    """One instant of a hundred thousand and of a million, a catalogue read, a sky made."""
    hundred = CircularJ2.of(shells_of("odc-100k"))
    million = CircularJ2.of(shells_of("odc-1m"))
    at = np.array([WALKER_EPOCH + 10**15])
    others = {"numpy, J2": plain_seconds(at), "sgp4 SatrecArray": sgp4_seconds(at)}
    ours = median_s(lambda: hundred.states(at))
    found = [
        Row(f"states of {hundred.count:,} satellites", ours, name, took)
        for name, took in others.items()
    ]
    took = median_s(lambda: million.states(at))
    found.append(Row(f"states of {million.count:,} satellites", took))
    found.append(Row("sky of odc-1m, names and all", median_s(lambda: sky_from_preset("odc-1m"))))
    return [*found, *reading()]


def plain_seconds(at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    """The same orbits with an array for each element, as one writes it in numpy."""
    columns = []
    for shell in shells_of("odc-100k"):
        rates = j2_rates_rad_s(shell.altitude_km, shell.inclination_deg)
        plane, slot = np.divmod(np.arange(shell.total), shell.slots)
        lead = slot / shell.slots + plane * shell.phasing / shell.total
        constants = (EARTH_RADIUS_KM + shell.altitude_km, math.radians(shell.inclination_deg))
        fixed = [np.full(shell.total, value) for value in (*constants, rates.node, rates.latitude)]
        columns.append([*fixed, 2 * math.pi * plane / shell.planes, 2 * math.pi * lead])
    r, i, node_rate, rate, node, latitude = (np.concatenate(c) for c in zip(*columns, strict=True))
    ci, si = np.cos(i), np.sin(i)

    def states() -> tuple[object, object]:
        t = (at[0] - WALKER_EPOCH) / 1e9
        n, u = node + node_rate * t, latitude + rate * t
        cn, sn, cu, su = np.cos(n), np.sin(n), np.cos(u), np.sin(u)
        x, y = r * (cn * cu - sn * su * ci), r * (sn * cu + cn * su * ci)
        vx = r * rate * (-cn * su - sn * cu * ci) - node_rate * y
        vy = r * rate * (-sn * su + cn * cu * ci) + node_rate * x
        return np.stack([x, y, r * su * si], axis=1), np.stack([vx, vy, r * rate * cu * si], axis=1)

    return median_s(states)


def sgp4_seconds(at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    records = []
    for shell in shells_of("odc-100k"):
        turns = mean_motion_rad_s(shell.altitude_km) * 60
        for number in range(shell.total):
            record = Satrec()
            angles = (0.0, math.radians(shell.inclination_deg), number * 0.1 % 6.28, turns, 0.0)
            record.sgp4init(WGS72, "i", 1, 27_000.0, 0.0, 0.0, 0.0, 1e-6, *angles)
            records.append(record)
    array, (jd, fraction) = SatrecArray(records), julian_dates(at)
    return median_s(lambda: array.sgp4(jd, fraction), runs_max=5)


def reading() -> list[Row]:
    """A CSV of elements to a sky, beside the sgp4 package's own reader."""
    head = (
        "OBJECT_NAME,OBJECT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,"
        "ARG_OF_PERICENTER,MEAN_ANOMALY,EPHEMERIS_TYPE,CLASSIFICATION_TYPE,NORAD_CAT_ID,"
        "ELEMENT_SET_NO,REV_AT_EPOCH,BSTAR,MEAN_MOTION_DOT,MEAN_MOTION_DDOT\n"
    )
    epoch = format_time(WALKER_EPOCH)[:-1]
    text = head + "".join(
        f"SAT-{k},2026-001A,{epoch},15.05,.0001,53.0,{k % 360},0,{k % 359},0,U,{k + 1},1,1,0,0,0\n"
        for k in range(READ)
    )

    def theirs() -> None:
        for fields in omm.parse_csv(io.StringIO(text)):
            omm.initialize(Satrec(), fields, WGS72)

    took = median_s(lambda: sky_from_catalog(parse_catalog(text)), runs_max=5)
    other = median_s(theirs, runs_max=5)
    return [Row(f"OMM in CSV of {READ:,} to a sky, checked", took, "sgp4.omm, unchecked", other)]
