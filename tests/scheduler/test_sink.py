"""A result counts once it is whole and on disk, and the first one stays."""

from __future__ import annotations

import pytest

import protocols
from meshd.scheduler import sink as limits
from meshd.scheduler.sink import Sink
from meshd.seam import (
    BlobUnwanted,
    BlobWanted,
    Effect,
    Note,
    PayloadOffered,
    Persist,
    ReportJob,
)
from protocols.cid import cid_of
from protocols.job import JobMessage, Ready, Stored, Unfetched
from protocols.types import SECOND, Cid, JobId, NodeId

T0 = 1_000 * SECOND
ME, BOSS, B, C = (NodeId(name) for name in ("me", "boss", "B", "C"))
J = JobId("j")
OUT, OTHER = cid_of(b"out"), cid_of(b"other")


def ready(output: Cid = OUT, epoch: int = 1, holder: NodeId = B, shard: int = 0) -> Ready:
    return Ready(J, shard, epoch, "name", 1, output, holder)


def said(effects: list[Effect]) -> list[tuple[NodeId, JobMessage]]:
    return [
        (e.destination, protocols.JOB.decode(e.payload))
        for e in effects
        if isinstance(e, PayloadOffered)
    ]


def test_result_is_fetched_kept_and_acknowledged() -> None:
    sink = Sink(ME)
    assert sink.ready(BOSS, ready(), T0) == [BlobWanted(OUT, B, 60 * SECOND)]
    persist, report, word = sink.blob_stored(OUT, T0)
    assert isinstance(persist, Persist) and persist.key == "result/j/0"
    assert report == ReportJob(J, "stored", 0, B)
    assert said([word]) == [(BOSS, Stored(J, 0, 1, OUT))]
    assert sink.view()[J][0].output == OUT


def test_result_under_way_is_not_fetched_twice() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    assert sink.ready(BOSS, ready(), T0) == []


def test_later_epoch_takes_over_what_was_asked_of_the_old_holder() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    taken = sink.ready(BOSS, ready(OTHER, 2, C), T0)
    assert taken == [BlobWanted(OTHER, C, 60 * SECOND), BlobUnwanted(OUT)]
    assert sink.blob_stored(OUT, T0) == []
    assert said(sink.blob_stored(OTHER, T0)) == [(BOSS, Stored(J, 0, 2, OTHER))]


def test_first_result_stays() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    sink.blob_stored(OUT, T0)
    assert said(sink.ready(BOSS, ready(OTHER, 2, C), T0)) == [(BOSS, Stored(J, 0, 2, OUT))]
    stranger = sink.ready(C, ready(OTHER, 2, C), T0)
    assert said(stranger) == [(C, Unfetched(J, 0, 2, "already-settled"))]


def test_two_shards_with_the_same_bytes_are_two_results() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(shard=0), T0)
    sink.ready(BOSS, ready(shard=1), T0)
    words = said(sink.blob_stored(OUT, T0))
    assert words == [(BOSS, Stored(J, 0, 1, OUT)), (BOSS, Stored(J, 1, 1, OUT))]


def test_result_that_cannot_be_had_is_reported() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    note, word = sink.blob_failed(OUT, "fetch-timeout", T0)
    assert note == Note("result-unfetched", {"job": J, "code": "fetch-timeout"})
    assert said([word]) == [(BOSS, Unfetched(J, 0, 1, "fetch-timeout"))]
    assert sink.ready(BOSS, ready(), T0) == [BlobWanted(OUT, B, 60 * SECOND)]


def test_results_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESULTS_MAX", 1)
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    full = sink.ready(BOSS, ready(OTHER, shard=1), T0)
    assert said(full) == [(BOSS, Unfetched(J, 1, 1, "sink-full"))]


def test_results_survive_a_restart() -> None:
    sink = Sink(ME)
    sink.ready(BOSS, ready(), T0)
    persist = sink.blob_stored(OUT, T0)[0]
    assert isinstance(persist, Persist) and persist.value is not None
    again = Sink(ME)
    kept = again.restore(((persist.key, persist.value),), ME)
    assert kept == [BlobWanted(OUT, ME, 60 * SECOND)]
    assert again.view() == sink.view()
