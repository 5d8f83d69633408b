"""A job is placed, watched and settled; each shard fails and moves alone."""

from __future__ import annotations

import msgspec
import pytest

import protocols
from meshd.router.routes import Router
from meshd.scheduler import book as limits
from meshd.scheduler.book import Book
from meshd.scheduler.load import Loads
from meshd.scheduler.states import Phase, ShardRow, Status
from meshd.seam import (
    BlobFailed,
    BlobUnwanted,
    BlobWanted,
    Effect,
    JobSubmitted,
    Learnt,
    Note,
    PayloadLost,
    PayloadOffered,
    Persist,
    PlanLoaded,
    ReportJob,
)
from meshd.topology import plan_from_contacts
from protocols.cid import cid_of
from protocols.job import (
    Accept,
    Decline,
    Finished,
    JobMessage,
    JobSpec,
    Leased,
    Offer,
    Ready,
    Release,
    Renew,
    ShardSpec,
    Stored,
    Unfetched,
)
from protocols.record import Beacon, Presence
from protocols.types import MILLISECOND, SECOND, JobId, NodeId

T0 = 1_000 * SECOND
A, B, C, D = NODES = tuple(NodeId(letter) for letter in "ABCD")
J = JobId("j")
OUT, OTHER = cid_of(b"out"), cid_of(b"other")
IDLE = Beacon(1, 0, 0, 0, 1.0, ("command",))


class Desk:
    """The book of A, with B, C and D 10, 20 and 30 ms away and idle."""

    def __init__(self) -> None:
        star = [(0, site, T0, T0 + 9_000 * SECOND) for site in (1, 2, 3)]
        plan = plan_from_contacts(
            ("satellite",) * 4, star, lambda a, b, at: max(a, b) * 10 * MILLISECOND
        )
        self.router = Router(A)
        self.router.handle(PlanLoaded(plan), T0)
        for site, node in enumerate(NODES):
            self.router.handle(Learnt(node, Presence(node, f"n{site}", ()), T0), T0)
        self.loads = Loads(A, self.router)
        self.beacons(T0)
        self.book = Book(A, self.router, self.loads)

    def beacons(self, at: int, *nodes: NodeId) -> None:
        for node in nodes or (B, C, D):
            self.loads.learn(node, IDLE, at)

    def submit(self, count: int = 1, **changes: object) -> list[Effect]:
        spec = JobSpec("name", "command", (ShardSpec(command=("true",)),) * count)
        data = msgspec.msgpack.encode(msgspec.structs.replace(spec, **changes))
        return self.book.submit(JobSubmitted(J, data), T0)

    def row(self, shard: int = 0) -> ShardRow:
        job = self.book.find(J)
        assert job is not None
        return job.shards[shard].row

    @property
    def status(self) -> tuple[Status, str]:
        job = self.book.find(J)
        assert job is not None
        return job.row.status, job.row.code


def mail(effects: list[Effect]) -> list[tuple[NodeId, JobMessage]]:
    return [
        (e.destination, protocols.JOB.decode(e.payload))
        for e in effects
        if isinstance(e, PayloadOffered)
    ]


def told(effects: list[Effect]) -> list[tuple[str, int | None, str]]:
    return [(e.what, e.shard, e.code) for e in effects if isinstance(e, ReportJob)]


def offers(effects: list[Effect]) -> list[tuple[NodeId, int, int]]:
    return [(to, m.shard, m.epoch) for to, m in mail(effects) if isinstance(m, Offer)]


def finished(shard: int = 0, epoch: int = 1, code: str = "ok") -> Finished:
    output = OUT if code == "ok" else None
    return Finished(J, shard, epoch, code, "", output, 3, SECOND)


def test_every_promise_is_on_disk_before_it_is_made() -> None:
    effects = Desk().submit(2)
    kinds = [type(e).__name__ for e in effects]
    assert kinds == [
        *("Persist", "ReportJob", "Persist", "Persist"),
        *("PayloadOffered", "ReportJob", "PayloadOffered", "ReportJob"),
    ]
    keys = [e.key for e in effects if isinstance(e, Persist)]
    assert keys == ["job/j", "shard/j/0", "shard/j/1"]
    assert offers(effects) == [(B, 0, 1), (C, 1, 1)]


