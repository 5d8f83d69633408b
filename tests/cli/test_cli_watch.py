"""Watching a daemon: events, metrics, the doctor, and what systemd is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshd.adapters.api_socket import find_socket
from meshd.client import Mesh
from protocols.errors import MeshError
from tests.cli.conftest import MESHD, WITHIN_S, Homes, meshd
from tests.cli.test_cli_daemons import assert_refused


def asking(home: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(find_socket(home)))
    return httpx.Client(transport=transport, base_url="http://meshd", timeout=20)


# --- events ---------------------------------------------------------------------------------------


def test_events_tell_what_has_happened(mesh: Homes) -> None:
    Mesh(mesh["alice"]).send("bob", b"x", port="events")
    rows = [
        json.loads(line) for line in meshd("events", "--json", home=mesh["bob"]).out.splitlines()
    ]
    kinds = {row["event"] for row in rows}
    assert {"link-up", "letter-arrived"} <= kinds
    assert all(row["at"].endswith("Z") for row in rows)
    up = next(row for row in rows if row["event"] == "link-up")
    assert up["node"] in ("alice", "carol", mesh.id("alice"), mesh.id("carol"))
    told = meshd("events", "--only", "link-up", home=mesh["bob"]).out.splitlines()
    assert told and all("  link-up " in line for line in told)


def test_followed_events_come_as_they_happen(mesh: Homes) -> None:
    command = [*MESHD, "events", "-f", "--json", "--only", "letter-kept"]
    with subprocess.Popen(
        [*command, "--home", str(mesh["alice"])], stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        try:
            name = Mesh(mesh["alice"]).send("bob", b"y", port="events")
            for line in following.stdout:
                if json.loads(line)["letter"] == name:
                    break
        finally:
            following.send_signal(signal.SIGINT)
    assert following.returncode == 130


def test_a_browser_gets_server_sent_events(mesh: Homes) -> None:
    with asking(mesh["bob"]) as client:
        answer = client.get("/v1/events", headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-1] == "" and all(e.startswith("data: {") for e in events[:-1])
    with asking(mesh["bob"]) as client:
        assert client.get("/v1/events?follow=maybe").status_code == 400


# --- metrics --------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, str], float]:
    """Every sample, by its name and the values of its labels, these by their names."""
    return {
        (sample.name, ",".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_those_of_the_daemon(mesh: Homes) -> None:
    Mesh(mesh["alice"]).send("bob", b"z", port="metrics")
    with asking(mesh["bob"]) as client:
        answer = client.get("/metrics")
        status = client.get("/v1/status").json()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    assert found["meshd_info", f"{status['id']},bob,"] == 1
    assert found["meshd_links_ready", ""] == status["peers"] == 2
    assert found["meshd_letters_unread", "metrics"] == 1
    assert found["meshd_told_total", "letter-arrived"] >= 1
    assert found["meshd_link_frames_total", "in,alice"] > 0
    assert found["meshd_events_handled_total", ""] <= status["events_handled"]
    assert found["process_resident_memory_bytes", ""] > 10e6


@contextmanager
def running(home: Path, *flags: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon in the foreground, which is told to stop at the end."""
    process = subprocess.Popen(
        [*MESHD, "up", "--home", str(home), *flags],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # a second time would kill it
        process.communicate(timeout=WITHIN_S)


def test_prometheus_reads_them_over_tcp_and_nothing_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = meshd("up", "-d", "--metrics", f"127.0.0.1:{port}", home=tmp_path)
    assert ran.code == 0, ran
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert ("meshd_members", "") in samples(answer.read().decode())
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/status", timeout=10)
        assert caught.value.code == 404
    finally:
        meshd("down", home=tmp_path)


def test_metrics_where_nobody_can_listen(tmp_path: Path) -> None:
    assert_refused(meshd("up", "--metrics", "9469", home=tmp_path), 2, "bad-config")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_refused(meshd("up", "--metrics", address, home=tmp_path), 1, "cannot-listen")


# --- the doctor -----------------------------------------------------------------------------------


def test_the_doctor_of_a_sound_daemon(mesh: Homes) -> None:
    ran = meshd("doctor", "--json", home=mesh["bob"])
    assert ran.code == 0
    assert {row["state"] for row in ran.json} <= {"ok", "warning"}
    assert {"home", "key", "store", "disk", "daemon", "links"} <= {row["what"] for row in ran.json}


def test_the_doctor_finds_what_is_broken_and_says_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert meshd("up", "-d", home=home).code == 0
    assert meshd("down", home=home).code == 0
    home.chmod(0o755)
    (home / "identity.key").chmod(0o644)
    (home / "store.db").write_bytes(b"no database at all" * 1_000)
    (home / "config.toml").write_text("slotss = 3\n")
    ran = meshd("doctor", home=home)
    assert ran.code == 1
    failed = [line for line in ran.out.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1].rstrip(":") for line in failed] == [
        "home", "key", "configuration", "store",
    ]  # fmt: skip
    assert "chmod 700" in failed[0] and "did you mean 'slots'" in failed[2]
    assert "no daemon is running" in ran.out


# --- systemd --------------------------------------------------------------------------------------


def test_systemd_is_told_when_a_daemon_is_ready_and_when_it_stops(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watcher:
        watcher.bind(str(path))
        watcher.settimeout(WITHIN_S)
        with running(tmp_path / "home", NOTIFY_SOCKET=str(path)) as daemon:
            assert watcher.recv(100) == b"READY=1"
            assert Mesh(tmp_path / "home").status()["pid"] == daemon.pid
            daemon.send_signal(signal.SIGTERM)
            assert watcher.recv(100) == b"STOPPING=1"
            daemon.communicate(timeout=WITHIN_S)
    assert daemon.returncode == 0
    with pytest.raises(MeshError, match="no daemon is running"):
        Mesh(tmp_path / "home").status()


def test_the_unit_starts_this_program_for_this_home(tmp_path: Path) -> None:
    told = meshd("unit", home=tmp_path).out
    assert f"-m meshd.cli up --home {tmp_path}\n" in told
    assert "Type=notify\n" in told and f"ReadWritePaths={tmp_path}\n" in told
    assert "WantedBy=multi-user.target" in meshd("unit", "--system", home=tmp_path).out
