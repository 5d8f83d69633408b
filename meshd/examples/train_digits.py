"""Makes the digits example: `python -m meshd.examples.train_digits [folder]`.

Trains a small perceptron on scikit-learn's bundled digits, 1,797 images of 8 x 8 pixels with
values 0 to 16 (E. Alpaydin and C. Kaynak, UCI, 1998). 80% are for training, 20% held out,
stratified by label, seed 0; the accuracy that counts is on the held-out images. Needs
scikit-learn and onnx, which meshd itself does not.

Writes digits.onnx (`images` uint8 [N, 64] in; `label` int64 [N] and `probability` float32 [N, 10]
out), images.npy, labels.npy, held_out.npy (indices, ascending) and digits.job.toml.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshd.examples import DIGITS

SEED = 0
HELD_OUT = 0.2
HIDDEN = 64
PIXEL_MAX = 16.0
OPSET = 17
IR_VERSION = 8

JOB = """\
# Read 1,797 handwritten digits on whichever satellites finish first.
name = "digits"
kind = "onnx"
model = "digits.onnx"
input = "images.npy"     # split along its first axis
shards = 24
deadline_s = 120
estimate_s = 0.05

[limits]
wall_s = 10
memory_mb = 512
output_mb = 4
"""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images uint8 [N, 64], their labels int64 [N], and which indices are held out."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_out: NDArray[np.int64]

    def training(self) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(len(self.labels)), self.held_out)


def main(folder: Path) -> None:
    """Make every file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load()
    model, accuracy = train(digits)
    (folder / "digits.onnx").write_bytes(model)
    np.save(folder / "images.npy", digits.images)
    np.save(folder / "labels.npy", digits.labels)
    np.save(folder / "held_out.npy", digits.held_out)
    (folder / "digits.job.toml").write_text(JOB)
    sys.stdout.write(f"{folder}: {accuracy:.4f} of {len(digits.held_out)} held-out images right\n")


def load() -> Digits:
    """The bundled digits and the split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundle = load_digits()
    labels = bundle.target.astype(np.int64)
    _, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=SEED
    )
    return Digits(bundle.data.astype(np.uint8), labels, np.sort(held_out).astype(np.int64))


def train(digits: Digits) -> tuple[bytes, float]:
    """The model as ONNX, and the share of held-out images that it reads right."""
    from sklearn.neural_network import MLPClassifier

    scaled = digits.images / PIXEL_MAX
    training = digits.training()
    perceptron = MLPClassifier((HIDDEN,), alpha=1e-3, max_iter=400, random_state=SEED)
    perceptron.fit(scaled[training], digits.labels[training])
    accuracy = perceptron.score(scaled[digits.held_out], digits.labels[digits.held_out])
    return to_onnx(perceptron.coefs_, perceptron.intercepts_), float(accuracy)


def to_onnx(weights: list[Any], biases: list[Any]) -> bytes:
    """Cast, scale, Gemm and Relu, Gemm, Softmax; ArgMax is the label."""
    from onnx import TensorProto, checker, helper, numpy_helper

    constants = {"scale": np.float32(1 / PIXEL_MAX)}
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        constants[f"w{layer}"] = weight.astype(np.float32)
        constants[f"b{layer}"] = bias.astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "w1", "b1"], ["sum1"]),
        helper.make_node("Relu", ["sum1"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], ["sum2"]),
        helper.make_node("Softmax", ["sum2"], ["probability"], axis=1),
        helper.make_node("ArgMax", ["sum2"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 10]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="meshd.examples.train_digits",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DIGITS)