def test_a_shard_from_offer_to_delivery() -> None:
    desk = Desk()
    desk.submit()
    assert told(desk.book.hear(B, Accept(J, 0, 1), T0)) == [("held", 0, "")]
    done = desk.book.hear(B, finished(), T0)
    assert mail(done) == [(A, Ready(J, 0, 1, "name", 1, OUT, B))]
    assert told(done) == [("finished", 0, "")]
    stored = desk.book.hear(A, Stored(J, 0, 1, OUT), T0)
    assert isinstance(stored[0], Persist)
    assert mail(stored) == [(B, Release(J, 0, 1, "delivered"))]
    assert told(stored) == [("delivered", 0, ""), ("completed", None, "")]
    assert desk.status == (Status.COMPLETED, "")
    assert desk.book.next_deadline() is None


def test_lease_expiry_replaces_that_shard_alone_under_a_later_epoch() -> None:
    desk = Desk()
    desk.submit(2)
    desk.book.hear(B, Accept(J, 0, 1), T0)
    desk.book.hear(C, Accept(J, 1, 1), T0)
    desk.book.renewed(B, Renew((Leased(J, 0, 1),)), T0 + 5 * SECOND)
    kept = desk.row(0)
    at = desk.book.next_deadline()
    assert at == T0 + 6 * SECOND + 2 * 20 * MILLISECOND
    effects = desk.book.wake(at)
    assert mail(effects)[0] == (C, Release(J, 1, 1, "lease-expired"))
    assert offers(effects) == [(D, 1, 2)]
    assert told(effects) == [("replaced", 1, "lease-expired"), ("offered", 1, "")]
    assert desk.row(0) == kept and desk.row(1).replaced == 1


def test_who_did_not_answer_gets_nothing_until_it_beacons() -> None:
    desk = Desk()
    desk.submit()
    lost_at = desk.book.next_deadline()
    assert lost_at is not None
    assert offers(desk.book.wake(lost_at)) == [(C, 0, 2)]
    desk.beacons(lost_at + 1, B)
    desk.book.hear(C, Decline(J, 0, 2, "queue-full"), lost_at + 2)
    assert desk.row().holder == B


def test_unrenewed_offer_is_given_to_another() -> None:
    desk = Desk()
    desk.submit()
    at = desk.book.next_deadline()
    assert at == T0 + 6 * SECOND + 2 * 10 * MILLISECOND
    assert offers(desk.book.wake(at)) == [(C, 0, 2)]


@pytest.mark.parametrize(
    ("source", "word", "code"),
    [
        (B, Accept(J, 0, 2), "stale-epoch"),
        (C, Accept(J, 0, 1), "not-the-holder"),
        (C, finished(), "not-the-holder"),
        (B, Stored(J, 0, 1, OUT), "not-the-holder"),
        (B, Accept(J, 9, 1), "unknown-shard"),
        (B, Accept(JobId("k"), 0, 1), "unknown-job"),
    ],
)
def test_word_that_is_not_its_to_say_is_refused(
    source: NodeId, word: Accept | Finished | Stored, code: str
) -> None:
    desk = Desk()
    desk.submit()
    before = desk.row()
    effects = desk.book.hear(source, word, T0)
    assert effects[0] == Note(code, {"job": word.job, "shard": word.shard, "node": source})
    # Who believes it holds a lease that is over is told so.
    stop = [] if isinstance(word, Stored) else [Release(word.job, word.shard, word.epoch, code)]
    assert mail(effects) == [(source, release) for release in stop]
    assert desk.row() == before


def test_old_holder_is_not_believed() -> None:
    desk = Desk()
    desk.submit()
    desk.book.hear(B, Decline(J, 0, 1, "queue-full"), T0)
    effects = desk.book.hear(B, finished(epoch=1), T0)
    assert mail(effects) == [(B, Release(J, 0, 1, "stale-epoch"))]
    renewal = desk.book.renewed(B, Renew((Leased(J, 0, 1),)), T0)
    assert mail(renewal) == [(B, Release(J, 0, 1, "stale-epoch"))]
    assert desk.row() == ShardRow(Phase.OFFERED, 2, C)


