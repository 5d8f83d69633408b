"""Placement gives each shard to the earliest finish: as good as trying everything."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.scheduler.placement import Candidate, place
from protocols.types import NodeId

NAMES = [NodeId(letter) for letter in "ABCD"]
ESTIMATE = 100

candidates = st.lists(
    st.builds(
        Candidate,
        node=st.just(NodeId("")),
        slots=st.integers(0, 2),
        wait_ns=st.integers(0, 300),
        speed=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
        to_ns=st.integers(0, 50),
        back_ns=st.integers(0, 50),
    ),
    max_size=4,
).map(
    lambda many: [
        Candidate(name, c.slots, c.wait_ns, c.speed, c.to_ns, c.back_ns)
        for name, c in zip(NAMES, many, strict=False)
    ]
)


def finishes(candidate: Candidate, shards: int) -> list[int]:
    """When the results of so many shards on one node are at the sink, by the definition."""
    slots = [max(3 * candidate.to_ns, candidate.wait_ns)] * candidate.slots
    ends = []
    for _ in range(shards):
        slots.sort()
        slots[0] += round(ESTIMATE / candidate.speed)
        ends.append(slots[0] + candidate.back_ns)
    return ends


def finish_of(counts: dict[NodeId, int], ways: list[Candidate]) -> list[int]:
    return sorted(end for way in ways for end in finishes(way, counts.get(way.node, 0)))


@settings(max_examples=200)
@given(candidates, st.integers(0, 5))
def test_placement_equals_brute_force(ways: list[Candidate], shards: int) -> None:
    placed = place(range(shards), ESTIMATE, ways)
    usable = [way for way in ways if way.slots]
    if not usable:
        assert placed == []
        return
    assert [shard for shard, _ in placed] == list(range(shards))
    mine = finish_of(Counter(node for _, node in placed), ways)
    every = combinations_with_replacement([way.node for way in usable], shards)
    best = min(finish_of(Counter(choice), ways) for choice in every)
    # Not only is the last result as early as can be: so is each one.
    assert mine == best


@settings(max_examples=200)
@given(
    candidates,
    st.dictionaries(st.integers(0, 5), st.lists(st.sampled_from(NAMES), unique=True).map(tuple)),
)
def test_each_shard_goes_to_its_earliest_finish(
    ways: list[Candidate], declined: dict[int, tuple[NodeId, ...]]
) -> None:
    counts: dict[NodeId, int] = {}
    expected = []
    for shard in range(6):
        able = [way for way in ways if way.slots and way.node not in declined.get(shard, ())]
        if not able:
            continue
        ends = {way.node: finishes(way, counts.get(way.node, 0) + 1)[-1] for way in able}
        node = min(ends, key=lambda name: (ends[name], name))
        counts[node] = counts.get(node, 0) + 1
        expected.append((shard, node))
    assert place(range(6), ESTIMATE, ways, declined) == expected


def test_ties_go_to_the_lower_node_id() -> None:
    alike = [Candidate(name, 1, 0, 1.0, 5, 5) for name in reversed(NAMES)]
    assert place(range(5), ESTIMATE, alike) == [
        (0, "A"),
        (1, "B"),
        (2, "C"),
        (3, "D"),
        (4, "A"),
    ]


def test_who_declined_is_not_asked() -> None:
    ways = [Candidate(NodeId("A"), 1, 0, 1.0, 1, 1), Candidate(NodeId("B"), 1, 900, 1.0, 1, 1)]
    assert place([0, 1], ESTIMATE, ways, {0: (NodeId("A"),)}) == [(0, "B"), (1, "A")]
    assert place([0], ESTIMATE, ways, {0: (NodeId("A"), NodeId("B"))}) == []
