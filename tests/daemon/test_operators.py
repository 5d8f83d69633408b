"""Daemons under operators: who is let in, who is sent away, and whose elements move satellites."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import trio

from meshd.adapters.authority import BOOK, CARD, KEY, Authority
from meshd.adapters.capability import Bounds, grant
from meshd.adapters.identity import load_or_create
from meshd.adapters.trustfile import CERTIFICATE, certificate_text, read_trust
from meshd.config import Config
from meshd.daemon import Daemon, Shared
from meshd.daemon.fleet import open_fleet
from meshd.ephemeris import Elements, format_time
from meshd.ephemeris.published import ORBIT_TTL_NS, orbit_of
from meshd.ephemeris.succession import TICK_NS
from meshd.seam import Note
from protocols.client import Kept, Permit, Status, Submit
from protocols.errors import InputError, MeshError, NotFound
from protocols.job import JobSpec, ShardSpec
from protocols.types import HOUR, MINUTE, SECOND, JobId, NodeId
from tests.adapters.test_requests import chunks
from tests.daemon.conftest import Yard, until
from tests.daemon.test_clients import ask
from tests.daemon.test_renewal import SETS, omm
from tests.topology.skies import NOON

START = NOON + 2 * MINUTE
DAY = 24 * HOUR


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Yard]:
    """Mission time goes 25 times as fast."""
    shared = Shared.for_config(Config(epoch=format_time(START), speed=25.0))
    async with trio.open_nursery() as nursery, open_fleet(shared, tmp_path / "homes") as fleet:
        await nursery.start(shared.pool.run)
        yield Yard(fleet)
        nursery.cancel_scope.cancel()


def operator(yard: Yard, name: str, *satellites: str) -> Authority:
    return Authority.init(yard.folder.parent / name, name, satellites or ("*",))


async def member(
    yard: Yard, name: str, *trusted: Authority, by: Authority | None = None, **config: object
) -> Daemon:
    """A daemon certified by the first operator it trusts, or by another."""
    home = yard.fleet.home(name)
    node = load_or_create(home / "identity.key").node_id
    site = str(config.get("satellite", ""))
    sealed, _ = (by or trusted[0]).certify(node, site, (), START - HOUR, DAY)
    (home / CERTIFICATE).write_text(certificate_text(sealed))
    trust = tuple(str(authority.folder / CARD) for authority in trusted)
    return await yard.up(name, Config(name=name, trust=trust, **config))  # type: ignore[arg-type]


def linked(a: Daemon, b: Daemon) -> bool:
    there = a.node.neighbours.link_to(b.identity.node_id)
    return there is not None and b.node.neighbours.link_to(a.identity.node_id) is not None


async def refusals(daemon: Daemon, within_s: float = 10.0) -> str:
    """The first certificate code that a daemon notes."""
    with daemon.driver.watch(lambda h: isinstance(h, Note)) as watcher, trio.fail_after(within_s):
        while True:
            note = await watcher.next()
            assert isinstance(note, Note)
            if "certificate" in note.code or note.code in ("not-trusted", "not-allowed"):
                return note.code


async def test_a_revoked_node_loses_its_links_everywhere_and_for_good(quick: Yard) -> None:
    acme = operator(quick, "acme")
    a, b, c = [await member(quick, name, acme) for name in "abc"]
    quick.join(a, b)
    quick.join(b, c)
    await until(lambda: linked(a, b) and linked(b, c))
    await until(lambda: len(a.node.router.members) == 3)
    record, _ = acme.revoke(c.identity.node_id, quick.shared.clock.now())
    assert await a.console.records([msgspec.msgpack.encode(record)]) == {"taken": 1}
    await until(lambda: not linked(b, c))  # by gossip
    await until(lambda: c.identity.node_id not in a.node.router.members)
    await quick.kill("b")
    again = await quick.up("b", b.config)  # it remembers
    quick.join(c, again)
    assert await refusals(again) == "certificate-revoked"
    assert again.console.status()["trust"]["revoked"] == {acme.id: [3]}


async def test_strangers_are_kept_out(quick: Yard) -> None:
    acme, rival = operator(quick, "acme"), operator(quick, "rival")
    a = await member(quick, "a", acme)
    stranger = await quick.up("stranger")
    quick.join(stranger, a)
    assert await refusals(a) == "no-certificate"
    await quick.kill("stranger")
    other = await member(quick, "other", rival)
    quick.join(other, a)
    assert await refusals(a) == "not-trusted"
    assert not any(row["ready"] for row in a.console.peers())


async def test_two_operators_that_trust_each_other_are_one_mesh(quick: Yard) -> None:
    acme, rival = operator(quick, "acme", "A-*"), operator(quick, "rival", "R-*")
    a = await member(quick, "a", acme, rival)
    b = await member(quick, "b", rival, acme)
    quick.join(a, b)
    await until(lambda: linked(a, b))
    assert a.node.trust.operator_of(b.identity.node_id) == rival.id


async def test_a_daemon_that_nobody_would_believe_does_not_start(quick: Yard) -> None:
    acme = operator(quick, "acme")
    card = str(acme.folder / CARD)
    with pytest.raises(MeshError, match="meshd operator sign 12D3Koo") as refused:
        await start_alone(quick, "a", Config(trust=(card,)))
    assert refused.value.code == "no-certificate"
    home = quick.fleet.home("b")
    node = load_or_create(home / "identity.key").node_id
    sealed, _ = acme.certify(node, "", (), START - DAY, HOUR)
    (home / CERTIFICATE).write_text(certificate_text(sealed))
    with pytest.raises(MeshError) as refused:
        await start_alone(quick, "b", Config(trust=(card,)))
    assert refused.value.code == "certificate-expired"


async def start_alone(yard: Yard, name: str, config: Config) -> None:
    daemon = Daemon(yard.fleet.home(name), config, yard.shared)
    await daemon.run()


# --- elements ---------------------------------------------------------------------------------


def next_tick(yard: Yard) -> int:
    """The first that is ten real seconds away."""
    return -(-(yard.shared.clock.now() + 5 * MINUTE) // TICK_NS) * TICK_NS


def manoeuvred(e: Elements) -> Elements:
    return replace(
        e, epoch=e.epoch + MINUTE, mean_anomaly_deg=(e.mean_anomaly_deg + 0.5) % 360, line1="",
        line2="",
    )  # fmt: skip


async def test_a_manoeuvre_is_told_by_gossip_and_every_plan_changes(quick: Yard) -> None:
    acme = operator(quick, "acme")
    sky = quick.folder.parent / "sky.json"
    sky.write_text(omm(tuple(SETS)))
    names = [SETS[k].name for k in (0, 1, 2)]
    a, b, c = [
        await member(quick, name, acme, catalog=(str(sky),), satellite=site)
        for name, site in zip("abc", names, strict=True)
    ]
    quick.join(a, b)
    quick.join(b, c)
    await until(lambda: linked(a, b) and linked(b, c))
    before = a.console.status()["plan"]["sky"]
    moved, tick = manoeuvred(SETS[0]), next_tick(quick)
    told = await a.console.publish(format_time(tick), {"new.json": omm((moved,))})
    assert told["taken"] == 1
    await until(lambda: all(len(d.console.elements()["waiting"]) == 1 for d in (a, b, c)))
    assert quick.shared.clock.now() < tick and c.console.status()["plan"]["sky"] == before
    await until(lambda: quick.shared.clock.now() >= tick, 60)
    await until(lambda: all(d.console.status()["plan"]["sky"] != before for d in (a, b, c)))
    assert len({d.console.status()["plan"]["digest"] for d in (a, b, c)}) == 1
    with pytest.raises(MeshError) as refused:  # a may not move b
        at = format_time(next_tick(quick))
        await a.console.publish(at, {"new.json": omm((manoeuvred(SETS[1]),))})
    assert refused.value.code == "not-entitled"
    d = await member(quick, "d", acme, catalog=(str(sky),))  # it was away, and catches up
    assert d.console.status()["plan"]["sky"] == before
    quick.join(d, c)
    after = a.console.status()["plan"]["sky"]
    await until(lambda: d.console.status()["plan"]["sky"] == after)


async def test_an_operator_publishes_for_its_own_satellites(quick: Yard) -> None:
    acme, rival = operator(quick, "acme", SETS[0].name), operator(quick, "rival", SETS[1].name)
    sky = quick.folder.parent / "sky.json"
    sky.write_text(omm(tuple(SETS)))
    a = await member(quick, "a", acme, rival, catalog=(str(sky),))

    def signed(by: Authority, e: Elements) -> list[bytes]:
        now = quick.shared.clock.now()
        records = by.say((orbit_of(e, next_tick(quick)),), now, ORBIT_TTL_NS)
        return [msgspec.msgpack.encode(record) for record in records]

    assert await a.console.records(signed(acme, manoeuvred(SETS[0]))) == {"taken": 1}
    with pytest.raises(MeshError) as refused:
        await a.console.records(signed(rival, manoeuvred(SETS[0])))
    assert refused.value.code == "not-entitled"
    # The number of another's satellite under the name of its own moves neither.
    masked = replace(manoeuvred(SETS[0]), name=SETS[1].name)
    assert await a.console.records(signed(rival, masked)) == {"taken": 1}
    await until(lambda: len(a.console.elements()["waiting"]) == 1)
    await trio.sleep(0.5)
    (update,) = a.world.coming.updates if a.world else ()
    assert update.elements == (manoeuvred(SETS[0]),)


# --- the way in -------------------------------------------------------------------------------


async def test_one_address_is_enough_and_is_kept(yard: Yard) -> None:
    a, b = await yard.up("a"), await yard.up("b")
    yard.join(a, b)
    await until(lambda: linked(a, b))
    c = await yard.up("c", Config(name="c", bootstrap=(b.addresses[0],)))
    await until(lambda: linked(c, b) and len(c.node.router.members) == 3)
    d = await yard.up("d")
    await d.console.name_bootstrap(b.addresses[0], True)
    await until(lambda: linked(d, b))
    await yard.kill("d")
    d = await yard.up("d")
    (row,) = d.console.bootstrap()
    assert row["address"] == b.addresses[0]
    await until(lambda: linked(d, b))
    await d.console.name_bootstrap(str(b.identity.node_id), False)
    assert d.console.bootstrap() == []


# --- clients -----------------------------------------------------------------------------------


async def test_clients_need_a_capability_where_there_are_operators(quick: Yard) -> None:
    acme, rival = operator(quick, "acme"), operator(quick, "rival")
    a = await member(quick, "a", acme, accept_jobs="yes", allow_command=True)
    until_ = quick.shared.clock.now() + HOUR
    bounds = Bounds(until_, kinds=("command",), slots=2)
    permit = Permit(grant(acme.seed(), bounds))
    spec = JobSpec("j", "command", (ShardSpec(command=("sleep", "30")),) * 2)
    assert (await ask(a, Submit("one", spec))).code == "no-capability"
    assert (await ask(a, *chunks(b"data"))).code == "no-capability"
    foreign = Permit(grant(rival.seed(), bounds))
    assert (await ask(a, foreign, Submit("one", spec))).code == "bad-capability"
    assert isinstance(await ask(a, permit, *chunks(b"data")), Kept)
    large = msgspec.structs.replace(spec, shards=spec.shards * 2)
    assert (await ask(a, permit, Submit("one", large))).code == "capability-refused"
    assert (await ask(a, permit, Submit("one", spec))).status == "running"
    assert (await ask(a, permit, Submit("one", spec))).status == "running"  # the same job
    assert (await ask(a, permit, Submit("two", spec))).code == "capability-refused"  # 2 and 2
    await a.console.cancel("one")
    assert (await ask(a, permit, Submit("two", spec))).status == "running"
    assert (await ask(a, Status(JobId("two")))).status == "running"  # who knows it may ask
    assert not any("right" in str(row) or permit.token in str(row) for row in a.console.jobs())


# --- an operator's folder ---------------------------------------------------------------------


def test_an_operators_key_is_its_own(tmp_path: Path) -> None:
    acme = Authority.init(tmp_path / "acme", "acme", ("ONE-*", "TWO-1"))
    assert stat.S_IMODE((acme.folder / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(acme.folder.stat().st_mode) == 0o700
    assert "PRIVATE" not in (acme.folder / CARD).read_text() + (acme.folder / BOOK).read_text()
    assert "PRIVATE" not in repr(acme) + repr(acme.book) and acme.seed().hex() not in repr(acme)
    (known,) = read_trust((str(acme.folder / CARD),), None).operators
    assert (known.id, known.name, known.satellites) == (acme.id, "acme", ("ONE-*", "TWO-1"))
    with pytest.raises(MeshError, match="holds an operator already"):
        Authority.init(acme.folder, "again", ())
    (acme.folder / KEY).chmod(0o640)
    with pytest.raises(MeshError) as refused:
        Authority.open(acme.folder)
    assert refused.value.code == "key-permissions"
    with pytest.raises(NotFound):
        Authority.open(tmp_path)


def test_serials_and_sequences_are_never_used_twice(tmp_path: Path) -> None:
    acme = Authority.init(tmp_path / "acme", "acme", ())
    node = NodeId(acme.id)
    serials = [acme.certify(node, "", (), 0, DAY)[1].serial for _ in range(2)]
    again = Authority.open(acme.folder)
    serials.append(again.certify(node, "", (), 0, DAY)[1].serial)
    assert serials == [1, 2, 3]
    first, taken = again.revoke("2", SECOND)
    second, _ = Authority.open(acme.folder).revoke(node, SECOND)
    assert [given.serial for given in taken] == [2]
    statements = [msgspec.msgpack.decode(record.statement) for record in (first, second)]
    assert [(said[1], said[4][1]) for said in statements] == [(1, [2]), (2, [1, 2, 3])]
    with pytest.raises(NotFound):
        again.revoke("77", SECOND)


@pytest.mark.parametrize(
    "text", ["", "[[operator]]\nid = 'x'\n", "nonsense = 1\n", "allow = ['x']"]
)
def test_a_trust_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(text)
    if not text:
        assert read_trust((str(path),), None).open
        return
    with pytest.raises(InputError) as refused:
        read_trust((str(path),), None)
    assert refused.value.code == "bad-trust"


@pytest.mark.parametrize("text", ["", "meshd certificate\n", "meshd certificate\n!!!\n", "\x00"])
def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.cert"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_trust((), path)
    assert refused.value.code == "bad-certificate"
