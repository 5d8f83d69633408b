"""The router between events: who asks leaves no trace, so that a replay goes the same way."""

from __future__ import annotations

from meshd.router.routes import Router
from meshd.seam import Learnt, PlanLoaded
from meshd.topology import plan_from_contacts
from protocols.record import Presence
from protocols.types import MILLISECOND, MINUTE, SECOND, Instant, NodeId

T0 = 1_000 * SECOND
A, B, C = (NodeId(name) for name in "ABC")


def light(a: int, b: int, at: Instant) -> int:
    """Grows by 1 us a millisecond, so that a tree of another instant is seen."""
    return 5 * MILLISECOND + (at - T0) // 1_000


def a_router() -> Router:
    """A's, in a line A - B - C."""
    router = Router(A)
    contacts = [(0, 1, T0, T0 + MINUTE), (1, 2, T0, T0 + MINUTE)]
    router.handle(PlanLoaded(plan_from_contacts(("satellite",) * 3, contacts, light)), T0)
    for site, node in enumerate((A, B, C)):
        router.handle(Learnt(node, Presence(node, f"n{site}", ()), T0), T0)
    return router


def test_a_question_between_events_changes_no_answer() -> None:
    asked, left = a_router(), a_router()
    early, later = T0 + 100 * MILLISECOND, T0 + 900 * MILLISECOND
    delays = asked.delays_at(A, early)
    assert delays == left.delays_from(A, early) != left.delays_at(A, later)
    left = a_router()
    assert asked.next_hop(C, later) == left.next_hop(C, later)
    assert asked.delays_from(A, later) == left.delays_from(A, later)


def test_the_newest_claim_to_a_site_holds_whoever_has_asked_before() -> None:
    """Two nodes claim n2; the one that says so again, word for word, has it."""
    asked, left = a_router(), a_router()
    rival = NodeId("D")
    for router in (asked, left):
        router.handle(Learnt(rival, Presence(rival, "n2", ()), T0 + 1), T0 + 1)
    assert asked.node_at(2) == rival
    again = Learnt(C, Presence(C, "n2", ()), T0 + 2)
    assert asked.handle(again, T0 + 2) == left.handle(again, T0 + 2) != []
    assert asked.node_at(2) == left.node_at(2) == C
    assert asked.handle(again, T0 + 3) == left.handle(again, T0 + 3) == []
