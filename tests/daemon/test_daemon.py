"""Daemons on real sockets, disks and worker processes: what must survive, and what is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from meshd.config import Config
from meshd.daemon import Daemon, skyview
from meshd.driver import Happening
from meshd.router.wish import Wish
from meshd.scheduler.states import JobView, Phase, Status
from meshd.seam import BlobStored, JobSubmitted, Note, PayloadArrived, PayloadOffered
from protocols.errors import InputError, MeshError, NotFound
from protocols.job import JobSpec, Limits, ShardSpec
from protocols.types import SECOND, JobId, PacketId
from tests.daemon.conftest import Yard, until

EXAMPLE = Path(__file__).parents[2] / "meshd/examples/digits"


def commands(name: str, **work: object) -> Config:
    return Config(name=name, allow_command=True, slots=2, **work)  # type: ignore[arg-type]


def submit(daemon: Daemon, job: str, spec: JobSpec) -> None:
    daemon.driver.post(JobSubmitted(JobId(job), msgspec.msgpack.encode(spec)))


def job_of(daemon: Daemon, job: str) -> JobView | None:
    return daemon.node.scheduler.book.find(JobId(job))


def completed(daemon: Daemon, job: str) -> bool:
    view = job_of(daemon, job)
    return view is not None and view.row.status is Status.COMPLETED


def knows(daemon: Daemon, *names: str) -> bool:
    known = {member.presence.name for member in daemon.node.router.members.values()}
    return set(names) <= known


def reaches(daemon: Daemon, other: Daemon) -> bool:
    now = daemon.shared.clock.now()
    return daemon.node.router.next_hop(other.identity.node_id, now) is not None


def counts_on(daemon: Daemon, other: Daemon) -> bool:
    """Whether it has a beacon of the other that is young enough to place work by."""
    loads = daemon.node.scheduler.loads.view(daemon.shared.clock.now())
    return other.identity.node_id in loads and reaches(daemon, other)


async def test_a_chain_of_standing_links_carries_a_packet(yard: Yard) -> None:
    a, b, c = [await yard.up(name) for name in "abc"]
    yard.join(a, b)
    yard.join(b, c)
    await until(lambda: knows(a, "a", "b", "c") and knows(c, "a"))
    await until(
        lambda: a.node.router.next_hop(c.identity.node_id, yard.shared.clock.now()) is not None
    )

    def is_app(happening: Happening) -> bool:
        return isinstance(happening, PayloadArrived) and happening.port == "app"

    with c.driver.watch(is_app) as watcher, trio.fail_after(10):
        offer = PayloadOffered(PacketId("p"), c.identity.node_id, "app", b"hi", 10 * SECOND)
        a.driver.post(offer)
        arrived = await watcher.next()
    assert isinstance(arrived, PayloadArrived)
    assert arrived.payload == b"hi"
    assert arrived.hops == tuple(d.identity.node_id for d in (a, b, c))


async def test_ways_between_members_pass_by_no_site_without_a_daemon(yard: Yard) -> None:
    """Two cities without a satellite in between: the plan has a way, the mesh has none."""
    sky = {"constellation": "iridium", "stations": ("London", "Sydney")}
    a = await yard.up("a", Config(name="a", city="London", **sky))  # type: ignore[arg-type]
    alone = await a.console.route("London", "Sydney", Wish(explain=True))
    assert (alone["basis"], len(alone["path"]) > 2) == ("plan", True)
    b = await yard.up("b", Config(name="b", city="Sydney", **sky))  # type: ignore[arg-type]
    yard.join(a, b)
    await until(lambda: knows(a, "b"))
    for places in (("a", "b"), ("London", "Sydney")):
        told = await a.console.route(*places, Wish(explain=True))
        assert (told["basis"], told["path"], told["explain"]["rides"]) == ("members", [], [])
        assert "crosses a node that is away" in told["why"]
    ahead = await a.console.route("a", "b", Wish(timeline="5m"))
    assert ahead["unreachable"] == [{"from_s": 0.0, "until_s": 300.0}]


async def test_an_answer_that_takes_too_long_is_given_up(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread ends, and the next question is answered."""
    sky = {"constellation": "iridium", "stations": ("London", "Sydney")}
    a = await yard.up("a", Config(name="a", city="London", **sky))  # type: ignore[arg-type]
    monkeypatch.setattr(skyview, "GRANT_S", 0.5)
    with pytest.raises(MeshError, match="shorter timeline") as given_up:
        await a.console.route("London", "Sydney", Wish(timeline="6h"))
    assert given_up.value.code == "time-out"
    monkeypatch.setattr(skyview, "GRANT_S", 60.0)
    assert (await a.console.route("London", "Sydney", Wish(by="hops")))["path"]


