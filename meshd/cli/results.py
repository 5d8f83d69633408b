"""Results: the outputs of a job's shards joined into one file, or kept apart in a folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from protocols.errors import MeshError

_ZIP = b"PK\x03\x04"


def join(outputs: list[bytes]) -> bytes:
    """All outputs as one: .npz arrays one after another along axis 0, other bytes concatenated.

    Raises MeshError "cannot-join" when the arrays do not fit each other.
    """
    if not outputs or not all(output.startswith(_ZIP) for output in outputs):
        return b"".join(outputs)
    import numpy as np

    parts = [_arrays(output) for output in outputs]
    names = list(parts[0])
    if any(set(part) != set(names) for part in parts):
        raise _cannot("the shards gave different arrays")
    joined: dict[str, Any] = {}
    for name in names:
        pieces = [part[name] for part in parts]
        try:
            joined[name] = np.concatenate(pieces) if pieces[0].ndim else np.stack(pieces)
        except ValueError as error:
            raise _cannot(f"array {name!r}: {error}") from None
    file = io.BytesIO()
    np.savez(file, **joined)
    return file.getvalue()


def write(path: Path, data: bytes) -> None:
    """Raises MeshError "unwritable-file"."""
    try:
        path.write_bytes(data)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise MeshError("unwritable-file", message) from None


def write_apart(folder: Path, outputs: list[bytes]) -> list[Path]:
    """One file a shard, `shard-0000.npz` or `shard-0000.out`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make {folder}: {error.strerror}"
        raise MeshError("unwritable-file", message) from None
    paths = []
    for number, output in enumerate(outputs):
        suffix = "npz" if output.startswith(_ZIP) else "out"
        paths.append(folder / f"shard-{number:04d}.{suffix}")
        write(paths[-1], output)
    return paths


def _arrays(output: bytes) -> dict[str, Any]:
    import numpy as np

    try:
        with np.load(io.BytesIO(output), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise _cannot(f"an output is no .npz file: {error}") from None


def _cannot(why: str) -> MeshError:
    return MeshError("cannot-join", f"{why}; keep the shards apart with -o FOLDER/")
