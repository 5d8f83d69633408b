"""Cutting: the files of a job in pieces, one a shard. Nothing is sent from here."""

from __future__ import annotations

import io
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from meshd.jobs.specification import Work
from protocols.bounds import BLOB_BYTES_MAX
from protocols.errors import InputError, MeshError


def inputs_of(work: Work, count: int, folder: Path) -> list[bytes | None]:
    """The input of each of `count` shards; None where there is none."""
    if work.inputs:
        return [read_file(folder / name, "input") for name in work.inputs]
    if not work.input:
        return [None] * count
    path = folder / work.input
    split = work.split or ("rows" if work.kind == "onnx" else "lines")
    if split == "rows":
        return [*split_rows(path, count)]
    data = read_file(path, "input")
    if split == "whole" or count == 1:
        return [data] * count
    return [*(split_bytes if split == "bytes" else split_lines)(data, count)]


def read_file(path: Path, what: str) -> bytes:
    """A file that a job names. Raises InputError "missing-file" or "file-too-large"."""
    try:
        length = path.stat().st_size
        if length > BLOB_BYTES_MAX:
            message = f"the {what} {path} has {length} bytes; a blob has at most {BLOB_BYTES_MAX}"
            raise InputError("file-too-large", message)
        return path.read_bytes()
    except OSError as error:
        message = f"cannot read the {what} {path}: {error.strerror}"
        raise InputError("missing-file", message) from None


def split_rows(path: Path, shards: int) -> list[bytes]:
    """An .npy or .npz cut along the first axis of its arrays, which all have as many rows.

    Sizes differ by at most one row. Raises InputError "bad-input" or "too-many-shards".
    """
    import numpy as np  # 100 ms: only who splits arrays pays

    from meshd.runtime import arrays

    read_file(path, "input")
    try:
        whole = arrays.read(path)
    except MeshError as error:
        raise InputError(error.code, f"{path}: {error.message}") from None
    rows = {array.shape[0] if array.ndim else -1 for array in whole.values()}
    if len(rows) != 1 or -1 in rows:
        message = f"{path}: its arrays have no first axis of one length to be split along"
        raise InputError("bad-input", message)
    (count,) = rows
    if shards > max(count, 1):
        message = f"{path} has {count} rows, too few for {shards} shards"
        raise InputError("too-many-shards", message)
    parts = {name: np.array_split(array, shards) for name, array in whole.items()}
    if set(parts) == {""}:
        return [_npy(part) for part in parts[""]]
    return [_npz({name: split[i] for name, split in parts.items()}) for i in range(shards)]


def split_lines(data: bytes, shards: int) -> list[bytes]:
    """A text cut between lines; sizes differ by at most one line. Raises "too-many-shards"."""
    lines = data.splitlines(keepends=True)
    if shards > max(len(lines), 1):
        message = f"the input has {len(lines)} lines, too few for {shards} shards"
        raise InputError("too-many-shards", message)
    edges = [len(lines) * i // shards for i in range(shards + 1)]
    return [b"".join(lines[a:b]) for a, b in pairwise(edges)]


def split_bytes(data: bytes, shards: int) -> list[bytes]:
    """Bytes cut anywhere; sizes differ by at most one. Raises "too-many-shards"."""
    if shards > max(len(data), 1):
        message = f"the input has {len(data)} bytes, too few for {shards} shards"
        raise InputError("too-many-shards", message)
    edges = [len(data) * i // shards for i in range(shards + 1)]
    return [data[a:b] for a, b in pairwise(edges)]


def command_of(work: Work, shard: int, shards: int) -> tuple[str, ...]:
    """The arguments of one shard: what is known of it put in, other braces left alone."""
    known: dict[str, int] = {"shard": shard, "shards": shards}
    if work.range is not None:
        begin, length = work.range[0], work.range[1] - work.range[0]
        known["begin"] = begin + length * shard // shards
        known["end"] = begin + length * (shard + 1) // shards
    return tuple(_filled(part, known) for part in work.command)


def _filled(part: str, known: dict[str, int]) -> str:
    for name, number in known.items():
        part = part.replace(f"{{{name}}}", str(number))
    return part


def _npy(array: Any) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def _npz(parts: dict[str, Any]) -> bytes:
    from meshd.runtime import arrays

    with tempfile.TemporaryDirectory(prefix="meshd-") as folder:
        path = Path(folder) / "part.npz"
        arrays.write(path, parts)
        return path.read_bytes()
