"""Job files: TOML in, and the job's files cut into shards. Nothing is sent from here."""

from __future__ import annotations

import difflib
import io
import re
import tempfile
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocols.bounds import BLOB_BYTES_MAX, SHARDS_MAX
from protocols.errors import InputError, MeshError
from protocols.job import Limits

Shards = Annotated[int, Meta(ge=1, le=SHARDS_MAX)]


class JobFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job file may say. Paths are relative to the file."""

    name: str = ""
    kind: Literal["onnx", "command"] = "onnx"
    model: str = ""
    input: str = ""
    split: Literal["", "rows", "lines", "whole"] = ""
    """rows: along the first axis of each array; lines: of a text; whole: all of it to each."""
    shards: Shards | None = None
    sink: str | None = None
    deadline_s: float = 600.0
    estimate_s: float = 1.0
    command: tuple[str, ...] = ()
    limits: Limits = Limits()


def read_job_file(path: Path) -> JobFile:
    """Read and check a job file. Raises InputError "bad-job-file" with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _bad(path, "it is not UTF-8 text; a job file is TOML") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, f"it is not TOML: {error}") from None
    _check_keys(path, text, raw, JobFile.__struct_fields__, "")
    if isinstance(raw.get("limits"), dict):
        _check_keys(path, text, raw["limits"], Limits.__struct_fields__, "limits.")
    try:
        job = msgspec.convert(raw, JobFile)
    except msgspec.ValidationError as error:
        raise _bad(
            path, f"{error}".replace("$.", "at "), _line_of_error(text, str(error))
        ) from None
    return _check(path, job)


def _check_keys(
    path: Path, text: str, raw: dict[str, Any], known: Sequence[str], prefix: str
) -> None:
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there is: {', '.join(known)}"
            raise _bad(path, f"unknown key {prefix + key!r}{hint}", _line_of(text, key))


def _check(path: Path, job: JobFile) -> JobFile:
    name = job.name or path.name.removesuffix(".toml").removesuffix(".job")
    if job.kind == "onnx":
        for key in ("model", "input"):
            if not getattr(job, key):
                raise _bad(path, f"a job of kind onnx needs {key!r}")
        if job.command:
            raise _bad(path, "a job of kind onnx has no 'command'; say kind = \"command\"")
        if job.split not in ("", "rows"):
            raise _bad(path, f"split = {job.split!r} is for kind command; models get rows")
    elif not job.command:
        raise _bad(path, "a job of kind command needs 'command', a list of arguments")
    elif job.split == "rows":
        raise _bad(path, 'split = "rows" is for models; a command gets "lines" or "whole"')
    return msgspec.structs.replace(job, name=name)


def _line_of(text: str, key: str) -> int | None:
    pattern = re.compile(rf"""\s*(\[\s*)?["']?{re.escape(key)}["']?\s*[=\].]""")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if pattern.match(line)), None)


def _line_of_error(text: str, message: str) -> int | None:
    found = re.search(r"`\$\.([A-Za-z_.]+)", message)
    return _line_of(text, found.group(1).rpartition(".")[2]) if found else None


def _bad(path: Path, why: str, line: int | None = None) -> InputError:
    where = f"{path}, line {line}" if line else f"{path}"
    return InputError("bad-job-file", f"{where}: {why}")


# --- files ------------------------------------------------------------------------------------


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


def command_of(command: Sequence[str], shard: int, shards: int) -> tuple[str, ...]:
    """The arguments of one shard: {shard} and {shards} replaced, other braces left alone."""
    return tuple(
        part.replace("{shard}", str(shard)).replace("{shards}", str(shards)) for part in command
    )


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
