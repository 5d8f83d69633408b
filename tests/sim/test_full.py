"""The full driver: whole daemons in simulated time, through the same interface as the heap's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, get_args

import httpx
import msgspec
import pytest
import trio

from meshd.adapters.api_socket import find_socket
from protocols.errors import InputError
from protocols.types import MILLISECOND, SECOND
from sim.full import FullMesh, carry
from sim.mesh import Mesh
from sim.play import Player
from sim.scenario.actions import (
    Action,
    Calm,
    Cut,
    Disturb,
    Heal,
    Kill,
    Mend,
    Outage,
    Partition,
    Pause,
    Ping,
    Recover,
    Restart,
    Resume,
    Send,
    Skew,
    Start,
    Submit,
    Swallow,
)
from sim.scenario.drivers import refusal
from sim.scenario.schema import Cable, Link, NodeRules, Scenario, Window
from sim.scenario.setting import setting_of

T = TypeVar("T")


def a_line(**changes: object) -> Scenario:
    """Three nodes in a row, 5 ms apart."""
    fields: dict[str, object] = {
        "name": "line",
        "question": "q",
        "method": "m",
        "expectation": "e",
        "duration": "30s",
        "members": ("a", "b", "c"),
        "cables": (Cable(("a", "b")), Cable(("b", "c"))),
    }
    return Scenario(**{**fields, **changes})  # type: ignore[arg-type]


def with_mesh(scenario: Scenario, body: Callable[[FullMesh], Awaitable[T]], seed: int = 1) -> T:
    async def run(mesh: Mesh) -> T:
        assert isinstance(mesh, FullMesh)
        return await body(mesh)

    return carry(scenario, setting_of(scenario, Path()), seed, run)


async def wait(mesh: FullMesh, seconds: float) -> None:
    await mesh.run_until(mesh.now + round(seconds * SECOND))


def test_packets_and_pings_take_the_light_time_and_no_more() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        sent = await mesh.act(Send(source="a", destination="c"))
        pinged = await mesh.act(Ping(source="c", destination="a"))
        await wait(mesh, 1)
        fates = {fate.packet: fate for fate in (await mesh.outcome()).packets}
        assert fates[sent].path == ("a", "b", "c")
        assert 0 < (fates[sent].excess_ns or 0) < 5_000
        assert 20 * MILLISECOND <= (fates[pinged].latency_ns or 0) < 20 * MILLISECOND + 10_000

    with_mesh(a_line(), body)


def test_the_real_clock_starts_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links come and go; whether time stands meanwhile or leaps is nothing to what runs."""
    scenario = a_line(timeline=(Kill(nodes="b", at="2s"), Restart(nodes="b", at="4s")))

    def tasks(step_s: float) -> list[str]:
        readings = count(0.0, step_s)
        clock = SimpleNamespace(monotonic=lambda: next(readings), time=lambda: 0.0)
        monkeypatch.setattr("libp2p.network.swarm.time", clock)
        spawned: list[str] = []

        class Births(trio.abc.Instrument):
            def task_spawned(self, task: Any) -> None:
                spawned.append(task.name)

        async def body(mesh: FullMesh) -> None:
            trio.lowlevel.add_instrument(Births())
            await Player(scenario, setting_of(scenario, Path()), mesh).finish()

        with_mesh(scenario, body)
        return spawned

    assert tasks(0.0) == tasks(60.0) != []


