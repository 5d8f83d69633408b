"""On disk: a file that is there whole or not at all, whatever fails, and under its name."""

from __future__ import annotations

import os
from pathlib import Path

from protocols.errors import MeshError


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Return once the file has these bytes on disk. Raises MeshError "unwritable-file"."""
    draft = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None


def sync(path: Path) -> None:
    """Force a file, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> MeshError:
    """What is said of a file that cannot be written."""
    return MeshError("unwritable-file", f"cannot write {path}: {error.strerror}")
