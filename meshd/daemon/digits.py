"""The digits example as a job: its files as blobs, its results joined and checked."""

from __future__ import annotations

import io
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Digits:
    """A classifier and 1,797 images of handwritten digits, 8 by 8 pixels each."""

    model: bytes
    images: Array
    labels: Array
    held_out: Array
    """Indices of the images that the model was not trained on."""
    shards: int
    deadline_s: float
    estimate_s: float

    def inputs(self) -> list[bytes]:
        """The images in as many .npy files as there are shards."""
        return [_npy(part) for part in np.array_split(self.images, self.shards)]

    def accuracy(self, predicted: Array) -> float:
        """Share of held-out images read correctly."""
        hits = predicted[self.held_out] == self.labels[self.held_out]
        return float(hits.mean())

    def local(self) -> Array:
        """The labels the model gives when it is run here, over all images at once."""
        import onnxruntime  # 0.3 s and 40 MB: only who runs a model pays

        session = onnxruntime.InferenceSession(self.model, providers=["CPUExecutionProvider"])
        (labels,) = session.run(["label"], {session.get_inputs()[0].name: self.images})
        return np.asarray(labels)


def load_digits(folder: Path) -> Digits:
    """Read the example that is shipped with meshd."""
    job = tomllib.loads((folder / "digits.job.toml").read_text(encoding="utf-8"))
    return Digits(
        model=(folder / job["model"]).read_bytes(),
        images=np.load(folder / job["input"], allow_pickle=False),
        labels=np.load(folder / "labels.npy", allow_pickle=False),
        held_out=np.load(folder / "held_out.npy", allow_pickle=False),
        shards=job["shards"],
        deadline_s=job["deadline_s"],
        estimate_s=job["estimate_s"],
    )


def labels_of(output: bytes) -> Array:
    """The labels in one shard's output (.npz)."""
    with np.load(io.BytesIO(output), allow_pickle=False) as arrays:
        return np.asarray(arrays["label"])


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
