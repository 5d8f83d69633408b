"""Bundle: the files and folders that go with a job, by names that stay below a shard's folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath

from protocols.bounds import BLOB_BYTES_MAX, FILES_MAX

ENTRIES_MAX = 4_096
"""Looked at in the folders of a bundle, before there are certainly too many."""


def bundle(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, Path], list[str]]:
    """The files below `folder` that these names mean, by their paths; and all that is wrong.

    A name is relative and leads nowhere else, and no link is followed: what a job carries is what
    its author sees in the folder.
    """
    found: dict[str, Path] = {}
    faults: list[str] = []
    for name in names:
        fault = _fault(folder, name)
        if fault:
            faults.append(fault)
            continue
        path = folder / name
        inside = sorted(_walk(path)) if path.is_dir() else [path]
        if len(inside) > FILES_MAX:
            faults.append(f"{name!r} holds more than {FILES_MAX} files")
            continue
        for file in inside:
            where = file.relative_to(folder)
            link = _link_in(folder, where)
            if link is not None:
                faults.append(f"{str(link)!r} is a symbolic link; put the file itself there")
            elif not file.is_file():
                faults.append(f"{str(where)!r} is no plain file")
            elif file.stat().st_size > BLOB_BYTES_MAX:
                faults.append(f"{str(where)!r} is larger than a blob may be ({BLOB_BYTES_MAX})")
            else:
                found[where.as_posix()] = file
    if len(found) > FILES_MAX:
        faults.append(f"there are {len(found)} files; a stage has at most {FILES_MAX}")
    return found, faults


def _fault(folder: Path, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute():
        return f"{name!r} is absolute; name it from the job file's folder"
    if ".." in path.parts:
        return f'{name!r} leads out of the folder with ".."'
    if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return f"{name!r} has a backslash or a control character"
    if path == PurePosixPath("."):
        return "name files and folders in the job file's folder, not the folder itself"
    link = _link_in(folder, path)
    if link is not None:
        return f"{str(link)!r} is a symbolic link; put the file itself there"
    return "" if (folder / path).exists() else f"there is no {name!r} in {folder}"


def _link_in(folder: Path, where: PurePath) -> PurePath | None:
    """The first part of the way to a file that is a link."""
    for end in range(1, len(where.parts) + 1):
        part = PurePath(*where.parts[:end])
        if (folder / part).is_symlink():
            return part
    return None


def _walk(folder: Path) -> Iterator[Path]:
    for path in islice(folder.rglob("*"), ENTRIES_MAX):
        if path.is_symlink() or not path.is_dir():
            yield path
