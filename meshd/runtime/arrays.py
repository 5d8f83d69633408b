"""Arrays in and out of files: nothing is ever unpickled, and equal arrays give equal bytes."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.errors import MeshError

Array = NDArray[Any]

ARRAYS_MAX = 1000
_KINDS = frozenset("biufcSU")
"""Booleans, numbers and text; not objects, records or dates."""
_ZIP_MAGIC = b"PK\x03\x04"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can say
_NOT_ARRAYS = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    OverflowError,
    NotImplementedError,  # zipfile: a compression it lacks
    SyntaxError,
    RuntimeError,  # zipfile: encrypted
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(path: Path) -> dict[str, Array]:
    """The arrays of an .npz by name, or the one of an .npy under the name "".

    Raises MeshError "bad-input". A compressed bomb ends at the memory limit.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_ZIP_MAGIC))
            file.seek(0)
            if magic == _ZIP_MAGIC:
                arrays = _read_members(path)
            else:
                arrays = {"": np.lib.format.read_array(file, allow_pickle=False)}
    except _NOT_ARRAYS as error:
        raise MeshError("bad-input", f"the input is no .npy or .npz file: {error}") from None
    for name, array in arrays.items():
        if array.dtype.kind not in _KINDS:
            message = f"array {name!r} of the input holds {array.dtype}, not numbers or text"
            raise MeshError("bad-input", message)
    return {name: _plain(array) for name, array in arrays.items()}


def united(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """All arrays by name; those of one name are joined along their first axis, in order.

    Raises MeshError "bad-input" where they do not fit together.
    """
    names = dict.fromkeys(name for part in parts for name in part)
    try:
        return {name: _joined([part[name] for part in parts if name in part]) for name in names}
    except ValueError as error:
        message = f"arrays of one name in several inputs do not fit together: {error}"
        raise MeshError("bad-input", message) from None


def write(path: Path, arrays: dict[str, Array]) -> None:
    """An .npz whose bytes depend on names, order, types and values alone.

    numpy.savez dates its members; results are compared by hash, so here all are of 1980, and
    uncompressed: zlib's versions differ in what they write. Raises ValueError for object arrays.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name + ".npy", _EPOCH)
            member.create_system = 3
            member.external_attr = 0o600 << 16
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _plain(array), allow_pickle=False)


def _read_members(path: Path) -> dict[str, Array]:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > ARRAYS_MAX:
            raise ValueError(f"it holds {len(members)} arrays; at most {ARRAYS_MAX} are read")
        for member in members:
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _joined(found: list[Array]) -> Array:
    return found[0] if len(found) == 1 else np.concatenate(found)


def _plain(array: Array) -> Array:
    """C order, little-endian; `np.ascontiguousarray` would give a scalar a dimension."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