def test_one_seed_is_one_trace_and_another_seed_another() -> None:
    scenario = a_line(
        timeline=(
            Submit(source="a", sink="c", shards=6, estimate_s=2.1, at="4s"),
            Kill(nodes="b", at="5s"),
            Restart(nodes="b", at="9s"),
        )
    )
    setting = setting_of(scenario, Path())

    async def body(mesh: Mesh) -> str:
        outcome = await Player(scenario, setting, mesh).finish()
        assert outcome.jobs[0].status == "completed"
        return outcome.trace_hash

    hashes = [carry(scenario, setting, seed, body) for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_dead_node_is_gone_a_light_time_later_and_comes_back_on_its_disk() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        a, b = mesh.laboratory.node_of("a"), mesh.laboratory.node_of("b")
        await mesh.act(Kill(nodes="b"))
        await wait(mesh, 0.006)
        neighbours = mesh.fleet.daemons["a"].node.neighbours
        assert neighbours.link_to(b) is None
        assert await mesh.act(Kill(nodes="b")) == ""  # the dead stay dead
        lost = await mesh.act(Send(source="b", destination="a"))
        await wait(mesh, 3)
        await mesh.act(Restart(nodes="b"))
        await wait(mesh, 15)
        assert neighbours.link_to(b) is not None
        assert mesh.fleet.daemons["b"].identity.node_id == b
        assert a in mesh.fleet.daemons["b"].node.router.members
        fates = {fate.packet: fate.lost for fate in (await mesh.outcome()).packets}
        assert fates == {lost: "source-down"}

    with_mesh(a_line(), body)


def test_a_partition_is_noticed_as_silence_and_heals() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        c = mesh.laboratory.node_of("c")
        neighbours = mesh.fleet.daemons["b"].node.neighbours
        await mesh.act(Partition(nodes=("c",)))
        await wait(mesh, 0.9)
        assert neighbours.link_to(c) is not None
        await wait(mesh, 1.2)
        assert neighbours.link_to(c) is None
        await mesh.act(Heal())
        await wait(mesh, 20)
        assert neighbours.link_to(c) is not None

    with_mesh(a_line(duration="60s"), body)


def test_who_is_asleep_starts_when_told() -> None:
    scenario = a_line(
        cables=(),
        contacts=(Window(("a", "b")), Window(("b", "c"))),
        node=NodeRules(asleep=("c",)),
    )

    async def body(mesh: FullMesh) -> None:
        assert set(mesh.fleet.daemons) == {"a", "b"}
        await wait(mesh, 2)
        await mesh.act(Start(nodes=("c",)))
        await wait(mesh, 2)
        packet = await mesh.act(Send(source="a", destination="c"))
        await wait(mesh, 1)
        (fate,) = (await mesh.outcome()).packets
        assert (fate.packet, fate.path) == (packet, ("a", "b", "c"))

    with_mesh(scenario, body)


def test_lossy_links_lose_nothing_but_time() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 5)
        for _ in range(20):
            await mesh.act(Send(source="a", destination="c"))
            await wait(mesh, 0.3)  # each in a segment of its own
        await wait(mesh, 20)
        outcome = await mesh.outcome()
        assert all(fate.path == ("a", "b", "c") for fate in outcome.packets)
        assert max(fate.excess_ns or 0 for fate in outcome.packets) > 100 * MILLISECOND

    with_mesh(a_line(link=Link(loss=0.1), duration="60s"), body)


def test_the_control_api_answers_in_simulated_time() -> None:
    """Over the daemon's own Unix socket: what is on a socket comes before later time."""

    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        socket = find_socket(mesh.fleet.home("a"))
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            began = mesh.now
            status = (await client.get("/v1/status")).json()
            assert mesh.now == began
            ping = (await client.post("/v1/ping", json={"node": "c"})).json()
        assert (status["name"], status["peers"]) == ("a", 1)
        assert 20 <= ping["pings"][0]["measured_rtt_ms"] < 20.01

    with_mesh(a_line(), body)


def test_what_it_cannot_do_it_refuses() -> None:
    async def body(mesh: FullMesh) -> None:
        with pytest.raises(InputError) as refused:
            await mesh.act(Swallow(nodes=("a",)))
        assert refused.value.code == "unsupported-action"

    with_mesh(a_line(), body)


def test_what_it_does_not_refuse_it_can_do() -> None:
    async def body(mesh: FullMesh) -> None:
        able = {kind for kind in get_args(Action) if not refusal(words(kind), "full")}
        assert able == mesh._table.keys()

    def words(kind: type[Action]) -> Any:
        given = {"source": "a", "destination": "c", "between": ("a", "b"), "nodes": ()}
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        rest = {"sink": "c", "shards": 1, "by": "1s", "lie": "forged"}
        return kind(**{name: value for name, value in {**given, **rest}.items() if name in fields})

    with_mesh(a_line(), body)