def test_result_counts_once() -> None:
    desk = Desk()
    desk.submit(2)
    desk.book.hear(B, finished(), T0)
    assert desk.book.hear(B, finished(), T0 + SECOND) == []
    assert told(desk.book.hear(A, Stored(J, 0, 1, OUT), T0)) == [("delivered", 0, "")]
    assert desk.book.hear(A, Stored(J, 0, 1, OUT), T0) == []
    assert desk.book.hear(B, finished(), T0) == []
    assert desk.book.hear(A, Unfetched(J, 0, 1, "fetch-timeout"), T0) == []
    assert desk.row().phase is Phase.DELIVERED


def test_decline_after_delivery_is_nothing() -> None:
    desk = Desk()
    desk.submit(2)
    desk.book.hear(B, finished(), T0)
    desk.book.hear(A, Stored(J, 0, 1, OUT), T0)
    assert desk.book.hear(B, Decline(J, 0, 1, "queue-full"), T0) == []
    assert desk.row().phase is Phase.DELIVERED


def test_result_the_sink_had_from_an_earlier_epoch_is_the_result() -> None:
    desk = Desk()
    desk.submit()
    desk.book.hear(B, finished(), T0)
    desk.book.hear(A, Stored(J, 0, 1, OTHER), T0)
    assert (desk.row().phase, desk.row().output) == (Phase.DELIVERED, OTHER)


def test_unfetched_result_is_made_again() -> None:
    desk = Desk()
    desk.submit()
    desk.book.hear(B, finished(), T0)
    effects = desk.book.hear(A, Unfetched(J, 0, 1, "fetch-timeout"), T0)
    assert told(effects)[0] == ("replaced", 0, "fetch-timeout")
    assert offers(effects) == [(C, 0, 2)]


def test_sink_is_told_again_while_the_holder_renews() -> None:
    desk = Desk()
    desk.submit()
    desk.book.hear(B, finished(), T0)
    told_again = []
    for second in range(2, 80, 2):
        effects = desk.book.hear(B, finished(), T0 + second * SECOND)
        told_again += [second for _, m in mail(effects) if isinstance(m, Ready)]
        if desk.row().phase is not Phase.FINISHED:
            break
    assert told_again == [20, 40]
    assert second == 60  # then the result is given up, to be made elsewhere
    assert told(effects)[0] == ("replaced", 0, "undelivered")


def test_unreachable_sink_costs_no_delivery() -> None:
    desk = Desk()
    desk.submit()
    (sent,) = [e for e in desk.book.hear(B, finished(), T0) if isinstance(e, PayloadOffered)]
    assert desk.book.hear(B, finished(), T0 + SECOND) == []
    desk.book.lost(PayloadLost(sent.packet, "job", A, "expired", B), T0 + 2 * SECOND)
    again = desk.book.hear(B, finished(), T0 + 2 * SECOND)
    assert mail(again) == [(A, Ready(J, 0, 1, "name", 1, OUT, B))]


def test_restart_restores_and_places_anew() -> None:
    desk = Desk()
    effects = desk.submit(2)
    effects += desk.book.hear(B, finished(0), T0)
    effects += desk.book.hear(A, Stored(J, 0, 1, OUT), T0)
    rows = {e.key: e.value for e in effects if isinstance(e, Persist) and e.value is not None}
    again = Desk()
    assert told(again.book.restore(tuple(rows.items()), T0)) == [("restored", None, "")]
    assert again.row(0).phase is Phase.DELIVERED
    assert again.book.next_deadline() == T0
    assert offers(again.book.wake(T0)) == [(B, 1, 2)]


def test_job_fails_when_a_shard_fails_too_often() -> None:
    desk = Desk()
    desk.submit()
    codes = []
    for epoch in (1, 2, 3):
        holder = desk.row().holder
        assert holder is not None
        codes += told(desk.book.hear(holder, finished(0, epoch, "wall-limit"), T0))
    assert codes == [
        ("replaced", 0, "wall-limit"),
        ("offered", 0, ""),
        ("replaced", 0, "wall-limit"),
        ("offered", 0, ""),
        ("failed", None, "wall-limit"),
    ]
    assert limits.FAILURES_MAX == 3
    assert desk.status == (Status.FAILED, "wall-limit")


