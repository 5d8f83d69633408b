"""A node without a link dials those named to it, and lets go when the plan's links are up."""

from __future__ import annotations

import msgspec
import pytest

from meshd.forwarding import bootstrap as limits
from meshd.forwarding.bootstrap import (
    BOOTSTRAP_ROW,
    DIALLED_AT_ONCE,
    FORSAKEN_NS,
    LONELY_NS,
    SETTLED_NS,
    TURN_NS,
    Bootstrap,
)
from meshd.forwarding.neighbours import Neighbours
from meshd.gossip.kept import KEPT_ROW
from meshd.router.routes import Router
from meshd.seam import (
    BootstrapWanted,
    LinkLost,
    LinkReady,
    Note,
    OpenLink,
    Persist,
    StandingWanted,
    Started,
    Woke,
)
from protocols.record import Presence, Statement, sign
from protocols.types import HOUR, SECOND, LinkId, NodeId
from sim.chance import signer
from tests.trust.openly import open_trust

T0 = 1_000 * HOUR
ME, A, B = NodeId("me"), NodeId("A"), NodeId("B")
L1 = LinkId(1)


def machine(*named: tuple[NodeId, str], rows: tuple[tuple[str, bytes], ...] = ()) -> Bootstrap:
    found = Bootstrap(Neighbours(ME, "me", Router(ME), open_trust(ME)), named)
    assert found.handle(Started(rows), T0) == []
    return found


def kept(node: NodeId, at: int) -> tuple[str, bytes]:
    """The row of a neighbour of a life before."""
    said = Statement(node, 1, at, 24 * HOUR, Presence(node, "", (f"/at/{node}",)))
    return f"{KEPT_ROW}{node}", msgspec.msgpack.encode(sign(said, signer(node)))


def test_a_node_with_nobody_named_dials_nobody() -> None:
    assert machine().next_deadline() is None


def test_who_is_named_is_dialled_while_there_is_no_link() -> None:
    one = machine((A, "/at/A"))
    assert one.next_deadline() == T0 + LONELY_NS
    assert one.handle(Woke(), T0 + LONELY_NS) == [StandingWanted(A, "/at/A", keep=False)]
    one.handle(LinkReady(L1, A, False, 0), T0 + 3 * SECOND)
    assert one.next_deadline() is None
    one.handle(LinkLost(L1, A, False, "silent"), T0 + HOUR)
    assert one.next_deadline() == T0 + HOUR + LONELY_NS


def test_planned_links_replace_the_way_in() -> None:
    one = machine((A, "/at/A"))
    one.handle(Woke(), T0 + LONELY_NS)
    one.handle(LinkReady(L1, A, False, 0), T0 + 3 * SECOND)
    one.handle(LinkReady(LinkId(2), B, True, 0), T0 + 5 * SECOND)
    assert one.next_deadline() == (settled := T0 + 5 * SECOND + SETTLED_NS)
    assert one.handle(Woke(), settled) == [StandingWanted(A, "", wanted=False, keep=False)]


def test_some_are_tried_after_others() -> None:
    named = [(NodeId(f"n{k}"), f"/{k}") for k in range(DIALLED_AT_ONCE + 1)]
    one = machine(*named)
    first = one.handle(Woke(), T0 + LONELY_NS)
    assert [e.node for e in first] == ["n0", "n1", "n2"]  # type: ignore[union-attr]
    second = one.handle(Woke(), T0 + LONELY_NS + TURN_NS)
    wanted = [e.node for e in second if isinstance(e, StandingWanted) and e.wanted]
    assert wanted[0] == "n3"


def test_a_node_that_was_away_longer_than_words_live_still_knows_addresses() -> None:
    """The presence has long expired: who is there must prove it by its key."""
    one = machine(rows=(kept(A, T0 - 72 * HOUR),))
    assert one.next_deadline() == T0 + FORSAKEN_NS
    assert one.handle(Woke(), T0 + FORSAKEN_NS) == [StandingWanted(A, "/at/A", keep=False)]


def test_what_is_named_outlives_the_process_until_it_is_taken_back() -> None:
    one = machine()
    (row,) = one.handle(BootstrapWanted(A, "/at/A"), T0)
    assert row == Persist(BOOTSTRAP_ROW + A, b"/at/A")
    assert one.next_deadline() == T0  # at once, since it is alone
    again = machine(rows=((row.key, row.value or b""),))
    assert again.view() == ((A, "/at/A"),)
    assert again.handle(BootstrapWanted(A, "", wanted=False), T0) == [Persist(row.key, None)]
    assert again.view() == ()


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BOOTSTRAP_MAX", 1)
    one = machine()
    one.handle(BootstrapWanted(A, "/a"), T0)
    assert one.handle(BootstrapWanted(B, "/b"), T0) == [
        Note("bootstrap-full", {"node": B, "max": 1})
    ]


def test_such_a_link_is_not_kept_for_another_life() -> None:
    neighbours = Neighbours(ME, "me", Router(ME), open_trust(ME))
    neighbours.handle(Started(), T0)
    effects = neighbours.handle(StandingWanted(A, "/at/A", keep=False), T0)
    assert effects == [OpenLink(A, ("/at/A",))]
    assert neighbours.wants(A)
    assert neighbours.handle(StandingWanted(A, "", wanted=False, keep=False), T0) == []
