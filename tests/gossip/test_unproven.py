"""What is not believed, or kept for another life, is bounded too."""

from __future__ import annotations

import pytest

from meshd.ephemeris.elements import Elements
from meshd.ephemeris.published import orbit_of
from meshd.gossip import kept as keeping
from meshd.gossip import unproven
from meshd.gossip.kept import Kept, records_in
from meshd.gossip.unproven import REFUSED_NS, Unproven, Waiting
from meshd.router.roster import Entry, entry_of
from meshd.seam import Note, Persist
from protocols.record import Body, LinkState, Presence, Statement, sign
from protocols.types import HOUR, NodeId
from sim.chance import signer

T0 = 1_000 * HOUR
VIA = NodeId("via")


def entry(author: NodeId, body: Body, sequence: int = 1) -> Entry:
    return entry_of(sign(Statement(author, sequence, T0, HOUR, body), signer(author)))


def nodes(count: int) -> list[NodeId]:
    return [NodeId(f"n{number}") for number in range(count)]


def test_statements_that_wait_for_their_authors_are_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unproven, "WAITING_MAX", 3)
    held = Unproven()
    for node in nodes(5):
        said = Waiting(VIA, entry(node, LinkState((), ())), 8)
        assert held.refuse("unknown-author", said, T0) == []
    assert len(held) == 3
    assert [len(held.of(node)) for node in nodes(5)] == [0, 0, 1, 1, 1]
    assert len(held) == 0


def test_what_was_refused_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unproven, "REFUSED_MAX", 2)
    held = Unproven()
    entries = [entry(node, Presence("", "", ()), 5) for node in nodes(3)]
    for said in entries:
        (note,) = held.refuse("not-trusted", Waiting(VIA, said, 8), T0)
        assert isinstance(note, Note) and note.code == "not-trusted"
    tags = [said.tag for said in entries]
    assert [held.has(tag, 5, T0) for tag in tags] == [False, True, True]
    assert not held.has(tags[2], 6, T0)  # a newer one may be better
    assert not held.has(tags[2], 5, T0 + REFUSED_NS)


def test_of_many_neighbours_those_met_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "NEIGHBOURS_MAX", 2)
    kept, rows = Kept(), dict[str, bytes]()
    for node in nodes(4):
        said = entry(node, Presence(node, "", (f"/at/{node}",)))
        assert kept.keep(said, neighbour=False) == []
        for row in kept.keep(said, neighbour=True):
            assert isinstance(row, Persist)
            if row.value is None:
                del rows[row.key]
            else:
                rows[row.key] = row.value
    found = [entry_of(record).statement.author for record in records_in(tuple(rows.items()))]
    assert found == ["n2", "n3"]
    again = Kept()  # a life later they count still
    again.restore(tuple(rows.items()), T0 + 24 * HOUR)
    more = again.keep(entry(NodeId("n4"), Presence("", "", ())), neighbour=True)
    assert [row.value is None for row in more if isinstance(row, Persist)] == [False, True]


def test_elements_that_have_expired_leave_the_disk() -> None:
    moved = Elements("sat", 7, T0, 53.0, 0.0, 1e-4, 0.0, 0.0, 15.2)
    (row,) = Kept().keep(entry(VIA, orbit_of(moved, T0)), neighbour=False)
    assert isinstance(row, Persist) and row.value is not None
    rows = ((row.key, row.value),)
    assert Kept().restore(rows, T0)[1] == []
    assert Kept().restore(rows, T0 + 2 * HOUR)[1] == [Persist(row.key, None)]
