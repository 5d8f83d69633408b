"""Real workers, real limits: each run ends in exactly one ShardFinished that says how."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import trio
from onnx import TensorProto, helper
from workbench import MB, Bench

from meshd.adapters.executor import WorkerPool
from meshd.examples import DIGITS
from protocols.cid import cid_of
from protocols.types import SECOND, Cid


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def model_of(*nodes: Any, x: Any, y: Any = None, initializers: Any = ()) -> bytes:
    outputs = [y or helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(list(nodes), "g", [x], outputs, list(initializers))
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


FLOATS = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])
SHAPE = helper.make_tensor_value_info("x", TensorProto.INT64, ["N"])
NEGATE = model_of(helper.make_node("Neg", ["x"], ["y"]), x=FLOATS)
FILL = model_of(helper.make_node("ConstantOfShape", ["x"], ["y"]), x=SHAPE)
"""Zeros in any number asked for: memory, output and time at will."""


def loop_model() -> bytes:
    """Counts to x one by one: endless, for a large x."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_out"]),
            helper.make_node("Add", ["state", "state"], ["state_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("more_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, []),
        ],
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    x = helper.make_tensor_value_info("x", TensorProto.INT64, [])
    node = helper.make_node("Loop", ["x", "yes", "zero"], ["y"], body=body)
    return model_of(node, x=x, initializers=[yes, zero])


async def test_digits_give_the_same_blob_in_every_worker(bench: Bench) -> None:
    model = bench.blobs.put((DIGITS / "digits.onnx").read_bytes())
    images = np.load(DIGITS / "images.npy")
    source = bench.blobs.put(npy(images))
    first = await bench.outcome(model=model, inputs=(source,))
    assert first.code == "ok" and first.wall_ns > 0
    labels = bench.arrays(first)["label"]
    held_out = np.load(DIGITS / "held_out.npy")
    assert np.mean(labels[held_out] == np.load(DIGITS / "labels.npy")[held_out]) >= 0.95
    (worker,) = bench.pool._workers
    await worker.kill()
    assert (await bench.outcome(model=model, inputs=(source,))).output == first.output

    whole = bench.arrays(first)
    parts = [bench.blobs.put(npy(part)) for part in np.array_split(images, 24)]
    runs = []
    for part in parts:
        runs.append(bench.order(model=model, inputs=(part,)))
        if bench.pool.waiting >= 8:
            await bench.answer(runs[-1])
    split = [bench.arrays(await bench.answer(run)) for run in runs]
    for name in ("label", "probability"):
        joined = np.concatenate([part[name] for part in split])
        np.testing.assert_array_equal(joined, whole[name])


async def test_arrays_by_name_and_the_only_input(bench: Bench) -> None:
    model = bench.blobs.put(NEGATE)
    floats = np.array([1, -2], dtype=np.float32)
    file = io.BytesIO()
    np.savez_compressed(file, x=floats)
    for data in (npy(floats), npy(floats.astype(">f4")), file.getvalue()):
        finished = await bench.outcome(model=model, inputs=(bench.blobs.put(data),))
        assert bench.arrays(finished)["y"].tolist() == [-1, 2]


@pytest.mark.parametrize(
    ("model", "data", "code"),
    [
        (b"not a model", npy(np.float32([1])), "bad-model"),
        (NEGATE[:-10], npy(np.float32([1])), "bad-model"),
        (NEGATE, b"not an array", "bad-input"),
        (NEGATE, npy(np.float64([1])), "bad-input"),
        (NEGATE, npy(np.float32([[1]])), "bad-input"),
        (NEGATE, npy(np.array(["text"])), "bad-input"),
        (FILL, npy(np.int64([-5])), "bad-input"),
        (FILL, npy(np.int64([2 * MB])), "output-limit"),
        (FILL, npy(np.int64([100 * MB])), "memory-limit"),
        (FILL, npy(np.int64([2**60])), "memory-limit"),
    ],
)
async def test_what_cannot_run_says_why(bench: Bench, model: bytes, data: bytes, code: str) -> None:
    cids = bench.blobs.put(model), bench.blobs.put(data)
    finished = await bench.outcome(model=cids[0], inputs=(cids[1],))
    assert (finished.code, finished.output) == (code, None), finished
    assert finished.message
    floats = bench.blobs.put(npy(np.float32([1])))
    after = await bench.outcome(model=bench.blobs.put(NEGATE), inputs=(floats,))
    assert after.code == "ok", after


