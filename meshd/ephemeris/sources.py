"""From the documents that people bring to one sky: of elements, tables of states, or both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from meshd.ephemeris import hypatia, presets
from meshd.ephemeris.elements import Catalog, Refused, make_catalog
from meshd.ephemeris.formats import Document, read_document
from meshd.ephemeris.hypatia import read_folder
from meshd.ephemeris.hypatia_presets import HYPATIA_RULES
from meshd.ephemeris.names import fold
from meshd.ephemeris.presets import shells_of
from meshd.ephemeris.sky import (
    Sky,
    sky_from_catalog,
    sky_from_folder,
    sky_from_preset,
    sky_from_shells,
    sky_from_tables,
)
from meshd.ephemeris.staleness import stale_told
from meshd.ephemeris.stations import GroundStation
from meshd.ephemeris.tables import Segment, Tables, Tabulated, check_size
from protocols.errors import InputError
from protocols.types import Instant

REFUSED_TOLD = 5
"""So many refusals are named to people; all are kept."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sky, what was not taken into it, and what looks wrong (a line each)."""

    sky: Sky
    refused: tuple[Refused, ...] = ()
    doubts: tuple[str, ...] = ()

    def warnings(self, at: Instant) -> list[str]:
        """What people should know before they believe this sky at an instant, in lines."""
        told = [*refusals_told(self.refused), *self.doubts, *stale_told(self.sky.elements, at)]
        lost = self.sky.failures(np.array([at], dtype=np.int64))
        if lost:
            told.append(
                f"{len(lost)} of {self.sky.n_satellites} satellites have no position then, such as "
                f"{lost[0].name}: {lost[0].reason}"
            )
        return told


def sky_from_constellation(name_or_code: str, stations: Sequence[GroundStation] = ()) -> Loaded:
    """The sky of a preset or a constellation code; raises what `sky_from_preset` raises."""
    if name_or_code.strip().lower().startswith(HYPATIA_RULES):
        return Loaded(sky_from_preset(name_or_code, stations))
    shells = shells_of(name_or_code)
    return Loaded(sky_from_shells(shells, stations), doubts=tuple(presets.doubts(shells)))


def sky_from_documents(
    documents: Iterable[Document], stations: Sequence[GroundStation] = ()
) -> Loaded:
    """The sky of all satellites in some documents, one document at a time.

    Of a satellite's elements the newest count; a table of its states counts before its elements.
    Satellites with elements come first, then those with tables, each in the order they were
    brought. A document that cannot be read is refused whole, unless all are: then the first
    error is raised.
    """
    catalogs: list[Catalog] = []
    segments: list[Segment] = []
    refused: list[Refused] = []
    errors: list[InputError] = []
    states = 0
    for document in documents:
        try:
            found = read_document(document)
        except InputError as error:
            errors.append(error)
            refused.append(Refused(0, "", error.code, error.message, document.file))
            continue
        match found:
            case Catalog():
                catalogs.append(found)
            case Tabulated():
                segments += found.segments
                states += sum(segment.instants.size for segment in found.segments)
                check_size(states)
        refused += [replace(item, file=document.file) for item in found.refused]
    if not catalogs and not segments:
        raise errors[0] if errors else InputError("empty-catalog", "no file to read")
    catalog = _without(_merged(catalogs, refused), segments, refused)
    if segments:
        sky = sky_from_tables(Tables.of(segments), catalog, stations)
    elif catalog is not None:
        sky = sky_from_catalog(catalog, stations)
    return Loaded(sky, tuple(refused))


def sky_from_hypatia(texts: Mapping[str, str], stations: Sequence[GroundStation] = ()) -> Loaded:
    """The sky of a folder of Hypatia's, by file name; its own stations come first."""
    folder = read_folder(texts)
    return Loaded(sky_from_folder(folder, stations), doubts=tuple(hypatia.doubts(folder)))


def refusals_told(refused: Sequence[Refused]) -> list[str]:
    """What was refused, in lines for people: how many, and the first few of them."""
    if not refused:
        return []
    told = [f"{len(refused)} refused, the rest is used:"]
    for item in refused[:REFUSED_TOLD]:
        place = " ".join(filter(None, (item.file, f"line {item.line}" if item.line else "")))
        told.append(": ".join(filter(None, (place, item.name, item.reason))))
    if len(refused) > REFUSED_TOLD:
        told.append(f"and {len(refused) - REFUSED_TOLD} more; --json has them all")
    return told


def _merged(catalogs: Sequence[Catalog], refused: list[Refused]) -> Catalog | None:
    if len(catalogs) < 2:
        return catalogs[0] if catalogs else None
    whole = make_catalog((0, e) for catalog in catalogs for e in catalog.elements)
    refused += whole.refused
    return whole


def _without(
    catalog: Catalog | None, segments: Sequence[Segment], refused: list[Refused]
) -> Catalog | None:
    """The elements of satellites that have no table."""
    if catalog is None or not segments:
        return catalog
    tabled = {fold(segment.name) for segment in segments}
    kept = [e for e in catalog.elements if fold(e.name) not in tabled]
    for e in catalog.elements:
        if fold(e.name) in tabled:
            refused.append(Refused(0, e.name, "superseded", "a table of its states is used"))
    return make_catalog((0, e) for e in kept) if kept else None
