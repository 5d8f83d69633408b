"""The second example: which kind of file each file of a folder is, by magika's model.

The model, an ONNX file of 3 MB, and what its outputs mean come with the `magika` package (Google,
Apache-2.0), which meshd does not need otherwise: `pip install magika` puts it there. What is cut
out of a file for the model, and how its scores become a label, follow the package's description of
its version 3 models; the tests hold the labels against the package's own.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.errors import InputError, MeshError

FILES_MAX = 20_000
_CONFIDENT = 0.5


@dataclass(frozen=True, slots=True)
class FileTypes:
    """A model that reads the ends of files, and the names of what it finds."""

    model: Path
    config: dict[str, Any]
    is_text: dict[str, bool]

    @property
    def names(self) -> list[str]:
        return list(self.config["target_labels_space"])

    def sample(self, path: Path) -> NDArray[np.int32] | str:
        """What the model reads of a file; or the label itself, where it has too little to read."""
        begin_max, end_max = self.config["beg_size"], self.config["end_size"]
        padding, block = self.config["padding_token"], self.config["block_size"]
        least = self.config["min_file_size_for_dl"]
        size = path.stat().st_size
        if size == 0:
            return "empty"
        with path.open("rb") as file:
            head = file.read(block)
            file.seek(max(0, size - block))
            tail = file.read(block)
        begin, end = head.lstrip()[:begin_max], tail.rstrip()[-end_max:]
        if size < least or len(begin) < least:
            return _few_bytes(head)
        sample = np.full(begin_max + end_max, padding, dtype=np.int32)
        sample[: len(begin)] = np.frombuffer(begin, dtype=np.uint8)
        sample[len(sample) - len(end) :] = np.frombuffer(end, dtype=np.uint8)
        return sample

    def label(self, scores: NDArray[np.float32]) -> tuple[str, float]:
        """The label of one file's scores, and how sure the model is of it."""
        best = int(np.argmax(scores))
        name, score = self.names[best], float(scores[best])
        shown = self.config["overwrite_map"].get(name, name)
        if score >= self.config["thresholds"].get(name, _CONFIDENT):
            return shown, score
        return ("txt" if self.is_text[shown] else "unknown"), score


def load_file_types() -> FileTypes:
    """The model of the magika package. Raises MeshError "magika-missing"."""
    found = importlib.util.find_spec("magika")  # its files alone: it is not imported
    folder = Path(found.origin).parent if found and found.origin else None
    models = sorted(folder.glob("models/standard_v3_*/model.onnx")) if folder else []
    if folder is None or not models:
        message = "the model comes with the magika package; install it: pip install magika"
        raise MeshError("magika-missing", message)
    kinds = json.loads((folder / "config" / "content_types_kb.min.json").read_text())
    return FileTypes(
        model=models[-1],
        config=json.loads((models[-1].parent / "config.min.json").read_text()),
        is_text={name: kind["is_text"] for name, kind in kinds.items()},
    )


def files_below(folder: Path) -> list[Path]:
    """Every plain file below a folder, in order of name; links are left out."""
    if not folder.is_dir():
        raise InputError("missing-file", f"{folder} is no folder")
    found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    if not found or len(found) > FILES_MAX:
        message = f"{folder} has {len(found)} files; there must be 1 to {FILES_MAX}"
        raise InputError("bad-input", message)
    return found


def labels_of(
    types: FileTypes, samples: Sequence[NDArray[np.int32] | str], scores: NDArray[np.float32]
) -> list[tuple[str, float]]:
    """A label and score for each file: of the model where it was asked, else as known before."""
    rows = iter(scores)
    return [(s, 1.0) if isinstance(s, str) else types.label(next(rows)) for s in samples]


def _few_bytes(data: bytes) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "unknown"
    return "txt"