async def test_a_model_reaches_no_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4))
    for location in (str(tmp_path / "secret"), "../../secret", "../secret"):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        add = helper.make_node("Add", ["x", "w"], ["y"])
        model = bench.blobs.put(model_of(add, x=FLOATS, initializers=[tensor]))
        data = bench.blobs.put(npy(np.float32([1])))
        assert (await bench.outcome(model=model, inputs=(data,))).code == "bad-model"


async def test_a_blob_that_is_not_here(bench: Bench) -> None:
    model = bench.blobs.put(NEGATE)
    finished = await bench.outcome(model=model, inputs=(cid_of(b"elsewhere"),))
    assert finished.code == "blob-missing"
    assert (await bench.outcome(model=Cid("../x"), inputs=(model,))).code == "blob-missing"


async def test_an_endless_model_is_killed_at_its_wall_limit(bench: Bench) -> None:
    model, data = bench.blobs.put(loop_model()), bench.blobs.put(npy(np.int64(2**50)))
    await bench.pool.prewarm()
    begun = trio.current_time()
    finished = await bench.outcome(model=model, inputs=(data,), wall_ns=SECOND // 2)
    assert finished.code == "wall-limit"
    assert 0.5 <= trio.current_time() - begun < 3
    few = bench.blobs.put(npy(np.int64(10)))
    assert (await bench.outcome(model=model, inputs=(few,))).code == "ok"


async def test_a_running_shard_is_stopped_and_a_waiting_one_forgotten(bench: Bench) -> None:
    model, data = bench.blobs.put(loop_model()), bench.blobs.put(npy(np.int64(2**50)))
    running, waiting = (bench.order(model=model, inputs=(data,)) for _ in range(2))
    await bench.pool.prewarm()
    await trio.sleep(0.2)
    assert bench.pool.waiting == 1
    bench.executor.stop(waiting)
    assert [event.run for event in bench.posted] == [waiting]
    bench.executor.stop(running)
    bench.executor.stop(running)
    assert (await bench.answer(running)).code == "stopped"
    bench.executor.stop(running)
    bench.executor.stop("never heard of")
    assert len(bench.posted) == 2


async def test_a_crash_is_said_and_the_worker_replaced(bench: Bench) -> None:
    model, data = bench.blobs.put(loop_model()), bench.blobs.put(npy(np.int64(2**50)))
    await bench.pool.prewarm()
    run = bench.order(model=model, inputs=(data,))
    await trio.sleep(0.2)
    (child,) = psutil.Process().children()
    os.kill(child.pid, signal.SIGSEGV)
    finished = await bench.answer(run)
    assert finished.code == "crashed"
    assert "signal 11" in finished.message
    few = bench.blobs.put(npy(np.int64(10)))
    assert (await bench.outcome(model=model, inputs=(few,))).code == "ok"


async def test_the_queue_is_bounded(bench: Bench) -> None:
    runs = [bench.order(kind="command", command=("true",)) for _ in range(10)]
    refused = [event.run for event in bench.posted]
    assert refused == runs[8:]  # no worker took any yet
    assert {event.code for event in bench.posted} == {"executor-full"}
    assert [(await bench.answer(run)).code for run in runs[:8]] == ["ok"] * 8


async def test_a_command_filters_its_input(bench: Bench) -> None:
    source = bench.blobs.put(b"b\na\n")
    finished = await bench.command("sort", inputs=(source,))
    assert finished.output == cid_of(b"a\nb\n")
    nothing = await bench.command("cat")
    assert (nothing.code, nothing.output) == ("ok", cid_of(b""))


async def test_commands_are_refused_unless_allowed(pool: WorkerPool, tmp_path: Path) -> None:
    careful = Bench(pool, tmp_path / "careful")
    assert (await careful.command("true")).code == "command-not-allowed"


async def test_a_command_sees_no_secrets_and_leaves_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHD_SECRET", "hunter2")
    script = "env; pwd; ls -l /proc/self/fd; touch left-behind; (setsid sleep 60 &) ; echo done"
    finished = await bench.command("sh", "-c", script)
    assert finished.output is not None
    said = (bench.blobs.get(finished.output) or b"").decode()
    assert "hunter2" not in said and "PYTHONPATH" not in said
    assert "socket:" not in said
    assert said.endswith("done\n")
    assert not any("left-behind" in files for _, _, files in os.walk(tmp_path))
    (worker,) = psutil.Process().children()
    assert worker.children(recursive=True) == []


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("echo no such thing >&2; exit 3", "command-failed", "exit code 3: no such thing"),
        ("kill -9 $$", "command-failed", "signal 9"),
        ("head -c 5000000 /dev/zero", "output-limit", "4000000"),
        ("head -c 5000000 /dev/zero > big; exit 1", "command-failed", ""),
        ("(setsid sleep 50 &) ; sleep 50", "wall-limit", "0.5 s"),
        ("while :; do (setsid sleep 50 &) ; sleep 0.01; done", "wall-limit", "0.5 s"),
    ],
)
async def test_how_commands_end(bench: Bench, script: str, code: str, words: str) -> None:
    await bench.pool.prewarm()
    finished = await bench.command("sh", "-c", script, wall_ns=SECOND // 2)
    assert finished.code == code, finished
    assert words in finished.message
    ours = psutil.Process().children(recursive=True)
    assert [process for process in ours if process.name() in ("sleep", "sh")] == []


async def test_a_command_that_is_not_there(bench: Bench) -> None:
    assert (await bench.command("/no/such/command")).code == "command-failed"
    assert (await bench.command("nul\0byte")).code == "command-failed"
    assert (await bench.command()).code == "bad-input"


async def test_a_command_takes_no_more_memory_than_allowed(bench: Bench) -> None:
    hungry = "import sys; x = bytearray(600 << 20); print(len(x))"
    finished = await bench.command("/usr/bin/env", "python3", "-c", hungry)
    assert finished.code == "command-failed"
    assert "MemoryError" in finished.message
    # Shared memory is not counted by RLIMIT_DATA: the pool's watch sees it.
    shared = (
        "import mmap, time; x = mmap.mmap(-1, 600 << 20)\n"
        "for n in range(0, 600 << 20, 4096): x[n] = 1\n"
        "time.sleep(10)"
    )
    finished = await bench.command("/usr/bin/env", "python3", "-c", shared)
    assert finished.code == "memory-limit"


async def test_blobs_stay_while_they_are_used(bench: Bench) -> None:
    source = bench.blobs.put(b"x" * 100)
    run = bench.order(
        kind="command", command=("sh", "-c", "sleep 0.5; cat; echo"), inputs=(source,)
    )
    await bench.pool.prewarm()
    await trio.sleep(0.2)
    bench.blobs.release(source)
    bench.blobs.put(bytes(199_999_900))  # fits beside it, and leaves no room
    assert bench.blobs.has(source)
    assert (await bench.answer(run)).code == "store-full"


async def test_daemons_share_a_pool(pool: WorkerPool, tmp_path: Path) -> None:
    benches = [Bench(pool, tmp_path / str(n), allow_commands=True) for n in range(6)]
    names = [bench.order(kind="command", command=("echo", "x")) for bench in benches]
    benches[0].executor.close()
    for bench, run in list(zip(benches, names, strict=True))[1:]:
        assert (await bench.answer(run)).code == "ok"
        assert len(bench.posted) == 1
    assert benches[0].posted == []


async def test_cancelled_a_pool_leaves_no_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    async with trio.open_nursery() as nursery:
        pool = WorkerPool(2, scratch=tmp_path / "scratch")
        (tmp_path / "scratch").mkdir()
        await nursery.start(pool.run)
        bench = Bench(pool, tmp_path / "blobs", allow_commands=True)
        await pool.prewarm()
        assert pool.ready == 2
        bench.order(kind="command", command=("sleep", "60"))
        await trio.sleep(0.2)
        started = set(psutil.Process().children(recursive=True)) - before
        assert len(started) == 3
        nursery.cancel_scope.cancel()
    assert not any(psutil.pid_exists(process.pid) for process in started)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert bench.posted == []


async def test_a_worker_that_cannot_start_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    command: Callable[..., Any] = ("/bin/sh", "-c", "echo no library >&2; exit 7")  # type: ignore[assignment]
    monkeypatch.setattr("meshd.adapters.worker._COMMAND", command)
    finished = await bench.outcome(model=bench.blobs.put(NEGATE), inputs=(bench.blobs.put(b""),))
    assert finished.code == "crashed"
    assert "exit code 7: no library" in finished.message
