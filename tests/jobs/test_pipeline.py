"""A model cut into stages gives what the whole gives, whichever way its tensors go."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import magika
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from meshd.examples import DIGITS
from meshd.jobs.onnxgraph import read_graph
from meshd.jobs.pipeline import crossing, split_model
from protocols.errors import InputError

MAGIKA = next(Path(magika.__file__).parent.rglob("model.onnx"))
Feed = dict[str, Any]


def run(model: bytes, feed: Feed) -> Feed:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    known = {given.name for given in session.get_inputs()}
    names = [made.name for made in session.get_outputs()]
    values = session.run(None, {name: feed[name] for name in known})
    return dict(zip(names, values, strict=True))


def staged(model: bytes, count: int, feed: Feed) -> Feed:
    """Each stage is fed by the input, if it reads it, and by those it takes; by nothing else."""
    stages = split_model(model, count)
    assert len(stages) == count
    made: list[Feed] = []
    for stage in stages:
        own = dict(feed) if stage.reads_input else {}
        for taken in stage.takes:
            own |= made[taken]
        made.append(run(stage.model, own))
    return made[-1]


def assert_same(model: bytes, count: int, feed: Feed) -> None:
    whole, parts = run(model, feed), staged(model, count, feed)
    assert list(parts) == list(whole)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_digits_in_stages_read_what_the_whole_reads(count: int) -> None:
    feed = {"images": np.load(DIGITS / "images.npy")}
    assert_same((DIGITS / "digits.onnx").read_bytes(), count, feed)


@pytest.mark.parametrize("count", [2, 4, 9])
def test_magika_in_stages_sees_what_the_whole_sees(count: int) -> None:
    rng = np.random.default_rng(1)
    feed = {"bytes": rng.integers(0, 257, (3, 2048), dtype=np.int32)}
    assert_same(MAGIKA.read_bytes(), count, feed)


def test_cuts_balance_the_work_and_avoid_wide_activations() -> None:
    graph = read_graph(MAGIKA.read_bytes())
    whole = sum(graph.flop)
    stages = split_model(MAGIKA.read_bytes(), 3)
    assert sum(stage.flop for stage in stages) == pytest.approx(whole)
    heaviest = max(max(graph.flop), whole / 3)
    assert max(stage.flop for stage in stages) <= 1.5 * heaviest


def test_every_cut_is_the_best_by_trying_all() -> None:
    """Against every pair of cuts of the digits, by the same cost written out plainly."""
    data = (DIGITS / "digits.onnx").read_bytes()
    graph = read_graph(data)
    places, count = crossing(graph), len(graph.flop)
    width = [sum(graph.sizes[name] for name in names) / (25e9 / 8) for names in places]

    def slowest(*cuts: int) -> float:
        ends = [0, *cuts, count]
        parts = pairwise(ends)
        return max(sum(graph.flop[a:b]) / 10e9 + width[a] for a, b in parts)

    best = min(slowest(i, j) for i in range(1, count) for j in range(i + 1, count))
    found = [stage.flop for stage in split_model(data, 3)]
    ends = np.cumsum(found)
    cuts = [int(np.argmin(abs(np.cumsum(graph.flop) - end))) + 1 for end in ends[:2]]
    assert slowest(*cuts) == pytest.approx(best)


@settings(max_examples=40)
@given(st.data())
def test_any_graph_of_sums_is_cut_without_changing_it(data: st.DataObject) -> None:
    """Random wiring: two inputs, skips over stages, outputs made early and read later."""
    names = ["x", "y", "c"]
    nodes = []
    for index in range(data.draw(st.integers(2, 12), "nodes")):
        ends = [data.draw(st.sampled_from(names)) for _ in range(2)]
        nodes.append(
            helper.make_node(data.draw(st.sampled_from(["Add", "Sub"])), ends, [f"t{index}"])
        )
        names.append(f"t{index}")
    made = [node.output[0] for node in nodes]
    outputs = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2])  # noqa: E731
    graph = helper.make_graph(
        nodes, "g", [value("x"), value("y")], [value(name) for name in outputs],
        [numpy_helper.from_array(np.float32([[3, 4]]), "c")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    feed = {"x": np.float32([[1, 2]] * 3), "y": np.float32([[5, 7]] * 3)}
    useful = read_graph(bytes(model)).tail  # some nodes lead nowhere
    assert_same(bytes(model), data.draw(st.integers(1, useful), "stages"), feed)


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(InputError, match="at most"):
        split_model((DIGITS / "digits.onnx").read_bytes(), 99)
    with pytest.raises(InputError) as refused:
        split_model(b"not a model", 2)
    assert refused.value.code == "bad-model"
