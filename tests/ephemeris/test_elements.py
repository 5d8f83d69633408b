"""What element sets are taken, what is refused, and where the refusal points."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import Elements, check_elements, parse_catalog, parse_tle
from meshd.ephemeris.omm import parse_omm_json
from meshd.ephemeris.timescale import parse_time
from meshd.ephemeris.tle import checksum, parse_alpha5
from protocols.errors import InputError

ISS = (
    "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082",
    "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473",
)
VANGUARD = (
    "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753",
    "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667",
)
OMM: dict[str, Any] = {
    "OBJECT_NAME": "ISS (ZARYA)", "OBJECT_ID": "1998-067A",
    "EPOCH": "2020-04-06T19:53:20.932800", "MEAN_MOTION": 15.48685836, "ECCENTRICITY": 0.000388,
    "INCLINATION": 51.6465, "RA_OF_ASC_NODE": 341.5807, "ARG_OF_PERICENTER": 94.4223,
    "MEAN_ANOMALY": 26.1197, "EPHEMERIS_TYPE": 0, "CLASSIFICATION_TYPE": "U",
    "NORAD_CAT_ID": 25544, "ELEMENT_SET_NO": 999, "REV_AT_EPOCH": 22095, "BSTAR": 2.4271e-5,
    "MEAN_MOTION_DOT": 8.74e-6, "MEAN_MOTION_DDOT": 0,
}  # fmt: skip


def resum(line: str) -> str:
    """The line with the checksum its columns ask for, so that another fault is what is found."""
    return line[:68] + str(checksum(line))


def text(*sets: tuple[str, ...]) -> str:
    return "\n".join(line for lines in sets for line in lines) + "\n"


def test_the_fields_of_a_tle() -> None:
    (e,) = parse_tle(text(("ISS (ZARYA)", *ISS))).elements
    assert (e.name, e.norad_id) == ("ISS (ZARYA)", 25544)
    assert (e.inclination_deg, e.raan_deg, e.eccentricity) == (51.6498, 109.4756, 0.0003572)
    assert (e.argp_deg, e.mean_anomaly_deg) == (55.9686, 274.8005)
    assert e.mean_motion_rev_day == 15.49815350
    assert e.bstar == pytest.approx(1.82e-4)
    assert e.ndot == 9.878e-5
    assert e.epoch == parse_time("2014-01-20") + round(0.93268519 * 86_400e9)


def test_names_with_and_without_a_zero() -> None:
    catalog = parse_tle(text(("0 ISS", *ISS), VANGUARD))
    assert [e.name for e in catalog.elements] == ["ISS", "NORAD-5"]


def test_one_bad_column_at_a_time_is_refused_with_line_and_code() -> None:
    line1, line2 = ISS
    nan = resum(line2[:8] + "     nan" + line2[16:])
    cases = [
        ((line1[:-1] + "3", line2), 2, "bad-checksum"),
        ((line1, line2[:-1] + "4"), 3, "bad-checksum"),
        ((line1[:60], line2), 2, "short-line"),
        ((line1, nan), 3, "bad-number"),
        ((line1, resum(line2[:52] + "17.90000000" + line2[63:])), 3, "underground"),
        ((line1, resum(line2[:26] + "9000000" + line2[33:])), 3, "underground"),
        ((line1, resum(line2[:8] + "181.0000" + line2[16:])), 3, "bad-elements"),
        ((line1, VANGUARD[1]), 3, "line-mismatch"),
        ((line1,), 2, "no-second-line"),
        ((line2,), 2, "stray-line"),
    ]
    for lines, line, code in cases:
        catalog = parse_tle(text(("BROKEN", *lines), ("V", *VANGUARD)))
        assert [(r.line, r.name, r.code) for r in catalog.refused] == [(line, "BROKEN", code)]
        assert [e.norad_id for e in catalog.elements] == [5]


def test_three_bad_of_many_leave_the_rest() -> None:
    def numbered(number: int) -> tuple[str, str, str]:
        line1 = resum(ISS[0][:2] + f"{number:05d}" + ISS[0][7:])
        line2 = resum(ISS[1][:2] + f"{number:05d}" + ISS[1][7:])
        return f"SAT {number}", line1, line2

    sets = [numbered(number) for number in range(1, 51)]
    for bad in (4, 17, 49):
        name, line1, line2 = sets[bad]
        sets[bad] = (name, line1, line2[:-1] + str((int(line2[-1]) + 1) % 10))
    catalog = parse_catalog(text(*sets))
    assert len(catalog.elements) == 47
    assert [r.line for r in catalog.refused] == [15, 54, 150]


@pytest.mark.parametrize("words", ["", "hello\nworld\n", text((ISS[0],)), "{}", "[]", "[1]"])
def test_a_file_with_nothing_usable_is_an_error(words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_catalog(words)
    assert caught.value.code == "empty-catalog"


@pytest.mark.parametrize(
    ("field", "number"),
    [("25544", 25544), ("    5", 5), ("A0000", 100_000), ("T0002", 270_002), ("Z9999", 339_999)],
)
def test_alpha5(field: str, number: int) -> None:
    assert parse_alpha5(field) == number


@pytest.mark.parametrize("field", ["I0000", "O0000", "a0000", "A00", "", "-0001"])
def test_not_alpha5(field: str) -> None:
    with pytest.raises(InputError):
        parse_alpha5(field)


def test_alpha5_satellite_loads() -> None:
    line1 = resum(ISS[0][:2] + "T0002" + ISS[0][7:])
    line2 = resum(ISS[1][:2] + "T0002" + ISS[1][7:])
    assert parse_tle(text((line1, line2))).elements[0].norad_id == 270_002


def test_of_one_satellite_the_newest_epoch_is_kept() -> None:
    older = (resum(ISS[0][:18] + "14019" + ISS[0][23:]), ISS[1])
    for sets in ((older, ISS), (ISS, older)):
        catalog = parse_tle(text(*sets))
        assert [e.line1 for e in catalog.elements] == [ISS[0]]
        assert [r.code for r in catalog.refused] == ["superseded"]


def test_omm_json() -> None:
    (e,) = parse_catalog(json.dumps([OMM])).elements
    assert (e.name, e.norad_id, e.mean_motion_rev_day) == ("ISS (ZARYA)", 25544, 15.48685836)
    assert e.epoch == parse_time("2020-04-06T19:53:20.932800Z")
    assert e.bstar == 2.4271e-5


def test_omm_numbers_may_be_strings_and_ids_long() -> None:
    words = {key: str(value) for key, value in OMM.items()} | {"NORAD_CAT_ID": "999999999"}
    assert parse_omm_json(json.dumps(words)).elements[0].norad_id == 999_999_999


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("MEAN_MOTION", math.nan, "bad-number"),
        ("INCLINATION", math.inf, "bad-number"),
        ("ECCENTRICITY", 1.0, "bad-elements"),
        ("ECCENTRICITY", -0.1, "bad-elements"),
        ("MEAN_MOTION", 0.0, "bad-elements"),
        ("BSTAR", "x", "bad-number"),
        ("BSTAR", True, "bad-number"),
        ("EPOCH", "yesterday", "bad-time"),
        ("EPOCH", None, "bad-omm"),
        ("NORAD_CAT_ID", 1.5, "bad-number"),
        ("MEAN_ELEMENT_THEORY", "DSST", "bad-omm"),
        ("MEAN_MOTION", 10**400, "bad-number"),
    ],
)
def test_bad_omm_is_refused_and_the_rest_loads(key: str, value: Any, code: str) -> None:
    good = OMM | {"NORAD_CAT_ID": 5}
    catalog = parse_omm_json(f"[\n{json.dumps(good)},\n{json.dumps(OMM | {key: value})}\n]\n")
    assert [(r.line, r.code) for r in catalog.refused] == [(3, code)]
    assert catalog.refused[0].reason.startswith("entry 2: ")
    assert len(catalog.elements) == 1


def test_not_json_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        parse_omm_json("[{")
    assert caught.value.code == "bad-json"


def test_the_digest_follows_the_elements_and_not_the_text() -> None:
    one, spaced = parse_tle(text(ISS, VANGUARD)), parse_tle("# a note\n\n" + text(ISS, VANGUARD))
    assert one.digest == spaced.digest
    assert one.digest != parse_tle(text(VANGUARD, ISS)).digest
    assert one.digest != parse_tle(text(ISS)).digest


@given(st.floats(), st.sampled_from(["eccentricity", "mean_motion_rev_day", "raan_deg", "bstar"]))
def test_check_elements_only_passes_orbits(value: float, name: str) -> None:
    good = Elements("x", 1, 0, 53.0, 0.0, 0.001, 0.0, 0.0, 15.0)
    changes: dict[str, Any] = {name: value}
    try:
        e = check_elements(replace(good, **changes))
    except InputError:
        return
    assert all(math.isfinite(v) for v in (e.eccentricity, e.mean_motion_rev_day, e.raan_deg))
    assert 0 <= e.eccentricity < 1 and e.mean_motion_rev_day > 0


@given(st.lists(st.one_of(st.text(), st.sampled_from([*ISS, *VANGUARD])), max_size=8), st.data())
def test_no_text_breaks_the_parser(lines: list[str], data: st.DataObject) -> None:
    if lines:
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, 70))
        lines[at] = resum(lines[at][:cut] + data.draw(st.text(max_size=3)) + lines[at][cut + 1 :])
    try:
        catalog = parse_catalog("\n".join(lines))
    except InputError:
        return
    assert catalog.elements
