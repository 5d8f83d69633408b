"""ONNX models on one CPU thread: loaded once, kept warm, the same bytes out for the same in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from meshd.runtime import arrays
from meshd.runtime.arrays import Array
from meshd.runtime.warm import Warm
from protocols.errors import MeshError
from protocols.types import Cid

_NPZ_BYTES_PER_ARRAY = 1024
"""More than the headers of one array in an .npz take, names of ordinary length supposed."""
_REFUSALS = (
    ort.EPFail,
    ort.Fail,
    ort.InvalidArgument,
    ort.InvalidGraph,
    ort.InvalidProtobuf,
    ort.NoModel,
    ort.NoSuchFile,
    ort.NotFound,
    ort.NotImplemented,
    ort.RuntimeException,
    RuntimeError,
    TypeError,
    ValueError,
)
_NO_MEMORY = ("bad_alloc", "failed to allocate memory", "bad allocation", "out of memory")


class Models:
    """The few models used last."""

    def __init__(self) -> None:
        self._sessions: Warm[Any] = Warm()

    def run(self, cid: Cid, model: Path, sources: Sequence[Path]) -> Outputs:
        """Run it on the arrays of its inputs; of several it takes those that it names.

        Raises MeshError "bad-model" or "bad-input", and MemoryError.
        """
        feed = arrays.united([arrays.read(source) for source in sources])
        session = self._session(cid, model)
        if len(sources) > 1:
            feed = _those_named(feed, [given.name for given in session.get_inputs()])
        if list(feed) == [""]:
            feed = {session.get_inputs()[0].name: feed[""]} if session.get_inputs() else {}
        names = [output.name for output in session.get_outputs()]
        try:
            values = session.run(None, feed)
        except _REFUSALS as error:
            _raise_if_memory(error)
            # Mostly a name, type or shape the model does not take; the message says which.
            message = f"the model cannot run on this input: {_brief(error)}"
            raise MeshError("bad-input", message) from None
        return Outputs(dict(zip(names, map(_as_array, names, values), strict=True)))

    def _session(self, cid: Cid, model: Path) -> Any:
        session = self._sessions.get(cid)
        if session is None:
            session = _load(model)
            self._sessions.keep(cid, session, model.stat().st_size)
        return session


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model gave, by output name, in the model's order."""

    arrays: dict[str, Array]

    def write(self, target: Path, bytes_max: int) -> None:
        """Write the .npz. Raises MeshError "output-limit" before a byte too many is written."""
        size = sum(array.nbytes + _NPZ_BYTES_PER_ARRAY for array in self.arrays.values())
        if size > bytes_max:
            exact = sum(array.nbytes for array in self.arrays.values())
            message = f"the output is {exact} bytes of arrays; the limit is {bytes_max} as .npz"
            raise MeshError("output-limit", message)
        arrays.write(target, self.arrays)


def _those_named(feed: dict[str, Array], names: list[str]) -> dict[str, Array]:
    """The arrays that a model names; one without a name is its first input that nobody gave."""
    found = {name: array for name, array in feed.items() if name in names}
    missing = [name for name in names if name not in found]
    if "" in feed and missing:
        found[missing[0]] = feed[""]
    return found or feed


def _load(model: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # memory goes back when a shard ends
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        # From bytes: a model that refers to other files by path cannot reach them.
        return onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except _REFUSALS as error:
        _raise_if_memory(error)
        message = f"onnxruntime does not take the model: {_brief(error)}"
        raise MeshError("bad-model", message) from None


def _as_array(name: str, value: object) -> Array:
    if isinstance(value, np.ndarray):
        # Text comes as objects; as fixed-width text it is written without pickle.
        return value.astype(np.str_) if value.dtype.kind == "O" else value
    raise MeshError("bad-model", f"output {name!r} is a {type(value).__name__}, not an array")


def _raise_if_memory(error: Exception) -> None:
    text = str(error).lower()
    if any(sign in text for sign in _NO_MEMORY):
        raise MemoryError from None


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
