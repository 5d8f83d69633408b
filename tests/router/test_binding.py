"""Who shares a roster shares the places of its members, and binds as if it had heard them all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshd.router.binding import Binding, bind, bind_over
from meshd.router.roster import Member, Roster
from meshd.router.routes import Router
from meshd.seam import Learnt, PlanLoaded, RosterLoaded
from meshd.topology import plan_from_contacts
from protocols.record import Presence
from protocols.types import SECOND, NodeId

PLAN = plan_from_contacts(("satellite",) * 6, [(0, 1, 0, SECOND)], 1_000)
MEMBERS = st.dictionaries(
    st.sampled_from("ABCDEFGH"),
    st.tuples(st.sampled_from(["", "elsewhere", *PLAN.names]), st.integers(0, 3)),
)


def members(said: dict[str, tuple[str, int]]) -> dict[NodeId, Member]:
    return {
        NodeId(name): Member(NodeId(name), Presence(name, site, ()), at)
        for name, (site, at) in sorted(said.items())
    }


def roster(said: dict[NodeId, Member]) -> Roster:
    return Roster("digest", {}, said, {}, {})


def sites(binding: Binding) -> dict[int, NodeId]:
    return {v: name for v, name in binding.node.items() if v < PLAN.n_sites}


@given(MEMBERS, MEMBERS, st.lists(st.sampled_from("AXYZ")))
def test_bound_over_a_roster_as_if_all_had_been_heard(
    listed: dict[str, tuple[str, int]], heard: dict[str, tuple[str, int]], named: list[str]
) -> None:
    others = [NodeId(name) for name in named]
    base, own = members(listed), members(heard)
    bound = bind_over(roster(base), PLAN, own.values(), others)
    plain = bind(PLAN, {**base, **own}.values(), others)
    assert sites(bound) == sites(plain) and bound.absent == plain.absent
    assert sorted(bound.vertex) == sorted(plain.vertex) == sorted({*base, *own, *others})
    assert {name: bound.node[v] for name, v in bound.vertex.items()} == {n: n for n in bound.vertex}


def test_two_nodes_of_one_roster_share_their_places() -> None:
    shared = roster(members({name: (f"n{i}", 0) for i, name in enumerate("ABCDEF")}))
    routers = [Router(NodeId(name)) for name in "AB"]
    for router in routers:
        router.handle(Learnt(NodeId("A"), Presence("A", "n0", ()), 5), 5)
        router.handle(PlanLoaded(PLAN), 5)
        router.handle(RosterLoaded(shared), 5)
    assert routers[0]._bound.vertex is routers[1]._bound.vertex
    assert [router.node_at(3) for router in routers] == ["D", "D"]
    assert routers[0].members[NodeId("F")].presence.site == "n5"


def test_who_has_moved_since_the_roster_is_found_where_it_says() -> None:
    router = Router(NodeId("A"))
    router.handle(PlanLoaded(PLAN), 0)
    router.handle(RosterLoaded(roster(members({"A": ("n0", 0), "B": ("n1", 0)}))), 0)
    router.handle(Learnt(NodeId("B"), Presence("B", "n4", ()), 9), 9)
    assert (router.node_at(4), router.node_at(1)) == ("B", None)


SAID = st.tuples(
    st.sampled_from("ABCDEFGH"), st.sampled_from(["", "elsewhere", *PLAN.names]), st.integers(0, 3)
)


@given(st.lists(SAID), MEMBERS, st.lists(SAID))
def test_who_lives_where_is_as_if_bound_anew_after_every_word(
    before: list[tuple[str, str, int]],
    listed: dict[str, tuple[str, int]],
    after: list[tuple[str, str, int]],
) -> None:
    router = Router(NodeId("Z"))
    router.handle(PlanLoaded(PLAN), 0)

    def hear(said: list[tuple[str, str, int]]) -> None:
        for name, site, at in said:
            router.handle(Learnt(NodeId(name), Presence(name, site, ()), at), at)
            must_agree()

    def must_agree() -> None:
        plain = sites(bind(PLAN, router.members.values(), ()))
        assert {v: router.node_at(v) for v in range(PLAN.n_sites)} == {
            v: plain.get(v) for v in range(PLAN.n_sites)
        }
        assert {v: router.site(node) for v, node in plain.items()} == {v: v for v in plain}

    hear(before)
    router.handle(RosterLoaded(roster(members(listed))), 0)
    must_agree()
    hear(after)
