"""A node runs what it accepted, no more than it can, and says what it does."""

from __future__ import annotations

import pytest

import protocols
from meshd.scheduler import holder as limits
from meshd.scheduler.holder import QUEUE_MAX, Holder, WorkPolicy
from meshd.seam import (
    BlobUnwanted,
    BlobWanted,
    Effect,
    PayloadOffered,
    Publish,
    RunShard,
    ShardFinished,
    StopShard,
)
from protocols.cid import cid_of
from protocols.job import (
    Accept,
    Decline,
    Finished,
    Input,
    JobMessage,
    Leased,
    Limits,
    Offer,
    Release,
    Renew,
)
from protocols.types import MILLISECOND, SECOND, Cid, JobId, NodeId
from tests.trust.openly import open_trust

T0 = 1_000 * SECOND
ME, BOSS, OTHER = NodeId("me"), NodeId("boss"), NodeId("other")
J = JobId("j")
ENDS_AT = T0 + 600 * SECOND
MODEL, INPUT, OUT = cid_of(b"model"), cid_of(b"input"), cid_of(b"out")


def offer(shard: int = 0, *, blobs: bool = False, lease_s: float = 6.0, epoch: int = 1) -> Offer:
    model = MODEL if blobs else None
    inputs = (Input(INPUT, BOSS),) if blobs else ()
    kind = "onnx" if blobs else "command"
    lease = round(lease_s * SECOND)
    work = (kind, model, inputs, (), ("true",), Limits(), 2 * SECOND)
    return Offer(J, shard, epoch, *work, lease, ENDS_AT, 5)


def holder(slots: int = 1, kinds: tuple[str, ...] = ("onnx", "command")) -> Holder:
    return Holder(ME, WorkPolicy(slots, kinds), open_trust(ME))


def mail(effects: list[Effect]) -> list[tuple[NodeId, JobMessage]]:
    return [
        (e.destination, protocols.JOB.decode(e.payload))
        for e in effects
        if isinstance(e, PayloadOffered)
    ]


def rest(effects: list[Effect]) -> list[Effect]:
    return [e for e in effects if not isinstance(e, PayloadOffered)]


def runs(effects: list[Effect]) -> list[str]:
    return [e.run for e in effects if isinstance(e, RunShard)]


def done(run: str, output: Cid | None = OUT) -> ShardFinished:
    return ShardFinished(run, "ok" if output else "crashed", "", output, 3, SECOND)


def test_shard_is_accepted_fetched_run_and_reported() -> None:
    machine = holder()
    accepted = machine.offered(BOSS, offer(blobs=True), T0)
    assert mail(accepted) == [(BOSS, Accept(J, 0, 1))]
    wanted: list[Effect] = [BlobWanted(cid, BOSS, 60 * SECOND) for cid in (MODEL, INPUT)]
    assert rest(accepted) == wanted
    assert machine.blob_stored(MODEL, T0) == []
    assert machine.blob_stored(INPUT, T0) == [
        RunShard(
            run="j/0/1",
            kind="onnx",
            model=MODEL,
            inputs=(INPUT,),
            command=("true",),
            wall_ns=60 * SECOND,
            memory_bytes=512 << 20,
            output_bytes_max=16 << 20,
            estimate_ns=2 * SECOND,
        )
    ]
    finished = machine.finished(done("j/0/1"), T0)
    assert mail(finished) == [(BOSS, Finished(J, 0, 1, "ok", "", OUT, 3, SECOND))]
    released = machine.released(BOSS, Release(J, 0, 1, "delivered"), T0)
    assert released == [BlobUnwanted(cid) for cid in (MODEL, INPUT, OUT)]
    assert machine.view() == ()


def test_no_more_shards_run_than_there_are_slots() -> None:
    machine = holder(slots=2)
    assert [runs(machine.offered(BOSS, offer(i), T0)) for i in range(3)] == [
        ["j/0/1"],
        ["j/1/1"],
        [],
    ]
    assert runs(machine.finished(done("j/1/1"), T0)) == ["j/2/1"]


def test_queue_is_bounded() -> None:
    machine = holder(slots=1)
    for shard in range(QUEUE_MAX + 1):
        machine.offered(BOSS, offer(shard), T0)
    refused = machine.offered(BOSS, offer(QUEUE_MAX + 1), T0)
    assert mail(refused) == [(BOSS, Decline(J, QUEUE_MAX + 1, 1, "queue-full"))]
    machine.finished(done("j/0/1"), T0)
    last = machine.offered(BOSS, offer(QUEUE_MAX + 1), T0)
    assert mail(last) == [(BOSS, Accept(J, QUEUE_MAX + 1, 1))]


def test_results_nobody_releases_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_MAX", 3)
    machine = holder()
    for shard in range(3):
        machine.offered(BOSS, offer(shard), T0)
        machine.finished(done(f"j/{shard}/1"), T0)
    refused = machine.offered(BOSS, offer(3), T0)
    assert mail(refused) == [(BOSS, Decline(J, 3, 1, "queue-full"))]


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (WorkPolicy(1, ("onnx",)), "kind-not-allowed"),
        (WorkPolicy(0, ("command",)), "no-slots"),
        (WorkPolicy(1, ("command",), remote=False), "remote-not-allowed"),
    ],
)
def test_unwelcome_work_is_declined(policy: WorkPolicy, code: str) -> None:
    machine = Holder(ME, policy, open_trust(ME))
    assert mail(machine.offered(BOSS, offer(), T0)) == [(BOSS, Decline(J, 0, 1, code))]