async def test_an_accepted_job_survives_a_restart_of_its_daemon(yard: Yard) -> None:
    """Shards sleep on another daemon while the one that accepted the job dies and comes back."""
    a = await yard.up("a", Config(name="a", slots=0))
    b = await yard.up("b", commands("b"))
    yard.join(a, b)
    await until(
        lambda: (
            knows(a, "b")
            and b.identity.node_id in a.node.scheduler.loads.view(yard.shared.clock.now())
        )
    )
    shards = tuple(ShardSpec(command=("sh", "-c", f"sleep 1; echo {n}")) for n in range(6))
    submit(a, "nap", JobSpec(name="nap", kind="command", shards=shards, estimate_s=1.0))
    await until(lambda: (view := job_of(a, "nap")) is not None and view.count(Phase.HELD) > 0)
    before = a.addresses
    await yard.kill("a")
    again = await yard.up("a", Config(name="a", slots=0))
    assert again.addresses == before
    await until(lambda: completed(again, "nap"), 60)
    rows = again.node.scheduler.sink.view()[JobId("nap")]
    assert len(rows) == 6


async def test_digits_run_on_the_neighbour(yard: Yard) -> None:
    a = await yard.up("a", Config(name="a", slots=0))
    b = await yard.up("b")
    yard.join(b, a)
    await until(lambda: counts_on(a, b))
    cids = []
    for name in ("digits.onnx", "images.npy"):
        data = (EXAMPLE / name).read_bytes()
        cids.append(a.blobs.put(data))
        a.driver.post(BlobStored(cids[-1], len(data)))
    spec = JobSpec(name="all", kind="onnx", model=cids[0], shards=(ShardSpec(cids[1]),))
    submit(a, "all", spec)
    await until(lambda: completed(a, "all"), 30)
    view = job_of(a, "all")
    assert view is not None and view.shards[0].row.holder == b.identity.node_id


async def test_a_shard_over_its_limit_fails_its_job_with_the_code(yard: Yard) -> None:
    a = await yard.up("a", commands("a"))
    spec = JobSpec(
        name="long",
        kind="command",
        shards=(ShardSpec(command=("sleep", "60")),),
        limits=Limits(wall_s=0.2),
    )
    submit(a, "long", spec)
    await until(lambda: (v := job_of(a, "long")) is not None and v.row.status is Status.FAILED, 30)
    view = job_of(a, "long")
    assert view is not None and view.row.code == "wall-limit"


async def test_commands_run_only_where_they_are_allowed(yard: Yard) -> None:
    a = await yard.up("a")
    spec = JobSpec(
        name="no", kind="command", shards=(ShardSpec(command=("true",)),), deadline_s=2.0
    )
    submit(a, "no", spec)
    await until(lambda: (v := job_of(a, "no")) is not None and v.row.status is Status.FAILED)
    view = job_of(a, "no")
    assert view is not None and view.row.code == "deadline"
    assert view.shards[0].row.epoch == 0  # never even offered


async def test_nonsense_closes_its_link_with_a_code_and_nothing_else(yard: Yard) -> None:
    a, b, c = [await yard.up(name) for name in "abc"]
    yard.join(a, b)
    yard.join(c, b)
    await until(
        lambda: (
            len(b.node.neighbours.view()) == 2
            and all(n.ready for n in b.node.neighbours.view())
            and a.node.neighbours.link_to(b.identity.node_id) is not None
        )
    )
    link = a.node.neighbours.link_to(b.identity.node_id)
    assert link is not None

    def complains(happening: Happening) -> bool:
        return isinstance(happening, Note) and happening.code == "unknown-message"

    with b.driver.watch(complains) as watcher, trio.fail_after(10):
        a.links.send(link, msgspec.msgpack.encode(["gibberish", 1]))
        note = await watcher.next()
    assert isinstance(note, Note) and note.fields["node"] == a.identity.node_id
    assert b.node.neighbours.link_to(c.identity.node_id) is not None
    # One bad frame costs one link: a dials again.
    await until(lambda: a.node.neighbours.link_to(b.identity.node_id) not in (None, link))


async def test_two_daemons_on_one_home(yard: Yard) -> None:
    await yard.up("a")
    with pytest.raises(MeshError) as refused:
        await Daemon(yard.folder / "a", Config(), yard.shared).run()
    assert refused.value.code == "home-in-use"
    assert "process" in refused.value.message


def test_a_daemon_of_an_unknown_place_names_the_nearest(tmp_path: Path) -> None:
    shared = object()
    config = Config(constellation="iridium", stations=("Lndon",), city="Lndon")
    with pytest.raises(NotFound, match="London"):
        Daemon(tmp_path, config, shared)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="iridium"):
        Daemon(tmp_path, Config(constellation="irridium"), shared)  # type: ignore[arg-type]


def test_a_malformed_epoch_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        from meshd.daemon import Shared

        Shared.for_config(Config(epoch="yesterday"))
    assert refused.value.code == "bad-time"
