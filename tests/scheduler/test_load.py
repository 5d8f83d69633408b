"""Who may be given work: by beacon, by room, and by what a node keeps for itself."""

from __future__ import annotations

import msgspec
import pytest

from meshd.scheduler.holder import Holder, WorkPolicy
from meshd.scheduler.placement import Candidate, place
from meshd.seam import Publish
from protocols.errors import ProtocolError
from protocols.record import Beacon, Record, Statement, read
from protocols.types import SECOND, NodeId
from tests.trust.openly import open_trust

T0 = 1_000 * SECOND


def candidate(node: str, room: int, slots: int = 1) -> Candidate:
    return Candidate(NodeId(node), slots, 0, 1.0, 0, 0, room)


def test_no_node_is_given_more_than_it_has_room_for() -> None:
    placed = place(range(10), SECOND, [candidate("a", 3), candidate("b", 2), candidate("c", 0)])
    assert [shard for shard, _ in placed] == [0, 1, 2, 3, 4]
    assert sorted(node for _, node in placed) == ["a", "a", "a", "b", "b"]


def test_a_boast_of_slots_costs_no_memory() -> None:
    placed = place(range(2), SECOND, [candidate("a", 1 << 40, slots=1 << 40)])
    assert [node for _, node in placed] == ["a", "a"]


def test_a_boast_of_slots_is_no_beacon() -> None:
    beacon = Beacon(1 << 20, 0, 0, 0, 1.0, ("onnx",))
    data = msgspec.msgpack.encode(Statement(NodeId("a"), 1, 0, 1, beacon))
    with pytest.raises(ProtocolError) as refused:
        read(Record(data, b""))
    assert refused.value.code == "bad-record"


@pytest.mark.parametrize(("remote", "kinds"), [(True, ("onnx",)), (False, ())])
def test_a_node_that_takes_no_work_from_others_says_so(
    remote: bool, kinds: tuple[str, ...]
) -> None:
    holder = Holder(NodeId("a"), WorkPolicy(slots=2, remote=remote), open_trust(NodeId("a")))
    (published,) = holder.beacon(T0)
    assert isinstance(published, Publish) and isinstance(published.body, Beacon)
    assert published.body.kinds == kinds
