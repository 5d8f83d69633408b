"""Orbit mean-elements messages (CCSDS 502.0, OMM) to a Catalog, in JSON, XML, KVN and CSV.

The four syntaxes differ only in how a message's keywords are found: each gives (line, fields),
and one function makes elements of the fields.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from xml.sax.handler import ContentHandler

from meshd.ephemeris.elements import Catalog, Elements, Refused, check_elements, make_catalog
from meshd.ephemeris.ndm import read_xml
from meshd.ephemeris.timescale import parse_ccsds_time
from protocols.errors import InputError

Message: TypeAlias = tuple[int, Any]
"""The line a message begins on, and its fields: a mapping, unless the file has something else."""

# What a message may say of itself and still be SGP4's; all are optional in the wild.
_SUPPOSED = (
    ("MEAN_ELEMENT_THEORY", ("SGP4", "SGP/SGP4"), "mean elements of {} are not SGP4's"),
    ("CENTER_NAME", ("EARTH",), "an orbit around {} is none around the Earth"),
    ("REF_FRAME", ("TEME", "TEMEOFDATE", "TEME OF DATE"), "SGP4's frame is TEME, not {}"),
    ("TIME_SYSTEM", ("UTC",), "element sets count in UTC, not {}"),
    ("EPHEMERIS_TYPE", ("0", "2"), "ephemeris type {} is not SGP4's (4 is SGP4-XP)"),
)

_KVN_LINE = re.compile(r"\s*([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*(?:\[[^\]]*\]\s*)?", re.ASCII)


def parse_omm_json(text: str) -> Catalog:
    """The catalogue of a JSON list of OMM objects, as CelesTrak and Space-Track serve them.

    Numbers may be JSON numbers or strings. An unusable object is refused with the line it begins
    on, its place in the list and a code ("bad-omm", "bad-number", "bad-time", "bad-elements",
    "underground"); the rest loads. Raises InputError "bad-json" or "empty-catalog".
    """
    return _catalog(_json_messages(text), "entry {}: ")


def parse_omm_xml(text: str) -> Catalog:
    """The catalogue of an NDM or OMM document in XML; refusals as in JSON.

    Raises InputError "bad-xml" or
    "empty-catalog".
    """
    handler = _XmlMessages()
    read_xml(text, handler)
    return _catalog(handler.found)


def parse_omm_kvn(text: str) -> Catalog:
    """The catalogue of messages in key = value notation, one after another; refusals as in JSON.

    Units in brackets and META_START, META_STOP and their like are read over. Raises InputError
    "empty-catalog".
    """
    return _catalog(_kvn_messages(text))


def parse_omm_csv(text: str) -> Catalog:
    """The catalogue of a CSV table whose first row names the keywords; refusals as in JSON.

    Raises InputError "bad-csv" or "empty-catalog".
    """
    return _catalog(_csv_messages(text))


def _catalog(messages: Iterable[Message], place: str = "") -> Catalog:
    found: list[tuple[int, Elements]] = []
    refused: list[Refused] = []
    for number, (line, fields) in enumerate(messages, start=1):
        try:
            found.append((line, _elements(fields)))
        except InputError as error:
            name = str(fields.get("OBJECT_NAME") or "") if isinstance(fields, dict) else ""
            reason = place.format(number) + error.message
            refused.append(Refused(line, name, error.code, reason))
    return make_catalog(found, refused)


# --- from text to fields -------------------------------------------------------------------------


def _json_messages(text: str) -> Iterator[Message]:
    """Each object of a list, decoded by itself, so that its line is known."""
    decoder = json.JSONDecoder()
    at = _past_space(text, 0)
    listed = text.startswith("[", at)
    at, line, counted = at + listed, 1, 0
    try:
        while True:
            at = _past_space(text, at)
            if listed and text.startswith("]", at):
                break
            line, counted = line + text.count("\n", counted, at), at
            fields, at = decoder.raw_decode(text, at)
            yield line, fields
            at = _past_space(text, at)
            if not (listed and text.startswith(",", at)):
                break
            at += 1
        if listed and not text.startswith("]", at):
            raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        if text[at + listed :].strip():
            raise json.JSONDecodeError("Extra data", text, at + listed)
    except json.JSONDecodeError as error:
        raise InputError("bad-json", f"line {error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise InputError("bad-json", f"line {line}: nested too deep for an OMM") from None


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n\ufeff":
        at += 1
    return at


class _XmlMessages(ContentHandler):
    """Gathers the leaves under each <omm>: keyword and text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Message] = []
        self._locator: Any = None
        self._text: list[str] = []

    def setDocumentLocator(self, locator: Any) -> None:
        self._locator = locator

    def startElement(self, name: str, attrs: Any) -> None:
        self._text = []
        if name.rpartition(":")[2] == "omm":
            self.found.append((self._locator.getLineNumber(), {}))

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:
        value, self._text = "".join(self._text).strip(), []
        if value and self.found:
            self.found[-1][1][name.rpartition(":")[2]] = value


