"""Accepted updates of elements on disk: whole or not at all, so that a restart has them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from meshd.adapters.ondisk import write_whole
from meshd.ephemeris.elements import check_elements
from meshd.ephemeris.succession import Update
from protocols.errors import MeshError

UPDATES = "elements.json"


def read_updates(home: Path) -> tuple[Update, ...]:
    """The updates a home has; none without a file. Raises MeshError "bad-updates"."""
    path = home / UPDATES
    try:
        updates = msgspec.json.decode(path.read_bytes(), type=tuple[Update, ...])
        for update in updates:
            for elements in update.elements:
                check_elements(elements)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, MeshError) as error:
        message = f"cannot read {path}: {error}; remove it and give the elements again"
        raise MeshError("bad-updates", message) from None
    return updates


def write_updates(home: Path, updates: tuple[Update, ...]) -> None:
    """Return once they are on disk. Raises MeshError "unwritable-file"."""
    write_whole(home / UPDATES, msgspec.json.encode(updates))
