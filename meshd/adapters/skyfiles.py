"""Files that describe a sky, from the disk: elements, tables of states, folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from meshd.ephemeris.formats import Document
from meshd.ephemeris.hypatia import FILES, SATELLITES
from meshd.ephemeris.sources import Loaded, sky_from_documents, sky_from_hypatia
from meshd.ephemeris.stations import GroundStation
from protocols.errors import InputError

FILES_MAX = 50_000
FILE_BYTES_MAX = 1 << 30

_BESIDE = ("MANIFEST.txt",)
"""Lists of files that stand among operators' ephemerides."""


def load_sky(paths: Sequence[str], stations: Sequence[GroundStation] = ()) -> Loaded:
    """The sky of files in any known format, of folders of them, or of one folder of Hypatia's.

    Files of a folder are taken in order of their names. Raises InputError "unreadable-file",
    "too-many-files", and what `sky_from_documents` and `sky_from_hypatia` raise.
    """
    places = [Path(path).expanduser() for path in paths]
    if any((place / SATELLITES).is_file() for place in places):
        if len(places) > 1:
            raise InputError(
                "bad-hypatia", "a folder of Hypatia's is a sky by itself: give it alone"
            )
        found = [places[0] / name for name in FILES if (places[0] / name).is_file()]
        return sky_from_hypatia({path.name: read_text(path) for path in found}, stations)
    files = [file for place in places for file in _files(place)]
    if len(files) > FILES_MAX:
        raise InputError("too-many-files", f"{len(files)} files, at most {FILES_MAX}")
    return sky_from_documents(_documents(files), stations)


def read_text(path: Path) -> str:
    """A text file that a person named. Raises InputError "unreadable-file"."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InputError("unreadable-file", f"{path} is larger than {FILE_BYTES_MAX >> 20} MB")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {path}: {error.strerror}") from None


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    try:
        inside = sorted(place.iterdir())
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {place}: {error.strerror}") from None
    return [p for p in inside if p.is_file() and p.name[0] != "." and p.name not in _BESIDE]


def _documents(files: Sequence[Path]) -> Iterator[Document]:
    """One at a time: ephemerides of a whole constellation are gigabytes of text."""
    for file in files:
        yield Document(str(file), read_text(file))
