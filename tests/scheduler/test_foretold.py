"""A node whose load is as the roster foretells says nothing, and is given work all the same."""

from __future__ import annotations

from test_book import Desk
from test_holder import holder, offer

from meshd.router.roster import Roster
from meshd.scheduler.load import DISTRUST_NS
from meshd.seam import Publish
from protocols.record import Beacon
from protocols.types import HOUR, MILLISECOND, SECOND, NodeId

T0 = 1_000 * SECOND
A, B, C, D = (NodeId(letter) for letter in "ABCD")
IDLE = Beacon(1, 0, 0, 0, 1.0, ("command",))
LATER = T0 + HOUR


def desk() -> Desk:
    """B and C are foretold to be idle; B, C and D have beaconed at T0."""
    found = Desk()
    found.loads.load(Roster("digest", {}, {}, {B: (IDLE, 0), C: (IDLE, 0)}, {}))
    return found


def candidates(at_desk: Desk, now: int) -> list[NodeId]:
    return [found.node for found in at_desk.loads.candidates("command", A, now)]


def test_idle_as_foretold_is_not_said() -> None:
    machine = holder()
    (said,) = machine.beacon(T0)
    assert isinstance(said, Publish)
    machine.foretold(said.body)  # type: ignore[arg-type]
    assert machine.beacon(T0) == []
    assert machine.next_deadline() is None
    assert machine.beacon(T0 + HOUR) == []


def test_a_load_that_was_not_foretold_is_said_and_so_is_its_end() -> None:
    machine = holder()
    (idle,) = machine.beacon(T0)
    machine.foretold(idle.body)  # type: ignore[union-attr, arg-type]
    machine.beacon(T0)
    machine.offered(B, offer(), LATER)
    (busy,) = machine.beacon(LATER)
    assert busy.body.running == 1  # type: ignore[union-attr]
    assert machine.beacon(LATER + 10 * SECOND) == [busy]  # every 10 s, as long as it lasts
    machine._held.clear()
    assert machine.beacon(LATER + 11 * SECOND) == [idle]
    assert machine.beacon(LATER + 21 * SECOND) == []


def test_beacons_stay_a_gap_apart_after_silence() -> None:
    machine = holder()
    (idle,) = machine.beacon(T0)
    machine.foretold(idle.body)  # type: ignore[union-attr, arg-type]
    assert machine.beacon(T0 + 50 * MILLISECOND) == []
    machine.offered(B, offer(), T0 + 100 * MILLISECOND)
    assert machine.beacon(T0 + 100 * MILLISECOND) == []
    assert machine.next_deadline() == T0 + 200 * MILLISECOND
    assert len(machine.beacon(T0 + 200 * MILLISECOND)) == 1


def test_who_is_foretold_is_a_candidate_without_a_beacon() -> None:
    assert candidates(desk(), T0) == [B, C, D]
    assert candidates(desk(), LATER) == [B, C]


def test_who_is_foretold_and_did_not_answer_is_tried_again_in_the_end() -> None:
    at_desk = desk()
    at_desk.loads.distrust(B, LATER)
    at_desk.loads.distrust(D, T0)
    assert candidates(at_desk, LATER + DISTRUST_NS - 1) == [C]
    assert candidates(at_desk, LATER + DISTRUST_NS) == [B, C]


def test_work_sent_to_who_is_foretold_counts_until_it_would_have_beaconed() -> None:
    at_desk = desk()
    at_desk.loads.sent(B, 7 * SECOND, LATER)
    waits = [
        {found.node: found.wait_ns for found in at_desk.loads.candidates("command", A, at)}
        for at in (LATER, LATER + 26 * SECOND)
    ]
    assert waits == [{B: 7 * SECOND, C: 0}, {B: 0, C: 0}]