def test_own_work_is_not_remote() -> None:
    machine = Holder(ME, WorkPolicy(1, ("command",), remote=False), open_trust(ME))
    assert mail(machine.offered(ME, offer(), T0)) == [(ME, Accept(J, 0, 1))]


def test_offer_said_again_is_accepted_again_and_run_once() -> None:
    machine = holder()
    machine.offered(BOSS, offer(), T0)
    again = machine.offered(BOSS, offer(), T0)
    assert (mail(again), rest(again)) == ([(BOSS, Accept(J, 0, 1))], [])


def test_lease_is_renewed_three_times_over() -> None:
    machine = holder()
    machine.offered(BOSS, offer(0), T0)
    machine.offered(BOSS, offer(1), T0)
    assert machine.wake(T0 + SECOND) == []
    renewal = [(BOSS, Renew((Leased(J, 0, 1), Leased(J, 1, 1))))]
    assert mail(machine.wake(T0 + 2 * SECOND)) == renewal
    assert mail(machine.wake(T0 + 4 * SECOND)) == renewal


def test_short_lease_does_not_spin_and_a_long_one_does_not_starve_it() -> None:
    machine = holder(slots=2)
    machine.offered(BOSS, offer(0, lease_s=9_000), T0)
    machine.offered(OTHER, offer(1, lease_s=0), T0)
    machine.beacon(T0)
    assert machine.next_deadline() == T0 + 500 * MILLISECOND
    machine.wake(T0 + 500 * MILLISECOND)
    assert machine.next_deadline() == T0 + SECOND


def test_result_is_said_again_until_released_then_forgotten() -> None:
    machine = holder()
    machine.offered(BOSS, offer(), T0)
    (said,) = mail(machine.finished(done("j/0/1"), T0))
    assert mail(machine.wake(T0 + 2 * SECOND)) == [said]
    assert mail(machine.wake(T0 + 4 * SECOND)) == [said]
    assert BlobUnwanted(OUT) in machine.wake(T0 + 600 * SECOND)
    assert machine.view() == ()


def test_released_shard_is_stopped() -> None:
    machine = holder()
    machine.offered(BOSS, offer(0), T0)
    machine.offered(BOSS, offer(1), T0)
    assert machine.released(OTHER, Release(J, 0, 1, "cancelled"), T0) == []  # not its to release
    assert machine.released(BOSS, Release(J, 0, 2, "cancelled"), T0) == []  # another epoch
    stopped = machine.released(BOSS, Release(J, 0, 1, "cancelled"), T0)
    assert stopped[0] == StopShard("j/0/1") and runs(stopped) == ["j/1/1"]
    assert machine.finished(done("j/0/1"), T0) == [BlobUnwanted(OUT)]


def test_shard_without_its_blob_fails_and_gives_back_only_what_it_has() -> None:
    machine = holder()
    machine.offered(BOSS, offer(blobs=True), T0)
    machine.blob_stored(MODEL, T0)
    failed = machine.blob_failed(INPUT, "fetch-timeout", T0)
    assert mail(failed) == [(BOSS, Finished(J, 0, 1, "fetch-timeout", f"blob {INPUT}", None, 0, 0))]
    released = machine.released(BOSS, Release(J, 0, 1, "fetch-timeout"), T0)
    assert released == [BlobUnwanted(MODEL)]  # the want of INPUT ended with its fetch


def test_beacon_goes_on_change_and_every_ten_seconds() -> None:
    machine = holder()
    (first,) = machine.beacon(T0)
    assert isinstance(first, Publish) and first.ttl_ns == 30 * SECOND
    assert machine.beacon(T0 + 9 * SECOND) == []
    assert machine.next_deadline() == T0 + 10 * SECOND
    assert machine.beacon(T0 + 10 * SECOND) == [first]
    machine.offered(BOSS, offer(0), T0 + 11 * SECOND)
    (busy,) = machine.beacon(T0 + 11 * SECOND)
    assert isinstance(busy, Publish) and busy != first
    machine.offered(BOSS, offer(1), T0 + 11 * SECOND)
    assert machine.beacon(T0 + 11 * SECOND) == []  # changes gather for a while
    assert machine.next_deadline() == T0 + 11 * SECOND + 200 * MILLISECOND
    (fuller,) = machine.beacon(T0 + 11 * SECOND + 200 * MILLISECOND)
    assert fuller != busy


def test_beacon_says_when_a_new_shard_would_start() -> None:
    machine = holder(slots=2)
    waits = []
    for shard in range(4):
        machine.offered(BOSS, offer(shard), T0)
        waits.append(machine._current().wait_ns / SECOND)
    assert waits == [0, 2, 3, 4]