def _kvn_messages(text: str) -> Iterator[Message]:
    """A new message at each version line, or where an object's name comes a second time."""
    fields: dict[str, str] = {}
    begin = 0
    for at, line in enumerate(text.splitlines(), start=1):
        match = _KVN_LINE.fullmatch(line)
        if match is None:
            continue  # blank, COMMENT, META_START...
        key, value = match.groups()
        if key == "CCSDS_OMM_VERS" or (key == "OBJECT_NAME" and key in fields):
            if fields:
                yield begin, fields
            fields, begin = {}, at
        begin = begin or at
        fields[key] = value
    if fields:
        yield begin, fields


def _csv_messages(text: str) -> Iterator[Message]:
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    head: list[str] = []
    line = 1
    try:
        for row in rows:
            begin, line = line, rows.line_num + 1
            if not any(row):
                continue
            if not head:
                head = [word.strip().upper() for word in row]
            elif len(row) != len(head):
                yield begin, f"{len(row)} columns where the first row has {len(head)}"
            else:
                yield begin, dict(zip(head, row, strict=True))
    except csv.Error as error:
        raise InputError("bad-csv", f"line {line}: not CSV: {error}") from None


# --- from fields to elements ---------------------------------------------------------------------


def _elements(fields: Any) -> Elements:
    if not isinstance(fields, dict):
        told = isinstance(fields, str) and "columns" in fields
        raise InputError("bad-omm", fields if told else "an OMM is an object")
    for key, allowed, complaint in _SUPPOSED:
        value = str(_field(fields, key, allowed[0])).strip()
        if value.upper() not in allowed:
            raise InputError("bad-omm", complaint.format(value))
    norad_id = _number(fields, "NORAD_CAT_ID")
    if norad_id != int(norad_id):
        raise InputError("bad-number", f"NORAD_CAT_ID {norad_id} is not whole")
    return check_elements(
        Elements(
            name=str(_field(fields, "OBJECT_NAME", f"NORAD-{int(norad_id)}")).strip(),
            norad_id=int(norad_id),
            epoch=_epoch(fields),
            inclination_deg=_number(fields, "INCLINATION"),
            raan_deg=_number(fields, "RA_OF_ASC_NODE"),
            eccentricity=_number(fields, "ECCENTRICITY"),
            argp_deg=_number(fields, "ARG_OF_PERICENTER"),
            mean_anomaly_deg=_number(fields, "MEAN_ANOMALY"),
            mean_motion_rev_day=_number(fields, "MEAN_MOTION"),
            bstar=_number(fields, "BSTAR", 0.0),
            ndot=_number(fields, "MEAN_MOTION_DOT", 0.0),
            nddot=_number(fields, "MEAN_MOTION_DDOT", 0.0),
        )
    )


def _field(fields: Mapping[str, Any], key: str, default: Any) -> Any:
    value = fields.get(key)
    return default if value is None or value == "" else value


def _epoch(fields: Mapping[str, Any]) -> int:
    text = fields.get("EPOCH")
    if not isinstance(text, str):
        raise InputError("bad-omm", "EPOCH is missing")
    return parse_ccsds_time(text)


def _number(fields: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = _field(fields, key, default)
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
