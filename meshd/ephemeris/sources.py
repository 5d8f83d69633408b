"""From the documents that people bring to one sky: of elements, tables of states, or both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from meshd.ephemeris.elements import Catalog, Refused, make_catalog
from meshd.ephemeris.formats import Document, Found, read_document
from meshd.ephemeris.hypatia import read_folder
from meshd.ephemeris.names import fold
from meshd.ephemeris.sky import Sky, sky_from_catalog, sky_from_folder, sky_from_tables
from meshd.ephemeris.stations import GroundStation
from meshd.ephemeris.tables import Segment, Tables, Tabulated
from protocols.errors import InputError

REFUSED_TOLD = 5
"""So many refusals are named to people; all are kept."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sky, and what was not taken into it."""

    sky: Sky
    refused: tuple[Refused, ...] = ()


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
    for document in documents:
        try:
            found = read_document(document)
        except InputError as error:
            errors.append(error)
            refused.append(Refused(0, "", error.code, error.message, document.file))
            continue
        _take(found, catalogs, segments)
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
    return Loaded(sky_from_folder(read_folder(texts), stations))


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


def _take(found: Found, catalogs: list[Catalog], segments: list[Segment]) -> None:
    match found:
        case Catalog():
            catalogs.append(found)
        case Tabulated():
            segments += found.segments


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
