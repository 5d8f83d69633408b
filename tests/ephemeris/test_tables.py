"""Tables of states: read from OEM and joined by polynomials, to the ends of their spans."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from meshd.ephemeris import Elements
from meshd.ephemeris.formats import format_of
from meshd.ephemeris.oem import parse_oem
from meshd.ephemeris.operator import parse_operator
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.tables import OUTSIDE_TABLE, Tables
from meshd.kernels.tables import hermite, lagrange
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND
from tests.ephemeris.tabled import (
    HEADER,
    HIGH,
    LAGRANGE_9,
    LOW,
    NAME,
    OEM,
    T0,
    between,
    ccsds,
    grid,
    segment,
    truth,
)


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


@pytest.mark.parametrize(("hours", "rel"), [(1, 0.02), (3, 2e-4), (24, 2e-5)])
def test_mean_motion_of_a_table_is_that_of_its_elements(hours: int, rel: float) -> None:
    """Neighbours that part by 20 km an hour (8e-4) are told from those that stay."""
    nodes = grid(60 * hours + 1)
    flying = (LOW, HIGH, Elements("ROUND", 3, T0, 70.0, 1.0, 1e-4, 5.0, 9.0, 15.2))
    text = HEADER + "".join(segment(e.name, nodes, truth(e, nodes)) for e in flying)
    motions = Tables.of(parse_oem(text).segments).mean_motions_rad_s()
    assert motions == pytest.approx(Sgp4.of(flying).mean_motions_rad_s(), rel=rel)


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


def test_empty_tables_are_an_error() -> None:
    with pytest.raises(InputError) as caught:
        parse_oem(HEADER)
    assert caught.value.code == "empty-ephemeris"
    with pytest.raises(InputError) as caught:
        parse_operator("created:\nephemeris_start:\n", NAME)
    assert caught.value.code == "empty-ephemeris"


def test_nodes_are_met_exactly() -> None:
    nodes = grid(11)
    tables = Tables.of(parse_oem(HEADER + segment("LOW", nodes, truth(LOW, nodes))).segments)
    positions, velocities = tables.states(nodes)
    assert positions[:, 0] == pytest.approx(truth(LOW, nodes)[:, :3], abs=1e-11)
    assert velocities[:, 0] == pytest.approx(truth(LOW, nodes)[:, 3:], abs=1e-11)
    assert all(math.isfinite(b[0] - a[0]) for a, b in pairwise(positions[:, 0].tolist()))


@pytest.mark.parametrize("year", ["0001", "1600", "2262", "9999"])
def test_years_that_nanoseconds_cannot_count_are_refused(year: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_oem(OEM.replace("2025-06-28T", f"{year}-06-28T"))
    assert "years are 1678 to 2261" in caught.value.message


def test_beyond_its_ends_an_orbit_goes_on_to_choose_by() -> None:
    nodes = grid(24 * 60 + 1)
    text = HEADER + "".join(segment(e.name, nodes, truth(e, nodes)) for e in (LOW, HIGH))
    tables = Tables.of(parse_oem(text).segments)
    inside = T0 + np.arange(3, dtype=np.int64) * HOUR
    for one, other in zip(tables.orbits(inside), tables.states(inside), strict=True):
        assert (one == other).all()
    for hours in (-12, 36):
        at = np.array([T0 + hours * HOUR])
        positions, velocities = tables.orbits(at)
        for site, (e, bound_km) in enumerate(((LOW, 60.0), (HIGH, 250.0))):
            # Half a day on by J2 alone; an ellipse's satellite is where a circle's would be.
            real = truth(e, at)[0]
            assert np.linalg.norm(positions[0, site] - real[:3]) < bound_km
            assert np.linalg.norm(velocities[0, site] - real[3:]) < bound_km * 1.2e-3