# --- faults -------------------------------------------------------------------------------------


async def arrival(mesh: FullMesh, seconds: float, **words: Any) -> float | None:
    """Send from a to c, wait; what the packet took, in seconds."""
    sent = await mesh.act(Send(source="a", destination="c", **words))
    await wait(mesh, seconds)
    fates = {fate.packet: fate for fate in (await mesh.outcome()).packets}
    took = fates[sent].latency_ns
    return None if took is None else took / SECOND


def test_nothing_passes_a_cut_until_it_is_mended() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        await mesh.act(Cut(between=("b", "c")))
        assert await arrival(mesh, 10, lifetime="300s") is None
        assert mesh.fleet.daemons["b"].node.neighbours.link_to(mesh._id["c"]) is None
        assert mesh.fleet.daemons["a"].node.neighbours.link_to(mesh._id["b"]) is not None
        await mesh.act(Mend(between=("c", "b")))
        await wait(mesh, 20)
        assert await arrival(mesh, 1) == pytest.approx(0.01, abs=1e-3)

    with_mesh(a_line(duration="60s"), body)


def test_a_paused_daemon_takes_all_that_came_when_it_goes_on() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        await mesh.act(Pause(nodes=("b",)))
        handled = mesh.fleet.daemons["b"].driver.handled
        sent = await mesh.act(Send(source="a", destination="c"))
        await wait(mesh, 0.9)
        assert mesh.fleet.daemons["b"].driver.handled == handled
        await mesh.act(Resume(nodes=("b",)))
        await wait(mesh, 1)
        (fate,) = [fate for fate in (await mesh.outcome()).packets if fate.packet == sent]
        assert 0.9 <= (fate.latency_ns or 0) / SECOND < 0.91

    with_mesh(a_line(), body)


def test_a_skewed_daemon_is_told_another_time_that_never_goes_back() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        clock = mesh.fleet.daemons["b"].driver.ports.clock
        await mesh.act(Skew(nodes=("b",), by="5s"))
        assert clock.now() - mesh.now == 5 * SECOND
        assert await arrival(mesh, 1) == pytest.approx(0.01, abs=1e-3)
        told = clock.now()
        await mesh.act(Skew(nodes=("b",), by="0s"))
        assert clock.now() == told
        await wait(mesh, 5)
        assert clock.now() == mesh.now
        assert await arrival(mesh, 1) == pytest.approx(0.01, abs=1e-3)

    with_mesh(a_line(), body)


def test_what_a_bad_link_loses_comes_late_and_a_good_one_again_does_not() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        await mesh.act(Disturb(nodes=("b",), loss=0.9))
        late = await arrival(mesh, 25, lifetime="300s")
        assert late is None or late > 0.2
        await mesh.act(Calm(nodes=("b",)))
        await wait(mesh, 20)
        assert await arrival(mesh, 1) == pytest.approx(0.01, abs=1e-3)

    with_mesh(a_line(duration="60s"), body)


def test_after_recovery_all_is_as_it_was() -> None:
    async def body(mesh: FullMesh) -> None:
        await wait(mesh, 3)
        for harm in (
            Kill(nodes=("a",)),
            Outage(nodes=("c",)),
            Cut(between=("a", "b")),
            Pause(nodes=("b",)),
            Skew(nodes=("c",), by="-2s"),
        ):
            await mesh.act(harm)
        await wait(mesh, 3)
        await mesh.act(Recover())
        await wait(mesh, 15)
        assert await arrival(mesh, 1) == pytest.approx(0.01, abs=1e-3)

    with_mesh(a_line(duration="60s"), body)


def test_homes_go_when_the_run_is_over() -> None:
    async def body(mesh: FullMesh) -> Path:
        assert (mesh.fleet.home("a") / "store.db").exists()
        return mesh.fleet.folder

    assert not with_mesh(a_line(), body).exists()
