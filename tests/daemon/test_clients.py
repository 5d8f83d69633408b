"""Clients of a daemon: what they may have is what its control socket would give, and no more."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import trio

from meshd.config import Config
from meshd.daemon import Daemon
from meshd.daemon.digits import labels_of, load_digits
from meshd.examples import DIGITS
from meshd.scheduler.states import Phase
from protocols.blob import Chunk
from protocols.bounds import PUT_BYTES_MAX
from protocols.cid import cid_of
from protocols.client import (
    BLOB_PROTOCOL,
    JOB_PROTOCOL,
    Failure,
    Get,
    Kept,
    Outputs,
    Result,
    State,
    Status,
    Submit,
)
from protocols.job import JobSpec, ShardSpec
from protocols.types import Cid, JobId, NodeId
from tests.adapters.test_requests import call, chunks
from tests.daemon.conftest import Yard

STRANGER = NodeId("12D3KooWStranger")


async def ask(daemon: Daemon, *messages: Any) -> Any:
    """The one answer to a request, as the daemon's streams give it."""
    blob = isinstance(messages[-1], Get | Chunk)
    async with trio.open_nursery() as nursery:
        protocol = BLOB_PROTOCOL if blob else JOB_PROTOCOL
        caller = call(nursery, daemon.requests, protocol, STRANGER)
        await caller.send(*messages)
        await caller.stream.send_eof()
        (answer,) = await caller.answer()
    return answer


async def put(daemon: Daemon, data: bytes) -> Cid:
    kept = await ask(daemon, *chunks(data))
    assert kept == Kept(cid_of(data), len(data))
    return kept.cid


async def state_when_over(daemon: Daemon, job: str) -> State:
    with trio.fail_after(60):
        while True:
            state = await ask(daemon, Status(JobId(job)))
            assert isinstance(state, State)
            if state.status != "running":
                return state
            await trio.sleep(0.05)


async def test_client_has_a_model_run_and_fetches_what_it_said(yard: Yard) -> None:
    daemon, example = await yard.up("a"), load_digits(DIGITS)
    shards = tuple([ShardSpec(await put(daemon, data)) for data in example.inputs()[:3]])
    spec = JobSpec("Digits", "onnx", shards, model=await put(daemon, example.model))
    accepted = await ask(daemon, Submit("digits-1", spec))
    me = daemon.identity.node_id
    assert isinstance(accepted, State), accepted
    assert (accepted.job, accepted.name, accepted.shards) == ("digits-1", "Digits", 3)
    assert await state_when_over(daemon, "digits-1") == State(
        JobId("digits-1"), "Digits", "completed", "", "", 3, 3, me
    )
    outputs = await ask(daemon, Result(JobId("digits-1")))
    assert isinstance(outputs, Outputs)
    assert outputs.shards == len(outputs.outputs) == 3
    labels = []
    for output in outputs.outputs:
        piece = await ask(daemon, Get(output.cid, 0, output.size))
        labels.append(labels_of(piece.data))
    found = np.concatenate(labels)
    assert np.array_equal(found, example.local()[: len(found)])
    rest = await ask(daemon, Result(JobId("digits-1"), 2))
    assert rest.outputs == outputs.outputs[2:]
    # The job is the same that people see, and is accepted once.
    assert daemon.console.job("digits-1")["counts"][Phase.DELIVERED] == 3
    assert (await ask(daemon, Submit("digits-1", spec))).status == "completed"
    other = msgspec.structs.replace(spec, name="other")
    assert (await ask(daemon, Submit("digits-1", other))).code == "job-exists"
    assert (await ask(daemon, Status(JobId("digits")))).code == "unknown-job"


async def test_daemon_that_takes_no_work_takes_no_blobs_either(yard: Yard) -> None:
    daemon = await yard.up("a", Config(name="a", accept_jobs="no"))
    cid = daemon.blobs.put(b"here")
    spec = JobSpec("", "onnx", (ShardSpec(cid),), model=cid)
    for messages in ([Submit("", spec)], chunks(b"more")):
        assert (await ask(daemon, *messages)).code == "remote-not-allowed"
    assert await ask(daemon, Get(cid, 1, 2)) == Chunk(cid, 1, 4, b"er")
    assert daemon.console.jobs() == []
    assert daemon.blobs.cids() == (cid,)


NOWHERE = cid_of(b"not put")
WRONG = Cid("bafkrei" + "A" * 52)
HERE = cid_of(b"here")


def onnx(**changes: Any) -> JobSpec:
    whole = JobSpec("", "onnx", (ShardSpec(HERE),), model=HERE)
    return msgspec.structs.replace(whole, **changes)


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([Status(JobId("none"))], "unknown-job"),
        ([Result(JobId("none"))], "unknown-job"),
        ([Get(NOWHERE, 0, 1)], "blob-missing"),
        ([Get(WRONG, 0, 1)], "bad-cid"),
        ([Get(HERE, 5, 1)], "bad-range"),
        ([Chunk(NOWHERE, 0, 4, b"here")], "hash-mismatch"),
        ([Chunk(WRONG, 0, 4, b"here")], "bad-cid"),
        ([Chunk(NOWHERE, 0, PUT_BYTES_MAX + 1, b"here")], "blob-too-large"),
        ([Submit("", onnx(model=NOWHERE))], "blob-missing"),
        ([Submit("", onnx(model=None))], "bad-job"),
        ([Submit("", onnx(kind="command"))], "bad-job"),
        ([Submit("../up", onnx())], "bad-job-id"),
        ([Submit("", onnx(sink=NodeId("nobody")))], "unknown-node"),
        ([Submit("", onnx(kind="command", shards=(ShardSpec(None, ("x",)),)))], "no-candidates"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value[0]).__name__,
)
async def test_what_cannot_be_done_is_refused_with_a_code(
    yard: Yard, messages: list[Any], code: str
) -> None:
    daemon = await yard.up("a")
    daemon.blobs.put(b"here")
    failure = await ask(daemon, *messages)
    assert isinstance(failure, Failure)
    assert failure.code == code
    assert daemon.blobs.cids() == (HERE,)
    assert list((daemon.blobs.folder / "partial").iterdir()) == []


async def test_bytes_beyond_the_end_of_a_blob_are_not_made_up(yard: Yard) -> None:
    daemon = await yard.up("a")
    here, empty = daemon.blobs.put(b"here"), daemon.blobs.put(b"")
    assert await ask(daemon, Get(here, 2, 100)) == Chunk(here, 2, 4, b"re")
    assert await ask(daemon, Get(here, 4, 1)) == Chunk(here, 4, 4, b"")
    assert await ask(daemon, Get(empty, 0, 1)) == Chunk(empty, 0, 0, b"")


async def test_job_not_finished_has_no_results_yet(yard: Yard) -> None:
    config = Config(name="a", allow_command=True)
    daemon = await yard.up("a", config)
    spec = JobSpec("", "command", (ShardSpec(None, ("sleep", "30")),))
    accepted = await ask(daemon, Submit("", spec))
    assert accepted.status == "running"
    assert (await ask(daemon, Result(accepted.job))).code == "not-finished"
    await daemon.console.cancel(accepted.job)
    assert (await ask(daemon, Result(accepted.job))).code == "job-failed"
    assert (await ask(daemon, Status(accepted.job))).status == "cancelled"
