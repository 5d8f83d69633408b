"""Operators over a whole simulated mesh: sent away everywhere, moved everywhere, and caught up."""

from __future__ import annotations

from meshd.ephemeris.elements import Elements
from meshd.ephemeris.published import ORBIT_TTL_NS, orbit_of
from meshd.ephemeris.succession import TICK_NS
from meshd.seam import BootstrapWanted, ElementsHeard, Publish, RecordsLoaded
from protocols.certificate import Revocations, unseal
from protocols.record import Body, Record, Statement, sign
from protocols.types import HOUR, SECOND, NodeId
from sim.crypto import signer_of
from sim.host import Host
from sim.world import Physics, World
from tests.sim.meshes import LIGHT, START, WORKER, cabled

DAY = 24 * HOUR
ONE = Physics(operators=1, commit_ns=2_000_000)


def operator_says(world: World, body: Body, sequence: int = 1) -> Record:
    operator = world.authorities.ids[0]
    key = signer_of("modelled", world.seed, "operator-0", operator)
    return sign(Statement(operator, sequence, world.now, 1_000 * DAY, body), key)


def serial_of(host: Host) -> int:
    shown = host.config.trust.certificate
    assert shown is not None
    return unseal(shown).serial


def knows(world: World, name: str, other: str) -> bool:
    return world.host(other).id in world.node(name).router.members


def said(world: World, name: str) -> set[tuple[NodeId, int]]:
    """What a node holds, by author and number; of itself a life has its own numbers."""
    mine = world.host(name).id
    return {(s.author, s.sequence) for s in world.node(name).gossip.view() if s.author != mine}


def test_a_mesh_under_an_operator_is_one() -> None:
    world = cabled("ab", "bc", "cd", "da", physics=ONE)
    world.run_for(10 * SECOND)
    assert all(knows(world, a, b) for a in "abcd" for b in "abcd")
    world.send("a", "c")
    world.run_for(5 * SECOND)
    assert world.packets()["delivered"] == 1


def test_who_is_revoked_has_no_link_in_all_the_mesh_a_second_later() -> None:
    world = cabled("ab", "bc", "cd", "de", "ea", physics=ONE)
    world.run_for(10 * SECOND)
    gone = world.host("c")
    record = operator_says(world, Revocations((serial_of(gone),)))
    world.ask(world.host("e"), RecordsLoaded((record,)))
    world.run_for(SECOND)
    for name in "abde":
        assert world.node(name).neighbours.link_to(gone.id) is None
        assert not knows(world, name, "c")
    world.kill("b")
    world.restart("b")
    world.run_for(20 * SECOND)  # it remembers, and c goes on dialling
    assert world.node("b").neighbours.link_to(gone.id) is None
    world.send("a", "d")
    world.run_for(10 * SECOND)
    assert world.packets()["delivered"] == 1  # the other way round


def test_a_manoeuvre_is_heard_once_by_every_node() -> None:
    world = cabled("ab", "bc", "cd", "de", physics=ONE)
    heard: list[tuple[str, Elements | str]] = []
    world.run_for(10 * SECOND)
    perform = world._performer.perform

    def spy(host: Host, effects: list[object]) -> None:
        heard.extend((host.name, e.orbit.name) for e in effects if isinstance(e, ElementsHeard))
        perform(host, effects)  # type: ignore[arg-type]

    world._performer.perform = spy  # type: ignore[assignment, method-assign]
    moved = Elements("sat-0-1", 44_713, world.now, 53.0, 1.0, 1e-4, 90.0, 1.0, 15.2)
    at = world.now - world.now % TICK_NS + 2 * TICK_NS
    shown = world.host("a").config.trust.certificate
    world.ask(world.host("a"), Publish(orbit_of(moved, at, shown), ORBIT_TTL_NS))
    world.run_for(2 * SECOND)
    assert heard == [(name, "sat-0-1") for name in "abcde"]


def test_a_node_that_was_away_for_a_day_catches_up_in_seconds() -> None:
    """By the one address it was given: all that it had heard has expired meanwhile."""
    world = World(3, start=START, physics=ONE)
    for name in "abcdef":
        world.add(name, work=WORKER)
    world.start()
    for a, b in ("ab", "bc", "cd", "de"):
        world.connect(a, b)
    one, way = world.host("f"), world.host("a")
    world.medium.lay(one.index, way.index, LIGHT)
    world.ask(one, BootstrapWanted(way.id, way.address))
    world.run_for(20 * SECOND)
    assert all(knows(world, "f", other) for other in "abcde")
    world.kill("f")
    moved = Elements("sat-0-1", 44_713, world.now, 53.0, 1.0, 1e-4, 90.0, 1.0, 15.2)
    at = world.now - world.now % TICK_NS + 2 * TICK_NS
    shown = world.host("e").config.trust.certificate
    world.ask(world.host("e"), Publish(orbit_of(moved, at, shown), ORBIT_TTL_NS))
    world.ask(world.host("b"), RecordsLoaded((operator_says(world, Revocations((99,))),)))
    world.run_for(DAY)
    world.restart("f")
    began, lacks = world.now, {("", 0)}
    while lacks:
        world.run_for(SECOND // 10)
        assert world.now - began < 6 * SECOND
        lacks = {s for s in said(world, "a") if s[0] != one.id} - said(world, "f")
    assert all(knows(world, "f", other) for other in "abcde")
    assert world.node("f").trust.revoked == {world.authorities.ids[0]: (99,)}
