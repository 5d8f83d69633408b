"""A model in stages over real daemons, one of which is killed while it works on its stage."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from meshd.client import Job, Mesh
from meshd.client.connection import Client
from meshd.jobs.pipeline import split_model
from meshd.jobs.specification import Limits
from tests.cli.conftest import MESHD, WITHIN_S, meshd

WORKERS = ("ada", "bea", "cyd")
TURNS = 1_500_000
"""Of a loop in the second stage: some seconds."""


def slow_model() -> bytes:
    """y = tanh(x W) V, with a loop between that takes its time and adds next to nothing."""
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(size=(64, 64)).astype(np.float32) for name in "WV"}
    weights |= {"turns": np.int64(TURNS), "true": np.bool_(True), "tiny": np.float32(1e-9)}
    scalar = lambda name, kind: helper.make_tensor_value_info(name, kind, [])  # noqa: E731
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_out"]),
            helper.make_node("Add", ["sum", "tiny"], ["sum_out"]),
        ],
        "body",
        [scalar("i", TensorProto.INT64), scalar("more", TensorProto.BOOL),
         scalar("sum", TensorProto.FLOAT)],
        [scalar("more_out", TensorProto.BOOL), scalar("sum_out", TensorProto.FLOAT)],
    )  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("ReduceMax", ["b"], ["most"], keepdims=0),
        helper.make_node("Loop", ["turns", "true", "most"], ["end"], body=body),
        helper.make_node("Sub", ["end", "most"], ["little"]),
        helper.make_node("Add", ["b", "little"], ["c"]),
        helper.make_node("MatMul", ["c", "V"], ["y"]),
    ]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 64])  # noqa: E731
    constants = [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "slow", [value("x")], [value("y")], constants)
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Three workers of one slot, all joined, and a submitter that works on nothing itself."""
    folder = tmp_path_factory.mktemp("crew")
    starting = {}
    for name in (*WORKERS, "sue"):
        slots = "0" if name == "sue" else "1"
        command = [*MESHD, "up", "-d", "--json", "--home", str(folder / name), "--name", name]
        starting[name] = subprocess.Popen(
            [*command, "--slots", slots], stdout=subprocess.PIPE, text=True
        )
    facts: dict[str, Any] = {}
    try:
        for name, process in starting.items():
            out, _ = process.communicate(timeout=2 * WITHIN_S)
            assert process.returncode == 0, (name, out)
            facts[name] = {**json.loads(out), "home": folder / name}
        names = list(facts)
        for index, name in enumerate(names):
            for other in names[index + 1 :]:
                address = facts[other]["addresses"][0]
                assert meshd("connect", address, home=folder / name).code == 0
        yield facts
    finally:
        for name in facts:
            meshd("down", home=folder / name)


def results(outputs: list[bytes]) -> np.ndarray:
    parts = [np.load(io.BytesIO(data), allow_pickle=False)["y"] for data in outputs]
    return np.concatenate(parts)


def test_a_pipeline_whose_middle_is_killed_gives_the_models_result(
    crew: dict[str, Any], tmp_path: Path
) -> None:
    model = slow_model()
    loops = [b"Loop" in stage.model for stage in split_model(model, 3)]
    assert sum(loops) == 1
    (tmp_path / "slow.onnx").write_bytes(model)
    x = np.random.default_rng(7).normal(size=(12, 64)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    sue = Mesh(crew["sue"]["home"])
    job = Job(name="slow", model="slow.onnx", input="x.npy", shards=2, estimate_s=4,
              limits=Limits(wall_s=120))  # fmt: skip
    name = sue.submit(job, "slow-1", tmp_path, split=3)
    slow_stage = f"{loops.index(True) + 1}/3"
    victim = _holder_at_work(sue, name, slow_stage)
    pid = Client(crew[victim]["home"]).get("/v1/status")["pid"]
    os.kill(pid, signal.SIGKILL)
    ended = sue.wait(name)
    assert (ended["status"], ended["code"]) == ("completed", "")
    assert ended["replaced"] >= 1
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (whole,) = session.run(None, {"x": x})
    np.testing.assert_allclose(results(sue.result(name)), whole, rtol=1e-4, atol=1e-5)
    done = sue.job(name)["shard_list"]
    assert {row["phase"] for row in done} == {"delivered"}
    assert victim not in {row["holder_name"] for row in done if row["stage"] == slow_stage}


def _holder_at_work(sue: Mesh, job: str, stage: str) -> str:
    """Who works on a shard of this stage, once somebody does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for row in sue.job(job)["shard_list"]:
            if row["stage"] == stage and row["phase"] == "held":
                return str(row["holder_name"])
        time.sleep(0.05)
    raise AssertionError(sue.job(job))
