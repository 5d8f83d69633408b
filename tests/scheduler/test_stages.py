"""Jobs whose shards work on each other's outputs, as the book decides them."""

from __future__ import annotations

from test_book import OTHER, OUT, A, Desk, J, mail, told

from meshd.scheduler import book as booking
from meshd.scheduler.log import CHARS_MAX
from meshd.scheduler.states import Phase, Status
from meshd.seam import Effect, Persist
from protocols.job import Accept, Finished, Input, Offer, Ready, Release, Said, ShardSpec, Stored
from protocols.types import SECOND, NodeId

T0 = 1_000 * SECOND
WAY = (ShardSpec(command=("one",)), ShardSpec(command=("two",), takes=(0,)))


def offers(effects: list[Effect]) -> list[tuple[NodeId, Offer]]:
    return [(node, said) for node, said in mail(effects) if isinstance(said, Offer)]


def finished(shard: int, epoch: int = 1, output: str = OUT, code: str = "ok") -> Finished:
    ok = code == "ok"
    return Finished(J, shard, epoch, code, "", output if ok else None, 3, SECOND)


def test_second_stage_waits_for_the_first_and_is_told_where_its_output_lies() -> None:
    desk = Desk()
    ((node, offer),) = offers(desk.submit(shards=WAY))
    assert (offer.shard, offer.inputs) == (0, ())
    effects = desk.book.hear(node, finished(0), T0)
    assert isinstance(effects[0], Persist) and isinstance(effects[1], Persist)  # one commit
    ((_, second),) = offers(effects)
    assert (second.shard, second.inputs) == (1, (Input(OUT, node),))
    assert not any(isinstance(said, Ready) for _, said in mail(effects))  # it is no result


def test_output_is_given_up_when_all_who_take_it_are_delivered() -> None:
    desk = Desk()
    spread = (*WAY, ShardSpec(command=("three",), takes=(0,)))
    ((first, _),) = offers(desk.submit(shards=spread))
    places = dict((o.shard, n) for n, o in offers(desk.book.hear(first, finished(0), T0)))
    for shard in (1, 2):
        desk.book.hear(places[shard], finished(shard, output=OTHER), T0)
    assert Release(J, 0, 1, "delivered") not in [
        said for _, said in mail(desk.book.hear(A, Stored(J, 1, 1, OTHER), T0))
    ]
    effects = desk.book.hear(A, Stored(J, 2, 1, OTHER), T0)
    assert (first, Release(J, 0, 1, "delivered")) in mail(effects)
    assert desk.status == (Status.COMPLETED, "")
    assert desk.row(0).phase is Phase.DELIVERED


def test_lost_output_is_made_again_only_when_somebody_waits_for_it() -> None:
    desk = Desk()
    ((first, _),) = offers(desk.submit(shards=WAY))
    ((second, _),) = offers(desk.book.hear(first, finished(0), T0))
    desk.book.hear(second, Accept(J, 1, 1), T0)
    late = desk.row(0)
    desk.loads.distrust(first, T0)
    effects = desk.book._late(desk.book._ledger.jobs[J], 0, T0)
    assert late.phase is Phase.FINISHED and offers(effects) == []
    effects = desk.book.hear(second, finished(1, code="crashed"), T0)
    ((again, offer),) = offers(effects)  # now the second stage waits: the first goes before it
    assert (offer.shard, offer.epoch) == (0, 2) and again != first
    ((_, offer),) = offers(desk.book.hear(again, finished(0, 2, OTHER), T0))
    assert offer.inputs == (Input(OTHER, again),)


def test_word_of_the_old_epoch_feeds_nobody() -> None:
    desk = Desk()
    ((first, _),) = offers(desk.submit(shards=WAY))
    desk.book._late(desk.book._ledger.jobs[J], 0, T0)
    assert offers(desk.book.hear(first, finished(0, epoch=1), T0)) == []


def test_shard_that_cannot_fetch_what_it_takes_has_not_failed() -> None:
    desk = Desk()
    ((first, _),) = offers(desk.submit(shards=WAY))
    ((holder, offer),) = offers(desk.book.hear(first, finished(0), T0))
    for epoch in range(1, booking.FAILURES_MAX):
        effects = desk.book.hear(holder, finished(1, epoch, code="fetch-timeout"), T0)
        ((holder, offer),) = offers(effects)
        assert (offer.shard, offer.epoch) == (1, epoch + 1)
    effects = desk.book.hear(holder, finished(1, offer.epoch, code="fetch-timeout"), T0)
    ((_, offer),) = offers(effects)  # the third time what it takes is made again
    assert (offer.shard, offer.epoch) == (0, 2)
    assert desk.row(1).failures == 0


def test_outputs_made_for_others_outlive_a_restart_of_the_scheduler() -> None:
    desk, rows = Desk(), dict[str, bytes | None]()

    def keep(effects: list[Effect]) -> list[Effect]:
        rows.update({e.key: e.value for e in effects if isinstance(e, Persist)})
        return effects

    ((first, _),) = offers(keep(desk.submit(shards=WAY)))
    keep(desk.book.hear(first, finished(0), T0))
    after = Desk()
    kept = tuple((key, value) for key, value in rows.items() if value is not None)
    after.book.restore(kept, T0)
    assert (after.row(0).phase, after.row(0).holder) == (Phase.FINISHED, first)
    ((_, offer),) = offers(after.book.wake(T0))
    assert (offer.shard, offer.epoch, offer.inputs) == (1, 2, (Input(OUT, first),))
    effects = after.book.wake(T0 + booking.RESTORED_NS)
    assert ("replaced", 0, "lease-expired") in told(effects)  # its holder was never heard of


def test_what_a_shard_says_is_kept_under_a_bound_and_only_from_its_holder() -> None:
    desk = Desk()
    ((node, _),) = offers(desk.submit(shards=WAY[:1]))
    assert told(desk.book.hear(node, Said(J, 0, 1, "hello"), T0)) == [("said", 0, "")]
    desk.book.hear(NodeId("stranger"), Said(J, 0, 1, "lie"), T0)
    desk.book.hear(node, Said(J, 0, 9, "of another lease"), T0)
    assert [line.text for line in desk.book.log(J).since(0)] == ["hello"]
    for number in range(40):
        desk.book.hear(node, Said(J, 0, 1, f"{number}" * 2_000), T0)
    kept = desk.book.log(J).since(0)
    assert sum(len(line.text) for line in kept) <= CHARS_MAX
    assert kept[-1].number == 40 and kept[-1].text.startswith("3939")
    assert desk.book.log(J).since(40) == kept[-1:]


def test_results_are_what_nobody_takes() -> None:
    desk = Desk()
    desk.submit(shards=(*WAY, ShardSpec(command=("x",))))
    job = desk.book.find(J)
    assert job is not None and job.results == 2
