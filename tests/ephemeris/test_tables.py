"""Tables of states: read from OEM and operators' files, turned into TEME, joined by polynomials."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import Elements, parse_time
from meshd.ephemeris.formats import Document, format_of, read_document
from meshd.ephemeris.frames import to_teme, to_utc
from meshd.ephemeris.oem import parse_oem
from meshd.ephemeris.operator import parse_operator
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.sources import sky_from_documents
from meshd.ephemeris.stations import to_fixed
from meshd.ephemeris.tables import OUTSIDE_TABLE, Tables, Tabulated
from meshd.ephemeris.timescale import FloatArray, IntArray, format_time
from meshd.kernels.tables import hermite, lagrange
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND

T0 = parse_time("2025-06-28T00:00:00Z")
LOW = Elements("LOW", 1, T0, 53.0, 10.0, 0.001, 20.0, 30.0, 15.05, bstar=1e-4)
HIGH = Elements("HIGH", 2, T0, 98.0, 50.0, 0.01, 0.0, 0.0, 14.2)
HEADER = "CCSDS_OEM_VERS = 2.0\nCREATION_DATE = 2025-06-28T00:00:00\nORIGINATOR = MESHD\n"


def truth(e: Elements, instants: IntArray) -> FloatArray:
    positions, velocities = Sgp4.of([e]).states(instants)
    return np.concatenate([positions[:, 0], velocities[:, 0]], axis=1)


def grid(count: int = 61, step: int = MINUTE, start: int = T0) -> IntArray:
    return start + np.arange(count, dtype=np.int64) * step


def ccsds(at: int) -> str:
    return format_time(at)[:-1]


def segment(
    name: str, instants: IntArray, states: FloatArray, frame: str = "TEME", system: str = "UTC",
    more: str = "INTERPOLATION = HERMITE\nINTERPOLATION_DEGREE = 7\n",
) -> str:  # fmt: skip
    rows = "".join(
        f"{ccsds(int(at))} " + " ".join(f"{value:.12f}" for value in row) + "\n"
        for at, row in zip(instants, states, strict=True)
    )
    return (
        f"META_START\nOBJECT_NAME = {name}\nOBJECT_ID = 2025-001A\nCENTER_NAME = EARTH\n"
        f"REF_FRAME = {frame}\nTIME_SYSTEM = {system}\nSTART_TIME = {ccsds(int(instants[0]))}\n"
        f"STOP_TIME = {ccsds(int(instants[-1]))}\n{more}META_STOP\n\n{rows}\n"
    )


def between(count: int = 50) -> IntArray:
    return T0 + np.random.default_rng(1).integers(0, HOUR, count)


LAGRANGE_9 = "INTERPOLATION = LAGRANGE\nINTERPOLATION_DEGREE = 9\n"
"""Positions by themselves. SGP4's velocities are not quite the slope of its positions: a Hermite
polynomial through both is 10 to 50 cm off between nodes a minute apart."""


@pytest.mark.parametrize(
    ("more", "position_km", "velocity_km_s"), [(LAGRANGE_9, 1e-6, 1e-7), ("", 1e-3, 2e-4)]
)
def test_sgp4_tabulated_and_read_back_is_sgp4_between_the_nodes(
    more: str, position_km: float, velocity_km_s: float
) -> None:
    at, nodes = between(), grid()
    parts = (segment(e.name, nodes, truth(e, nodes), more=more) for e in (LOW, HIGH))
    text = HEADER + "".join(parts)
    assert format_of(text).name == "OEM"
    tables = Tables.of(parse_oem(text).segments)
    assert tables.names == ("LOW", "HIGH")
    positions, velocities = tables.states(at)
    for site, e in enumerate((LOW, HIGH)):
        assert positions[:, site] == pytest.approx(truth(e, at)[:, :3], abs=position_km)
        assert velocities[:, site] == pytest.approx(truth(e, at)[:, 3:], abs=velocity_km_s)
    motion = tables.mean_motions_rad_s()
    assert motion == pytest.approx(Sgp4.of([LOW, HIGH]).mean_motions_rad_s(), rel=0.02)


@pytest.mark.parametrize(
    ("method", "degree"), [("HERMITE", 3), ("HERMITE", 7), ("LAGRANGE", 5), ("LAGRANGE", 8)]
)
def test_between_nodes_the_oem_package_says_the_same(
    tmp_path: Path, method: str, degree: int
) -> None:
    oem = pytest.importorskip("oem")
    from astropy.time import Time

    nodes = grid(21)
    more = f"INTERPOLATION = {method}\nINTERPOLATION_DEGREE = {degree}\n"
    path = tmp_path / "one.oem"
    path.write_text(HEADER + segment("LOW", nodes, truth(LOW, nodes), "EME2000", more=more))
    theirs = oem.OrbitEphemerisMessage.open(path)
    text = path.read_text().replace("EME2000", "TEME")  # numbers only: no turning
    tables = Tables.of(parse_oem(text).segments)
    # The middle of the table: where a window is cut at an end, tastes differ.
    at = T0 + np.array([9 * MINUTE + 7 * SECOND, 10 * MINUTE + 31 * SECOND], dtype=np.int64)
    positions, velocities = tables.states(at)
    worst = 0.0
    for k, instant in enumerate(at.tolist()):
        state = theirs(Time(ccsds(instant), scale="utc"))
        worst = max(worst, float(np.abs(positions[k, 0] - state.position).max()))
        assert velocities[k, 0] == pytest.approx(state.velocity, abs=2e-5)
    # Its windows may stand one node off ours, which a low degree feels.
    assert worst < {3: 5e-3, 5: 5e-4, 7: 1e-5, 8: 1e-4}[degree]


def test_kernels_against_numpy_polynomials() -> None:
    """A polynomial of the degree is met exactly, wherever now lies among the nodes."""
    rng = np.random.default_rng(3)
    x = np.array([-95.0, -32.0, 28.0, 91.0])
    for degree, kernel in ((3, lagrange), (7, hermite)):
        shape = rng.normal(size=(degree + 1, 3)) / 100.0 ** np.arange(degree + 1)[:, None]
        p = np.stack([np.polynomial.polynomial.polyval(x, column) for column in shape.T], axis=1)
        slope = np.polynomial.polynomial.polyder(shape)
        v = np.stack([np.polynomial.polynomial.polyval(x, column) for column in slope.T], axis=1)
        position, velocity = np.empty(3), np.empty(3)
        kernel(x, np.hstack([p, v]), position, velocity)
        assert position == pytest.approx(shape[0], abs=1e-12)
        assert velocity == pytest.approx(shape[1], abs=1e-12)


def test_outside_its_span_a_table_has_no_state() -> None:
    nodes = grid(11)
    more = (
        f"USEABLE_START_TIME = {ccsds(T0 + MINUTE)}\nUSEABLE_STOP_TIME = {ccsds(T0 + 9 * MINUTE)}\n"
    )
    tables = Tables.of(
        parse_oem(HEADER + segment("LOW", nodes, truth(LOW, nodes), more=more)).segments
    )
    at = T0 + np.array([0, 1, 5, 9, 10], dtype=np.int64) * MINUTE
    positions, _ = tables.states(at)
    assert np.isfinite(positions[:, 0, 0]).tolist() == [False, True, True, True, False]
    (failure,) = tables.failures(at)
    assert (failure.site, failure.name, failure.code) == (0, "LOW", OUTSIDE_TABLE)
    assert "from 2025-06-28T00:01:00.000Z to 2025-06-28T00:09:00.000Z" in failure.reason
    assert tables.failures(at[1:4]) == ()


def test_polynomials_do_not_reach_over_a_manoeuvre() -> None:
    """Two segments of one satellite that do not agree: where both hold, the later counts."""
    early, late = grid(11), grid(11, start=T0 + 10 * MINUTE)
    text = HEADER + segment("LOW", early, truth(LOW, early), more=LAGRANGE_9)
    text += segment("LOW", late, truth(HIGH, late), more=LAGRANGE_9)
    tables = Tables.of(parse_oem(text).segments[::-1])
    assert tables.count == 1
    at = T0 + np.array([19, 20, 21], dtype=np.int64) * (MINUTE // 2)
    positions, _ = tables.states(at)
    assert positions[0, 0] == pytest.approx(truth(LOW, at)[0, :3], abs=1e-4)
    assert positions[1, 0] == pytest.approx(truth(HIGH, at)[1, :3], abs=1e-4)
    assert positions[2, 0] == pytest.approx(truth(HIGH, at)[2, :3], abs=1e-4)


def test_what_writers_add_is_read_over() -> None:
    nodes = grid(11)
    plain = HEADER + segment("LOW", nodes, truth(LOW, nodes))
    dressed = plain.replace("META_STOP\n", "META_STOP\nCOMMENT x = y\nDATA_START\n") + (
        "DATA_STOP\nCOVARIANCE_START\nEPOCH = 2025-06-28T00:00:00\nCOV_REF_FRAME = RTN\n"
        + "\n".join(" ".join(["1.0"] * n) for n in range(1, 7))
        + "\nCOVARIANCE_STOP\n"
    )
    accelerated = "".join(
        line[:-1] + " 0.0 0.0 0.0\n" if line.startswith("2025-") else line
        for line in plain.splitlines(keepends=True)
    )
    digests = {parse_oem(text).segments[0].digest for text in (plain, dressed, accelerated)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("old", "new", "code", "moved"),
    [
        ("00:05:00.000 ", "00:05:00.000 x", "bad-number", 15),
        ("00:05:00.000 ", "00:65:00.000 ", "bad-time", 15),
        ("00:05:00.000 ", "00:03:00.000 ", "bad-table", 0),
        ("00:05:00.000 ", "00:05:00.000 1.0 ", "bad-oem", 15),
        ("REF_FRAME = TEME", "REF_FRAME = MARS", "bad-frame", 0),
        ("TIME_SYSTEM = UTC", "TIME_SYSTEM = UT1", "bad-time-system", 0),
        ("CENTER_NAME = EARTH", "CENTER_NAME = MOON", "bad-oem", 0),
        ("INTERPOLATION = HERMITE", "INTERPOLATION = SPLINE", "bad-oem", 0),
        ("DEGREE = 7", "DEGREE = 0", "bad-oem", 0),
    ],
)
def test_a_bad_segment_is_refused_with_its_line(old: str, new: str, code: str, moved: int) -> None:
    nodes = grid(11)
    bad = segment("BAD", nodes, truth(HIGH, nodes))
    assert bad.count(old) == 1
    text = HEADER + bad.replace(old, new) + segment("LOW", nodes, truth(LOW, nodes))
    found = parse_oem(text)
    assert [s.name for s in found.segments] == ["LOW"]
    (refused,) = found.refused
    assert (refused.name, refused.code) == ("BAD", code)
    first = 4 if moved == 0 else text[: text.index(new)].count("\n") + 1
    assert refused.line == first


# --- frames and time systems ---------------------------------------------------------------------


def astropy_to(frame: str, instants: IntArray, states: FloatArray) -> FloatArray:
    """TEME states in another frame, by astropy."""
    coordinates = pytest.importorskip("astropy.coordinates")
    from astropy import units as u
    from astropy.time import Time

    times = Time([ccsds(at) for at in instants.tolist()], scale="utc")
    moving = coordinates.CartesianDifferential(states[:, 3:].T * u.km / u.s)
    place = coordinates.CartesianRepresentation(states[:, :3].T * u.km, differentials=moving)
    teme = coordinates.TEME(place, obstime=times)
    there = {
        "GCRF": lambda: coordinates.GCRS(obstime=times),
        "ITRF": lambda: coordinates.ITRS(obstime=times),
        "EME2000": lambda: coordinates.PrecessedGeocentric(equinox="J2000", obstime=times),
    }
    found = teme.transform_to(there[frame]()).cartesian
    position = found.xyz.to_value(u.km).T
    if "s" not in found.differentials:
        return np.asarray(position)
    return np.hstack([position, found.differentials["s"].d_xyz.to_value(u.km / u.s).T])


def test_celestial_frames_against_astropy() -> None:
    at = T0 + np.arange(7, dtype=np.int64) * 13 * HOUR // 7
    states = truth(LOW, at)
    theirs = astropy_to("GCRF", at, states)
    positions, velocities = to_teme("GCRF", at, theirs[:, :3], theirs[:, 3:])
    # Two metres and more would be a term of nutation; astropy's own detour by the Earth's turn
    # costs centimetres.
    assert positions == pytest.approx(states[:, :3], abs=1e-3)
    assert velocities == pytest.approx(states[:, 3:], abs=2e-6)


def test_earth_fixed_frames_against_astropy_but_for_what_stations_leave_out_too() -> None:
    at = T0 + np.arange(5, dtype=np.int64) * HOUR
    states = truth(LOW, at)
    theirs = astropy_to("ITRF", at, states)
    positions, velocities = to_teme("ITRF2014", at, theirs[:, :3], theirs[:, 3:])
    # UT1 - UTC was 0.04 s (20 m in orbit), polar motion 0.4 arcseconds (14 m).
    assert positions == pytest.approx(states[:, :3], abs=0.05)
    assert velocities == pytest.approx(states[:, 3:], abs=5e-5)
    back = to_fixed(positions[:, None], at)[:, 0]
    assert back == pytest.approx(theirs[:, :3], abs=1e-9)


def test_the_frame_of_2000_against_skyfield() -> None:
    from skyfield.api import EarthSatellite, load
    from skyfield.framelib import ICRS_to_J2000

    scale = load.timescale(builtin=True)
    satellite = EarthSatellite(
        "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082",
        "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473",
        ts=scale,
    )
    at = np.array([parse_time("2014-01-23T11:18:07Z")])
    celestial = satellite.at(scale.utc(2014, 1, 23, 11, 18, 7))
    # The numbers of Skyfield's own documentation.
    assert celestial.position.km == pytest.approx(
        (-3918.87650458, -1887.64838745, 5209.08801512), abs=1e-4
    )
    r, v = celestial.position.km, celestial.velocity.km_per_s
    ours = to_teme("GCRF", at, r[None], v[None])
    old = ICRS_to_J2000 @ np.stack([r, v], axis=1)
    same = to_teme("EME2000", at, old[None, :, 0], old[None, :, 1])
    raw = satellite._position_and_velocity_TEME_km(scale.utc(2014, 1, 23, 11, 18, 7))
    for found in (ours, same):
        assert found[0][0] == pytest.approx(raw[0], abs=1e-6)
        # Skyfield, too, turns the velocity as it turns the position.
        assert found[1][0] == pytest.approx(raw[1], abs=1e-8)


@pytest.mark.parametrize("system", ["TAI", "TT", "GPS"])
def test_time_systems_against_astropy(system: str) -> None:
    from astropy.time import Time, TimeDelta

    days = ["1995-12-31T23:59:50", "1996-01-01T00:00:31", "2016-12-31T23:59:59",
            "2017-01-01T00:00:40", "2025-06-28T00:00:00"]  # fmt: skip
    for text in days:
        written = parse_time(f"{text}Z")
        if system == "GPS":
            moment = Time(text, scale="tai") + TimeDelta(19, format="sec")
        else:
            moment = Time(text, scale=system.lower())
        (utc,) = to_utc(system, np.array([written])).tolist()
        assert abs(utc - parse_time(moment.utc.isot + "Z")) < 2_000_000


def test_the_same_orbit_in_every_frame_and_time_system_is_one_orbit() -> None:
    nodes, at = grid(31), between(20) // 2 + T0 // 2
    states = truth(LOW, nodes)
    ahead = {"UTC": 0, "TAI": 37 * SECOND, "TT": 69_184_000_000, "GPS": 18 * SECOND}
    for system, shift in ahead.items():
        text = HEADER + segment("LOW", nodes + shift, states, system=system, more=LAGRANGE_9)
        positions, _ = Tables.of(parse_oem(text).segments).states(at)
        assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-6)
    theirs = astropy_to("GCRF", nodes, states)
    text = HEADER + segment("LOW", nodes, theirs, "ICRF", more=LAGRANGE_9)
    positions, _ = Tables.of(parse_oem(text).segments).states(at)
    assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-3)


# --- operators' files ----------------------------------------------------------------------------


def operator_text(instants: IntArray, states: FloatArray, covariance: bool = True) -> str:
    lines = ["created:2025-06-28 00:10:00 UTC",
             "ephemeris_start:2025-06-28 00:00:00 UTC ephemeris_stop:2025-07-01 00:00:00 UTC "
             "step_size:60",
             "ephemeris_source:blend", "UVW"]  # fmt: skip
    for at, row in zip(instants.tolist(), states, strict=True):
        stamp = f"2025179{ccsds(at)[11:]}".replace(":", "")
        lines.append(f"{stamp} " + " ".join(f"{value:.10f}" for value in row))
        lines += ["4.6343390768e-07 " * 6 + "1.8398914684e-10"] * 3 if covariance else []
    return "\n".join(lines) + "\n"


NAME = "MEME_100002_STARLINK-36840_1790000_Operational_1463017380_UNCLASSIFIED.txt"


@pytest.mark.parametrize("covariance", [True, False])
def test_an_operators_file_is_read_in_the_frame_of_2000(covariance: bool) -> None:
    from skyfield.framelib import ICRS_to_J2000

    nodes, at = grid(), between()
    celestial = astropy_to("GCRF", nodes, truth(LOW, nodes))
    states = np.hstack([celestial[:, :3] @ ICRS_to_J2000.T, celestial[:, 3:] @ ICRS_to_J2000.T])
    text = operator_text(nodes, states, covariance)
    assert format_of(text).name == "operator ephemeris"
    loaded = sky_from_documents([Document(f"/somewhere/{NAME}", text)])
    assert loaded.sky.names == ("STARLINK-36840",)
    positions, velocities = loaded.sky.states_at(at)
    assert positions[:, 0] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-3)
    assert velocities[:, 0] == pytest.approx(truth(LOW, at)[:, 3:], abs=5e-5)


@pytest.mark.parametrize(
    ("old", "new"),
    [(".000 ", ".000x "), (".000 ", " "), ("2025179", "2025x79"), ("2025179", "202517"),
     (".000 ", ".000 1.0 "), (".000 ", ".000 nan? "), ("2025179", "2025399"), ("0003", "0063")],
)  # fmt: skip
def test_a_record_that_cannot_be_read_costs_that_record(old: str, new: str) -> None:
    nodes = grid(11)
    lines = operator_text(nodes, truth(LOW, nodes)).splitlines()
    at = 4 + 4 * 3
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new, 1)
    found = parse_operator("\n".join(lines), NAME)
    if new == " ":  # without a fraction it is a time all the same
        assert found.segments[0].instants.size == 11
        return
    assert found.segments[0].instants.size == 10
    assert [(r.line, r.name) for r in found.refused] == [(at + 1, "STARLINK-36840")]


# --- mixtures ------------------------------------------------------------------------------------


def omm(*elements: Elements) -> str:
    rows = [
        f"{e.name},{e.norad_id},{ccsds(e.epoch)},{e.mean_motion_rev_day},{e.eccentricity},"
        f"{e.inclination_deg},{e.raan_deg},{e.argp_deg},{e.mean_anomaly_deg},{e.bstar}\n"
        for e in elements
    ]
    return (
        "OBJECT_NAME,NORAD_CAT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,"
        "ARG_OF_PERICENTER,MEAN_ANOMALY,BSTAR\n" + "".join(rows)
    )


def test_elements_and_tables_make_one_sky() -> None:
    nodes, at = grid(), between(5)
    table = HEADER + segment("low", nodes, truth(LOW, nodes), more=LAGRANGE_9)
    loaded = sky_from_documents([
        Document("a.oem", table), Document("b.csv", omm(LOW, HIGH)), Document("c.txt", "nothing"),
    ])  # fmt: skip
    # The table of LOW counts, not its elements; the newest elements count among several.
    assert loaded.sky.names == ("HIGH", "low")
    assert [(r.file, r.code) for r in loaded.refused] == [
        ("c.txt", "empty-catalog"), ("", "superseded"),
    ]  # fmt: skip
    positions, _ = loaded.sky.states_at(at)
    assert positions[:, 0] == pytest.approx(truth(HIGH, at)[:, :3], abs=1e-9)
    assert positions[:, 1] == pytest.approx(truth(LOW, at)[:, :3], abs=1e-6)
    after = loaded.sky.failures(np.array([T0 + 2 * HOUR]))
    assert [(f.site, f.name) for f in after] == [(1, "low")]


def test_the_digest_of_tables_is_what_they_hold() -> None:
    nodes = grid(11)
    texts = [
        segment("LOW", nodes, truth(LOW, nodes)),
        segment("LOW", nodes, truth(LOW, nodes), system="TAI"),
        segment("LOW", nodes, truth(LOW, nodes), "GCRF"),
        segment("LOW", nodes[:-1], truth(LOW, nodes)[:-1]),
        segment("LOW", nodes, truth(HIGH, nodes)),
    ]
    skies = [sky_from_documents([Document("", HEADER + text)]).sky for text in (*texts, texts[0])]
    assert len({sky.digest for sky in skies}) == len(texts)


def test_a_contact_plan_of_tables_is_that_of_their_elements() -> None:
    from meshd.ephemeris import find_city
    from meshd.topology import LinkPolicy, build_plan

    nodes = grid(91, start=T0 - 15 * MINUTE)
    cities = [find_city(name) for name in ("London", "Quito", "Sydney")]
    table = HEADER + "".join(segment(e.name, nodes, truth(e, nodes)) for e in (LOW, HIGH))
    policy = LinkPolicy(isl="nearest", min_elevation_deg=5.0)
    plans = [
        build_plan(sky_from_documents([Document("", text)], cities).sky, policy, T0, T0 + HOUR)
        for text in (table, omm(LOW, HIGH))
    ]
    edges: list[Any] = [
        sorted(zip(p.a.tolist(), p.b.tolist(), p.begin.tolist(), p.finish.tolist(), strict=True))
        for p in plans
    ]
    assert len(edges[0]) == len(edges[1]) > 0
    for one, other in zip(*edges, strict=True):
        assert one[:2] == other[:2]
        assert all(abs(x - y) <= 1_000_000 for x, y in zip(one[2:], other[2:], strict=True))


def test_empty_tables_are_an_error() -> None:
    with pytest.raises(InputError) as caught:
        parse_oem(HEADER)
    assert caught.value.code == "empty-ephemeris"
    with pytest.raises(InputError) as caught:
        parse_operator("created:\nephemeris_start:\n", NAME)
    assert caught.value.code == "empty-ephemeris"


def test_more_states_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.ephemeris.tables.STATES_MAX", 10)
    with pytest.raises(InputError) as caught:
        sky_from_documents([Document("", OEM)])
    assert caught.value.code == "ephemeris-too-large"


def test_nodes_are_met_exactly() -> None:
    nodes = grid(11)
    tables = Tables.of(parse_oem(HEADER + segment("LOW", nodes, truth(LOW, nodes))).segments)
    positions, velocities = tables.states(nodes)
    assert positions[:, 0] == pytest.approx(truth(LOW, nodes)[:, :3], abs=1e-11)
    assert velocities[:, 0] == pytest.approx(truth(LOW, nodes)[:, 3:], abs=1e-11)
    assert all(math.isfinite(b[0] - a[0]) for a, b in pairwise(positions[:, 0].tolist()))


@given(st.booleans(), st.integers(0, 2_500), st.text(max_size=6))
def test_no_change_to_a_table_breaks_its_reader(operator: bool, at: int, change: str) -> None:
    text = OPERATOR if operator else OEM
    changed = text[:at] + change + text[at + len(change) :]
    try:
        found = read_document(Document(NAME, changed))
    except InputError:
        return
    if isinstance(found, Tabulated):
        positions, _ = Tables.of(found.segments).states(grid(3))
        assert positions.shape[2] == 3


@pytest.mark.parametrize("year", ["0001", "1600", "2262", "9999"])
def test_years_that_nanoseconds_cannot_count_are_refused(year: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_oem(OEM.replace("2025-06-28T", f"{year}-06-28T"))
    assert "years are 1678 to 2261" in caught.value.message


OEM = HEADER + "".join(segment(e.name, grid(6), truth(e, grid(6))) for e in (LOW, HIGH))
OPERATOR = operator_text(grid(6), truth(LOW, grid(6)))
