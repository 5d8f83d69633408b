"""One set of elements in every format reads back equal, and an independent reader agrees."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sgp4 import omm as other
from sgp4.api import WGS72, Satrec

from meshd.ephemeris import Catalog, parse_catalog, parse_tle
from meshd.ephemeris.formats import FORMATS, format_of
from meshd.ephemeris.propagate import satrec
from meshd.ephemeris.timescale import parse_ccsds_time
from meshd.ephemeris.tle import checksum
from protocols.errors import InputError

SHARED = Path(__file__).parents[3] / "shared"

WORDS = {
    "OBJECT_NAME": str, "OBJECT_ID": str, "EPOCH": str, "MEAN_MOTION": float,
    "ECCENTRICITY": float, "INCLINATION": float, "RA_OF_ASC_NODE": float,
    "ARG_OF_PERICENTER": float, "MEAN_ANOMALY": float, "EPHEMERIS_TYPE": int,
    "CLASSIFICATION_TYPE": str, "NORAD_CAT_ID": int, "ELEMENT_SET_NO": int, "REV_AT_EPOCH": int,
    "BSTAR": float, "MEAN_MOTION_DOT": float, "MEAN_MOTION_DDOT": float,
}  # fmt: skip
METADATA = ("OBJECT_NAME", "OBJECT_ID")
MEAN = tuple(WORDS)[2:9]
ROWS = (
    ("ISS (ZARYA)", "1998-067A", "2020-04-06T19:53:20.932800", 15.48685836, 0.000388, 51.6465,
     341.5807, 94.4223, 26.1197, 0, "U", 25544, 999, 22095, 2.4271e-5, 8.74e-6, 0.0),
    ("LATE, \"QUOTED\" & <ODD>", "2026-001A", "2026-06-28T12:00:00.000001", 13.1, 0.0001234, 87.9,
     0.0001, 359.9999, 180.0, 0, "U", 999999999, 1, 1, -1.5e-4, -2e-8, 1e-12),
    ("FAR", "2000-002B", "2000-01-01T00:00:00.500000", 1.00273, 0.7, 63.4, 10.0, 270.0, 5.0,
     0, "U", 339999, 7, 12, 0.0, 0.0, 0.0),
)  # fmt: skip
MESSAGES: list[dict[str, Any]] = [dict(zip(WORDS, row, strict=True)) for row in ROWS]


def as_json(messages: list[dict[str, Any]]) -> str:
    return json.dumps(messages, indent=1)


def as_csv(messages: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(WORDS))
    writer.writeheader()
    writer.writerows(messages)
    return out.getvalue()


def as_kvn(messages: list[dict[str, Any]]) -> str:
    """With units on angles, comments, and every second message wrapped as some writers do."""
    lines = []
    for number, message in enumerate(messages):
        lines += ["CCSDS_OMM_VERS = 2.0", "CREATION_DATE = 2020-065T16:00:00", "COMMENT a note", ""]
        lines += ["META_START"] if number % 2 else []
        for key, value in message.items():
            unit = " [deg]" if key in MEAN[2:] else " [rev/day]" if key == "MEAN_MOTION" else ""
            lines.append(f"{key} = {value}{unit}")
        lines += ["META_STOP"] if number % 2 else []
    return "\n".join(lines) + "\n"


def as_xml(messages: list[dict[str, Any]]) -> str:
    ndm = ET.Element("ndm")
    for message in messages:
        omm = ET.SubElement(ndm, "omm", id="CCSDS_OMM_VERS", version="3.0")
        ET.SubElement(ET.SubElement(omm, "header"), "ORIGINATOR").text = "MESHD"
        segment = ET.SubElement(ET.SubElement(omm, "body"), "segment")
        metadata, data = ET.SubElement(segment, "metadata"), ET.SubElement(segment, "data")
        mean, tle = ET.SubElement(data, "meanElements"), ET.SubElement(data, "tleParameters")
        for key, value in message.items():
            parent = metadata if key in METADATA else mean if key in MEAN else tle
            ET.SubElement(parent, key).text = str(value)
    ET.indent(ndm)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(ndm, encoding="unicode")


WRITERS = {
    "OMM in JSON": as_json, "OMM in CSV": as_csv, "OMM in KVN": as_kvn, "OMM in XML": as_xml,
}  # fmt: skip


def test_every_format_reads_the_same_elements_back() -> None:
    read = {name: parse_catalog(write(MESSAGES)) for name, write in WRITERS.items()}
    for name, catalog in read.items():
        assert format_of(WRITERS[name](MESSAGES)).name == name
        assert catalog.refused == ()
        assert catalog == read["OMM in JSON"]
    for e, message in zip(read["OMM in JSON"].elements, MESSAGES, strict=True):
        assert (e.name, e.norad_id) == (message["OBJECT_NAME"], message["NORAD_CAT_ID"])
        assert e.epoch == parse_ccsds_time(message["EPOCH"])
        assert (e.inclination_deg, e.mean_motion_rev_day, e.bstar) == (
            message["INCLINATION"], message["MEAN_MOTION"], message["BSTAR"],
        )  # fmt: skip


@pytest.mark.parametrize("name", ["OMM in XML", "OMM in CSV"])
def test_the_sgp4_package_reads_the_same(name: str) -> None:
    text = WRITERS[name](MESSAGES)
    parse = other.parse_xml if name == "OMM in XML" else other.parse_csv
    theirs = list(parse(io.StringIO(text)))
    for e, fields in zip(parse_catalog(text).elements, theirs, strict=True):
        record = Satrec()
        other.initialize(record, fields | {"NORAD_CAT_ID": 1}, WGS72)
        ours = satrec(e)
        for field in ("ecco", "inclo", "nodeo", "argpo", "mo", "no_kozai", "bstar"):
            assert getattr(ours, field) == pytest.approx(getattr(record, field), rel=1e-14, abs=0)
        assert ours.jdsatepoch + ours.jdsatepochF == record.jdsatepoch + record.jdsatepochF
        for there, here in zip(record.sgp4_tsince(90.0), ours.sgp4_tsince(90.0), strict=True):
            assert here == pytest.approx(there, abs=1e-6)


def test_a_tle_and_its_omm_are_the_same_orbit() -> None:
    tle = parse_tle(
        "1 25544U 98067A   14020.93268519  .00009878  00000-0  18200-3 0  5082\n"
        "2 25544  51.6498 109.4756 0003572  55.9686 274.8005 15.49815350868473\n"
    ).elements[0]
    words = (tle.name, "1998-067A", "2014-01-20T22:23:04.000416", 15.49815350, 0.0003572, 51.6498,
             109.4756, 55.9686, 274.8005, 0, "U", 25544, 508, 86847, 1.82e-4,
             9.878e-5, 0.0)  # fmt: skip
    (omm,) = parse_catalog(as_kvn([dict(zip(WORDS, words, strict=True))])).elements
    one, two = satrec(tle), satrec(omm)
    assert two.sgp4_tsince(1_440.0)[1] == pytest.approx(one.sgp4_tsince(1_440.0)[1], abs=1e-4)


def broken(text: str, at: str, instead: str) -> tuple[Catalog, int]:
    """The catalogue after a change to one place, and the line the change is on."""
    assert text.count(at) == 1
    return parse_catalog(text.replace(at, instead)), text[: text.index(at)].count("\n") + 1


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_bad_message_is_refused_with_the_line_it_begins_on(name: str) -> None:
    text = WRITERS[name](MESSAGES)
    catalog, fault = broken(text, "87.9", '"87.x"' if name == "OMM in JSON" else "87.x")
    (refused,) = catalog.refused
    assert [e.name for e in catalog.elements] == ["ISS (ZARYA)", "FAR"]
    assert (refused.name, refused.code) == (MESSAGES[1]["OBJECT_NAME"], "bad-number")
    assert "INCLINATION" in refused.reason
    lines = text.splitlines()
    opening = {"OMM in JSON": "{", "OMM in XML": "<omm", "OMM in KVN": "CCSDS_OMM_VERS"}
    mark = opening.get(name, '"LATE')
    begins = [n for n, line in enumerate(lines, 1) if line.strip().startswith(mark) and n <= fault]
    assert refused.line == begins[-1]


@pytest.mark.parametrize("name", ["OMM in CSV", "OMM in KVN", "OMM in XML"])
def test_what_is_not_sgp4_is_refused(name: str) -> None:
    for key, value in (("EPHEMERIS_TYPE", 4), ("NORAD_CAT_ID", "T0002x"), ("BSTAR", "nan")):
        bad = [MESSAGES[0] | {key: value}, *MESSAGES[1:]]
        catalog = parse_catalog(WRITERS[name](bad))
        assert [r.name for r in catalog.refused] == ["ISS (ZARYA)"]
    text = as_kvn(MESSAGES[:2]).replace("META_START", "META_START\nREF_FRAME = EME2000")
    assert [r.code for r in parse_catalog(text).refused] == ["bad-omm"]


def test_empty_optional_fields_are_left_out_not_wrong() -> None:
    bare = [MESSAGES[0] | {"BSTAR": "", "MEAN_MOTION_DOT": "", "EPHEMERIS_TYPE": ""}]
    (e,) = parse_catalog(as_csv(bare)).elements
    assert (e.bstar, e.ndot) == (0.0, 0.0)


def test_a_row_of_another_length_is_refused() -> None:
    lines = as_csv(MESSAGES).splitlines()
    catalog = parse_catalog("\n".join([*lines[:2], "a,b", *lines[2:]]))
    assert [(r.line, r.reason) for r in catalog.refused] == [
        (3, "2 columns where the first row has 17")
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[{"a": 1},\n{"b": ]', "bad-json"),
        ("[" * 100_000, "bad-json"),
        ('[{"a": 1}] more', "bad-json"),
        ("<ndm><omm></ndm>", "bad-xml"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><ndm>&a;</ndm>', "bad-xml"),
        ('NORAD_CAT_ID,MEAN_MOTION\n"1,2\n', "bad-csv"),
        ("", "empty-catalog"),
        ("<ndm/>", "empty-catalog"),
        ("[]", "empty-catalog"),
    ],
)
def test_a_broken_document_is_an_error(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_catalog(text)
    assert caught.value.code == code


def test_blank_lines_and_a_byte_order_mark_do_not_move_the_lines() -> None:
    text = as_kvn([MESSAGES[0], MESSAGES[1] | {"MEAN_MOTION": -1}])
    line = text.splitlines().index("CCSDS_OMM_VERS = 2.0", 1) + 1
    assert [r.line for r in parse_catalog(f"\ufeff\n\n{text}").refused] == [line + 2]


@given(st.sampled_from(sorted(WRITERS)), st.integers(0, 4_000), st.text(max_size=4))
def test_no_change_to_a_document_breaks_its_reader(name: str, at: int, change: str) -> None:
    text = WRITERS[name](MESSAGES)
    try:
        catalog = parse_catalog(text[:at] + change + text[at + len(change) :])
    except InputError:
        return
    assert catalog.elements


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-179T12:00:00", "2026-06-28T12:00:00Z"),
        ("2024-366T00:00:00.25Z", "2024-12-31T00:00:00.250000"),
        ("2026-06-28T12:00:00.0000000005", "2026-06-28T12:00:00.000000001"),
    ],
)
def test_ccsds_times(text: str, same: str) -> None:
    assert parse_ccsds_time(text) == parse_ccsds_time(same)


@pytest.mark.parametrize(
    "text", ["2026-000T00:00:00", "2026-13-01T00:00:00", "2026-06-28", "2026-06-28T24:00:00"]
)
def test_bad_ccsds_times_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_ccsds_time(text)


def resum(line: str) -> str:
    return line[:68] + str(checksum(line))


@pytest.mark.skipif(not SHARED.exists(), reason="the real catalogue is not in this repository")
def test_three_bad_sets_of_the_real_catalogue_cost_three() -> None:
    lines = (SHARED / "catalog/starlink-2025-09-23.tle").read_text().splitlines()
    lines[3 * 100 + 1] = lines[3 * 100 + 1][:40]
    lines[3 * 5_000 + 2] = lines[3 * 5_000 + 2][:-1] + "x"
    last = lines[3 * 8_324 + 2]
    lines[3 * 8_324 + 2] = resum(last[:9] + "x" + last[10:])
    catalog = parse_catalog("\n".join(lines))
    assert len(catalog.elements) == 8_322
    assert [r.line for r in catalog.refused] == [302, 15_003, 24_975]


def test_the_last_format_takes_what_no_other_does() -> None:
    assert FORMATS[-1].begins.match("anything") and FORMATS[-1].name == "TLE"
