"""Orbit ephemeris messages in XML (CCSDS 505.0) to tables of states."""

from __future__ import annotations

from typing import Any
from xml.sax.handler import ContentHandler

from meshd.ephemeris.ndm import read_xml
from meshd.ephemeris.oem import Block, tabulated
from meshd.ephemeris.tables import Tabulated
from protocols.errors import InputError

_STATE = ("EPOCH", "X", "Y", "Z", "X_DOT", "Y_DOT", "Z_DOT")
_UNITS = {**dict.fromkeys(_STATE[1:4], "km"), **dict.fromkeys(_STATE[4:], "km/s")}


def parse_oem_xml(text: str) -> Tabulated:
    """The segments of an OEM, or of all in an NDM; refusals as in key = value notation.

    Raises InputError "bad-xml" or
    "empty-ephemeris".
    """
    handler = _Blocks()
    read_xml(text, handler)
    return tabulated(handler.found)


class _Blocks(ContentHandler):
    """Gathers the metadata and state vectors of each <segment>; covariances are read over."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Block] = []
        self._locator: Any = None
        self._text: list[str] = []
        self._fields: dict[str, str] | None = None
        """Of the metadata or state vector that is open."""

    def setDocumentLocator(self, locator: Any) -> None:
        self._locator = locator

    def startElement(self, name: str, attrs: Any) -> None:
        self._text = []
        match name.rpartition(":")[2]:
            case "segment":
                self.found.append(Block(self._line()))
            case "metadata" if self.found:
                self._fields = self.found[-1].meta
            case "stateVector" if self.found:
                self._fields = {}
            case keyword:
                units = attrs.get("units", "")
                if units and units.lower() != _UNITS.get(keyword, units.lower()):
                    message = f"line {self._line()}: {keyword} in {units}, not {_UNITS[keyword]}"
                    raise InputError("bad-xml", message)

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:
        value, self._text = "".join(self._text).strip(), []
        match name.rpartition(":")[2]:
            case "metadata":
                self._fields = None
            case "stateVector" if self._fields is not None:
                state = " ".join(self._fields.get(key) or "missing" for key in _STATE)
                self.found[-1].rows.append((self._line(), state))
                self._fields = None
            case keyword if value and self._fields is not None:
                self._fields[keyword] = value

    def _line(self) -> int:
        return int(self._locator.getLineNumber())
