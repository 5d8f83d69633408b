"""`meshd up --record`, real daemons and all: what they did, a replay does again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from meshd.adapters.identity import Verifier, load_or_create
from meshd.recording import read
from meshd.recording.stream import framed
from sim.replay import replay
from tests.cli.conftest import WITHIN_S, Ran, meshd

ECHO = 'kind = "command"\ncommand = ["echo", "hello"]\nshards = 3\n'


def meshsim(*arguments: str) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_recorded_daemons_replay_the_same_stopped_or_killed(tmp_path: Path) -> None:
    """Ann stands under a sky, bob does not. Both are linked, asked and worked; bob is killed."""
    ann, bob = tmp_path / "ann", tmp_path / "bob"
    sky = ("--constellation", "iridium", "--stations", "London", "--city", "London")
    facts = {}
    for home, flags in ((ann, sky), (bob, ("--allow-command", "--slots", "2"))):
        record = ("--record", str(home.with_suffix(".rec")))
        ran = meshd("up", "-d", "--json", "--name", home.name, *record, *flags, home=home)
        assert ran.code == 0, ran.err
        facts[home] = ran.json
    assert meshd("connect", facts[bob]["addresses"][0], home=ann).code == 0
    assert meshd("ping", "bob", "-c", "5", "-i", "0.1", home=ann).code == 0
    (tmp_path / "echo.toml").write_text(ECHO)
    job = meshd("job", "submit", str(tmp_path / "echo.toml"), home=bob)
    assert job.code == 0, job.err
    for question in ("nodes", "peers", "status", "links"):
        assert meshd(question, home=ann).code == 0
    assert meshd("ping", "ann", "-c", "5", "-i", "0.1", home=bob).code == 0
    recording = meshd("status", "--json", home=ann).json["recording"]
    assert (recording["state"], recording["events"] > 20) == ("recording", True)
    assert "ann.rec: " in meshd("status", home=ann).out
    assert meshd("status", "--json", home=bob).json["recording"]["events"] > 20
    os.kill(facts[bob]["pid"], signal.SIGKILL)
    assert meshd("down", home=ann).code == 0

    ran = meshsim("replay", "--json", *(str(tmp_path / f"{name}.rec") for name in ("ann", "bob")))
    assert ran.code == 0, ran.out
    stopped, killed = map(json.loads, ran.out.splitlines())
    assert (stopped["name"], stopped["same"], stopped["ended"]) == ("ann", True, "stopped")
    assert (killed["name"], killed["same"], killed["ended"]) == ("bob", True, "cut")
    assert min(stopped["events"], killed["events"]) > 20
    assert min(stopped["signatures"], killed["signatures"]) >= 2


def test_the_key_is_not_in_the_recording(tmp_path: Path) -> None:
    home, path = tmp_path / "home", tmp_path / "a.rec"
    assert meshd("up", "-d", "--record", str(path), home=home).code == 0
    assert meshd("down", home=home).code == 0
    seed = load_or_create(home / "identity.key").seed()
    plain = b"".join(map(framed, read(path.read_bytes())))
    assert seed not in plain
    assert seed.hex().encode() not in plain
    assert replay(path.read_bytes(), Verifier().verify).signatures > 0
