"""The real driver: daemons in processes on loopback, one controller, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import trio

from protocols.errors import InputError, MeshError
from protocols.types import MILLISECOND, SECOND
from sim import real
from sim.experiment import DriverName, open_document, run_experiment
from sim.orders import Look
from sim.outcome import Outcome
from sim.parity import compare
from sim.play import Player
from sim.real import RealMesh
from sim.scenario.actions import (
    Action,
    Cut,
    Heal,
    Kill,
    Outage,
    Partition,
    Pause,
    Recover,
    Restart,
    Restore,
    Send,
    Skew,
    Tell,
)
from sim.scenario.schema import Cable, Link, Scenario, Window
from sim.scenario.setting import setting_of

WITHIN_S = 60.0
"""Far beyond what anything here takes, on a computer that has other things to do."""


@pytest.fixture(autouse=True)
def homes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where runs have their folders; a test finds it as empty as it left it."""
    short = Path(tempfile.mkdtemp(prefix="mr-"))  # a socket's path holds 107 characters
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    monkeypatch.setenv("TMPDIR", str(short))
    yield short
    rmtree(short)


def scenario(duration: str, *timeline: Action, **changes: Any) -> Scenario:
    """Three nodes in a row: a planned contact, then a cable."""
    given: dict[str, Any] = {
        "members": ("a", "b", "c"),
        "contacts": (Window(("a", "b")),),
        "cables": (Cable(("b", "c"), "20ms"),),
        "contact_light": "20ms",
    }
    words = dict.fromkeys(("name", "question", "method", "expectation"), "row")
    return Scenario(duration=duration, timeline=timeline, **{**given, **changes}, **words)


def carried(
    asked: Scenario, do: Callable[[RealMesh, Player], Awaitable[Any]], **how: Any
) -> Outcome:
    """The outcome of a scenario, after something was done beside its timeline."""
    setting = setting_of(asked, Path())

    async def body(mesh: Any) -> Outcome:
        player = Player(asked, setting, mesh)
        await do(mesh, player)
        return await player.finish()

    return real.carry(asked, setting, 1, body, **how)


async def nothing(mesh: RealMesh, player: Player) -> None:
    """The timeline is all."""


def codes(outcome: Outcome) -> list[str]:
    return ["" if packet.arrived_at else packet.lost or "held" for packet in outcome.packets]


def test_three_drivers_decide_alike(homes: Path) -> None:
    document = open_document("three-drivers")
    drivers: tuple[DriverName, ...] = ("heap", "full", "real")
    outcomes = {driver: run_experiment(document, driver, 1) for driver in drivers}
    for driver in drivers[1:]:
        found = compare(outcomes["heap"], outcomes[driver])
        assert found.differences == []
        assert found.decisions == 90
        assert found.hop_apart_ns < (50 * MILLISECOND if driver == "real" else 1_000_000)
    early = min(compare(outcomes["heap"], outcomes["real"]).packets_ns)
    assert early > -20 * MILLISECOND  # nothing is faster than light
    assert list(homes.iterdir()) == []


def test_partition_outage_and_restart_at_five_times_the_speed(homes: Path) -> None:
    def sends(at: int) -> tuple[Action, ...]:
        return tuple(
            Send(source="a", destination=to, at=f"{at}s", lifetime="3s") for to in ("b", "c")
        )

    asked = scenario(
        "120s",
        *sends(8),
        Partition(nodes="a", at="10s"),
        *sends(18),  # its link has fallen silent at 15 s
        Heal(at="24s"),  # after what was held has expired, at 21 s
        *sends(50),
        Outage(nodes="c", at="52s"),
        *sends(60),
        Restore(nodes="c", at="66s"),
        *sends(90),
        Kill(nodes="b", at="92s"),
        Restart(nodes="b", at="93s"),
        *sends(118),
    )
    outcome = carried(asked, nothing, processes=2, speed=5.0)
    arrived = [code == "" for code in codes(outcome)]
    assert arrived == [True, True, False, False, True, True, True, False, True, True, True, True]
    assert all(code for code, there in zip(codes(outcome), arrived, strict=True) if not there)
    assert outcome.finish - outcome.start >= 120 * SECOND
    links = {s.at: s.value for s in outcome.samples if s.metric == "links_up"}
    up = [links[at] for at in sorted(links)]
    assert up[12:14] == [1, 1]  # nobody is told of a cut
    assert up[17:19] == [0, 0]
    assert up[50] == 1
    assert list(homes.iterdir()) == []


