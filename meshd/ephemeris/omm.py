"""Orbit mean-elements messages (CCSDS 502.0, OMM) in JSON to a Catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meshd.ephemeris.elements import Catalog, Elements, Refused, check_elements, make_catalog
from meshd.ephemeris.timescale import parse_time
from meshd.ephemeris.tle import parse_tle
from protocols.errors import InputError


def parse_catalog(text: str) -> Catalog:
    """The catalogue of a text in whichever format it is: OMM JSON (`[` or `{` first) or TLE.

    Raises what `parse_omm_json` and `parse_tle` raise.
    """
    head = text.lstrip("\ufeff \t\r\n")
    return parse_omm_json(head) if head.startswith(("[", "{")) else parse_tle(head)


def parse_omm_json(text: str) -> Catalog:
    """The catalogue of a JSON list of OMM objects, as CelesTrak and Space-Track serve them.

    Numbers may be JSON numbers or strings. An unusable object is refused with its place in the
    list (from 1) and a code ("bad-omm", "bad-number", "bad-time", "bad-elements",
    "underground"); the rest loads. Raises InputError "bad-json" or "empty-catalog".
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError("bad-json", f"not JSON: {error}") from None
    entries = document if isinstance(document, list) else [document]
    found: list[tuple[int, Elements]] = []
    refused: list[Refused] = []
    for place, entry in enumerate(entries, start=1):
        name = str(entry.get("OBJECT_NAME", "")) if isinstance(entry, dict) else ""
        try:
            found.append((place, _elements(entry)))
        except InputError as error:
            refused.append(Refused(place, name, error.code, error.message))
    return make_catalog(found, refused)


def _elements(entry: Any) -> Elements:
    if not isinstance(entry, dict):
        raise InputError("bad-omm", "an OMM is an object")
    theory = entry.get("MEAN_ELEMENT_THEORY", "SGP4")
    if theory not in ("SGP4", "SGP/SGP4"):
        raise InputError("bad-omm", f"mean elements of {theory!r} are not SGP4's")
    norad_id = _number(entry, "NORAD_CAT_ID")
    if norad_id != int(norad_id):
        raise InputError("bad-number", f"NORAD_CAT_ID {norad_id} is not whole")
    return check_elements(
        Elements(
            name=str(entry.get("OBJECT_NAME") or f"NORAD-{int(norad_id)}"),
            norad_id=int(norad_id),
            epoch=_epoch(entry),
            inclination_deg=_number(entry, "INCLINATION"),
            raan_deg=_number(entry, "RA_OF_ASC_NODE"),
            eccentricity=_number(entry, "ECCENTRICITY"),
            argp_deg=_number(entry, "ARG_OF_PERICENTER"),
            mean_anomaly_deg=_number(entry, "MEAN_ANOMALY"),
            mean_motion_rev_day=_number(entry, "MEAN_MOTION"),
            bstar=_number(entry, "BSTAR", 0.0),
            ndot=_number(entry, "MEAN_MOTION_DOT", 0.0),
            nddot=_number(entry, "MEAN_MOTION_DDOT", 0.0),
        )
    )


def _epoch(entry: Mapping[str, Any]) -> int:
    text = entry.get("EPOCH")
    if not isinstance(text, str):
        raise InputError("bad-omm", "EPOCH is missing")
    # CCSDS writes UTC without a zone; some writers add Z, some drop the fraction.
    return parse_time(text if text.endswith("Z") else f"{text}Z")


def _number(entry: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = entry.get(key, default)
    if value is None:
        raise InputError("bad-omm", f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError("bad-number", f"{key} is {value!r}, no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InputError("bad-number", f"{key} is {value!r}, no number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise InputError("bad-number", f"{key} is {value!r}")
    return number