def test_declined_shard_goes_elsewhere() -> None:
    desk = Desk()
    desk.submit()
    assert offers(desk.book.hear(B, Decline(J, 0, 1, "queue-full"), T0)) == [(C, 0, 2)]
    assert offers(desk.book.hear(C, Decline(J, 0, 2, "queue-full"), T0)) == [(D, 0, 3)]
    effects = desk.book.hear(D, Decline(J, 0, 3, "queue-full"), T0)
    assert told(effects)[-1] == ("starved", None, "no-candidates")
    assert desk.book.next_deadline() == T0 + SECOND
    assert offers(desk.book.wake(T0 + SECOND)) == [(B, 0, 4)]  # all are asked again
    assert desk.row().replaced == 0


def test_offer_that_cannot_arrive_is_given_to_another_at_once() -> None:
    desk = Desk()
    (sent,) = [e for e in desk.submit() if isinstance(e, PayloadOffered)]
    lost = PayloadLost(sent.packet, "job", B, "no-route", A)
    assert offers(desk.book.lost(lost, T0)) == []
    assert desk.book.next_deadline() == T0
    assert offers(desk.book.wake(T0)) == [(C, 0, 2)]
    assert desk.book.lost(lost, T0) == []


def test_job_past_its_deadline_fails() -> None:
    desk = Desk()
    desk.submit(deadline_s=3.0)
    effects = desk.book.wake(T0 + 3 * SECOND)
    assert told(effects) == [("failed", None, "deadline")]
    assert mail(effects) == [(B, Release(J, 0, 1, "deadline"))]


def test_cancelled_job_releases_its_shards_once() -> None:
    desk = Desk()
    desk.submit(2)
    effects = desk.book.cancel(J, T0)
    releases = [(B, Release(J, 0, 1, "cancelled")), (C, Release(J, 1, 1, "cancelled"))]
    assert mail(effects) == releases
    assert desk.book.cancel(J, T0) == []


def test_blobs_of_a_job_are_kept_while_it_runs() -> None:
    desk = Desk()
    effects = desk.submit(model=OUT, shards=(ShardSpec(input=OTHER),))
    wanted = [e for e in effects if isinstance(e, BlobWanted)]
    assert wanted == [BlobWanted(cid, A, 600 * SECOND) for cid in (OUT, OTHER)]
    ended = desk.book.cancel(J, T0)
    assert [e for e in ended if isinstance(e, BlobUnwanted)] == [
        BlobUnwanted(OUT),
        BlobUnwanted(OTHER),
    ]


def test_job_without_its_blobs_fails() -> None:
    desk = Desk()
    desk.submit(model=OUT)
    desk.book.blob_failed(BlobFailed(OTHER, "blob-missing"), T0)
    assert desk.status[0] is Status.RUNNING
    desk.book.blob_failed(BlobFailed(OUT, "blob-missing"), T0)
    assert desk.status == (Status.FAILED, "blob-missing")


def test_same_job_twice_is_refused_and_the_book_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.submit()
    assert desk.submit() == [ReportJob(J, "refused", code="job-exists")]
    monkeypatch.setattr(limits, "JOBS_MAX", 1)
    spec = msgspec.msgpack.encode(JobSpec("n", "command", (ShardSpec(),)))
    refused = desk.book.submit(JobSubmitted(JobId("k"), spec), T0)
    assert refused == [ReportJob(JobId("k"), "refused", code="book-full")]


def test_ended_jobs_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshd.scheduler.ledger.ENDED_MAX", 2)
    desk = Desk()
    spec = msgspec.msgpack.encode(JobSpec("n", "command", (ShardSpec(),)))
    gone = []
    for number in range(4):
        job = JobId(f"k{number}")
        effects = desk.book.submit(JobSubmitted(job, spec), T0 + number)
        gone += [e.key for e in effects if isinstance(e, Persist) and e.value is None]
        desk.book.cancel(job, T0 + number)
    assert gone == ["job/k0", "shard/k0/0", "job/k1", "shard/k1/0"]


def test_old_beacons_and_other_kinds_of_work_are_no_candidates() -> None:
    desk = Desk()
    assert [c.node for c in desk.loads.candidates("command", A, T0 + 25 * SECOND)] == [B, C, D]
    assert desk.loads.candidates("command", A, T0 + 26 * SECOND) == []
    assert desk.loads.candidates("onnx", A, T0) == []
    assert desk.loads.candidates("command", NodeId("Z"), T0) == []
