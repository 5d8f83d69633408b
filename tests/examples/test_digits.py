"""The digits example: the files are what their script says, and rows do not depend on batches."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from meshd.examples import DIGITS, train_digits

HELD_OUT = np.load(DIGITS / "held_out.npy")
IMAGES = np.load(DIGITS / "images.npy")
LABELS = np.load(DIGITS / "labels.npy")


def infer(model: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    label, probability = session.run(["label", "probability"], {"images": images})
    return label, probability


def accuracy(model: Path) -> float:
    return float(np.mean(infer(model, IMAGES[HELD_OUT])[0] == LABELS[HELD_OUT]))


def test_held_out_images_are_read() -> None:
    assert accuracy(DIGITS / "digits.onnx") >= 0.95


def test_shapes_and_types() -> None:
    assert (IMAGES.dtype, IMAGES.shape) == (np.uint8, (1797, 64))
    assert (LABELS.dtype, LABELS.shape) == (np.int64, (1797,))
    assert HELD_OUT.shape == (360,) and len(np.unique(HELD_OUT)) == 360
    label, probability = infer(DIGITS / "digits.onnx", IMAGES)
    assert (label.dtype, label.shape) == (np.int64, (1797,))
    assert (probability.dtype, probability.shape) == (np.float32, (1797, 10))
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("shards", [1, 7, 24, 1797])
def test_a_prediction_does_not_depend_on_its_batch(shards: int) -> None:
    whole = infer(DIGITS / "digits.onnx", IMAGES)
    parts = [infer(DIGITS / "digits.onnx", part) for part in np.array_split(IMAGES, shards)]
    label, probability = (np.concatenate(column) for column in zip(*parts, strict=True))
    np.testing.assert_array_equal(label, whole[0])
    # A batch of one takes another matrix kernel, whose sums are in another order.
    np.testing.assert_allclose(probability, whole[1], rtol=0, atol=1e-6)


def test_the_files_are_what_their_script_makes(tmp_path: Path) -> None:
    train_digits.main(tmp_path)
    for name in ("images.npy", "labels.npy", "held_out.npy", "digits.job.toml"):
        assert (tmp_path / name).read_bytes() == (DIGITS / name).read_bytes(), name
    # Weights are equal on the same machine; another's linear algebra may differ in last bits.
    assert abs(accuracy(tmp_path / "digits.onnx") - accuracy(DIGITS / "digits.onnx")) <= 0.02


def test_the_job_file_names_files_that_are_there() -> None:
    job = tomllib.loads((DIGITS / "digits.job.toml").read_text())
    assert (DIGITS / job["model"]).is_file()
    assert (DIGITS / job["input"]).is_file()
    assert job["shards"] == 24
    assert job["limits"] == {"wall_s": 10, "memory_mb": 512, "output_mb": 4}