def test_a_yard_that_dies_is_named_and_nothing_is_left(homes: Path) -> None:
    found: list[int] = []

    async def strike(mesh: RealMesh, player: Player) -> None:
        await player.run_until(mesh.start + SECOND)
        found.extend(host.process.pid for host in mesh.hosts)  # type: ignore[attr-defined]
        os.kill(found[1], signal.SIGKILL)
        await mesh.hosts[1].do(Look())
        raise AssertionError("a dead yard has answered")

    with pytest.raises(MeshError, match=r"yard 2 of 2 ended with code -9") as caught:
        carried(scenario("600s"), strike)
    assert caught.value.code == "yard-died"
    assert not any(map(_lives, found))
    assert list(homes.iterdir()) == []


def test_what_a_daemon_refuses_reaches_whoever_asked() -> None:
    async def lie(mesh: RealMesh, player: Player) -> None:
        await mesh.act(Tell(nodes="a", lie="forged"))

    with pytest.raises(InputError, match="real driver cannot 'tell': its daemons are honest"):
        carried(scenario("1s"), lie, processes=1)


def test_a_cut_a_pause_and_a_skew_reach_the_daemons_of_other_processes() -> None:
    async def harm(mesh: RealMesh, player: Player) -> None:
        await player.run_until(mesh.start + 3 * SECOND)
        for action in (Cut(between=("b", "c")), Pause(nodes=("a",)), Skew(nodes=("c",), by="3s")):
            await mesh.act(action)
        await player.run_until(mesh.start + 12 * SECOND)
        seen = {one.name: one.linked for host in mesh.hosts for one in await host.do(Look())}
        assert seen["b"] == {"a"}  # a stands still and its links with it; c is cut off
        await mesh.act(Recover())

    sends = Send(source="a", destination="c", at="40s")
    outcome = carried(scenario("60s", sends), harm, speed=4.0)
    assert [packet.path for packet in outcome.packets if packet.arrived_at] == [("a", "b", "c")]


def test_an_error_in_an_experiment_ends_its_yards(homes: Path) -> None:
    async def stumble(mesh: RealMesh, player: Player) -> None:
        raise InputError("stumbled", "here")

    with pytest.raises(InputError, match="here"):
        carried(scenario("600s"), stumble)
    assert list(homes.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "how", "code"),
    [
        ({}, {"processes": 0}, "bad-processes"),
        ({}, {"speed": 11.0}, "bad-speed"),
        ({}, {"speed": 0.0}, "bad-speed"),
        ({"link": {"loss": 0.1}}, {}, "bad-scenario"),
    ],
)
def test_what_it_cannot_do_is_refused(
    changes: dict[str, Any], how: dict[str, Any], code: str
) -> None:
    words = {name: Link(**value) for name, value in changes.items()}
    with pytest.raises(InputError) as caught:
        carried(scenario("1s", **words), nothing, **how)
    assert caught.value.code == code


def test_who_falls_behind_is_told_by_how_much_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(real, "BEHIND_MAX_NS", 0)
    with pytest.raises(MeshError, match=r"s late: 3 daemons in 2 processes .* --speed 0\.5"):
        carried(scenario("60s"), nothing, speed=2.0)


# --- from outside ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_and_no_home(homes: Path, number: signal.Signals) -> None:
    run = [sys.executable, "-m", "sim.cli", "run", "three-drivers", "--driver", "real", "--no-out"]
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as controller:
        trio.run(_until, lambda: len(list(homes.glob("*/yard-*/*/store.db"))) == 9)
        yards = _children(controller.pid)
        assert len(yards) == 2
        controller.send_signal(number)
        _, said = controller.communicate(timeout=WITHIN_S)
    assert controller.returncode == (130 if number is signal.SIGINT else -number)
    assert "Traceback" not in said
    trio.run(_until, lambda: not any(map(_lives, yards)) and not list(homes.iterdir()))


def _children(parent: int) -> list[int]:
    """Of all its threads: trio starts processes in one of its own."""
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(word) for path in lists for word in path.read_text(encoding="ascii").split()]


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


async def _until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - other processes set no event
            await trio.sleep(0.05)
