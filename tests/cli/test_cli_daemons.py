"""The command against real daemons: what it shows, and how it fails."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import MESHD, Homes, Ran, meshd

STRANGER = "12D3KooWAsYgiwNUWonytyTWzQ7DCJKrM3AqqYmVQzjABv6TTUrN"


def assert_refused(ran: Ran, code: int, word: str) -> None:
    """One line that says what is wrong, the code at its end; nothing on stdout."""
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.startswith("meshd: ")
    assert ran.err.endswith(f" [{word}]\n")
    assert ran.err.count("\n") == 1


# --- one daemon -------------------------------------------------------------------------------


def test_detached_daemon_is_introduced(daemons: Homes) -> None:
    facts = daemons.facts["dave"]
    assert facts["name"] == "dave"
    assert facts["addresses"][0].endswith("/p2p/" + facts["id"])
    assert stat.S_IMODE(daemons["dave"].stat().st_mode) == 0o700
    assert stat.S_IMODE((daemons["dave"] / "daemon.log").stat().st_mode) == 0o600
    assert (
        "connect with: meshd connect /ip4/127.0.0.1/tcp/"
        in (daemons["dave"] / "daemon.log").read_text()
    )


def test_id_prints_what_connect_wants(daemons: Homes) -> None:
    ran = meshd("id", home=daemons["dave"])
    assert ran.out.splitlines() == [daemons.id("dave"), daemons.address("dave")]


def test_second_daemon_of_a_home_is_refused_naming_the_first(daemons: Homes) -> None:
    pid = daemons.facts["dave"]["pid"]
    ran = meshd("up", home=daemons["dave"])
    assert_refused(ran, 1, "home-in-use")
    assert f"process {pid}" in ran.err
    detached = meshd("up", "--detach", "--json", home=daemons["dave"])
    assert detached.code == 1
    assert detached.json["error"]["code"] == "home-in-use"
    assert f"process {pid}" in detached.err


def test_status_of_a_lone_daemon(daemons: Homes) -> None:
    answer = meshd("status", "--json", home=daemons["dave"]).json
    assert answer["peers"] == 0
    assert answer["plan"] is None
    assert answer["store"] == "ok"
    assert answer["mission_time"].endswith("Z")
    shown = meshd("status", home=daemons["dave"])
    assert "dave" in shown.out
    assert "none: no constellation or catalog was named" in shown.out


def test_foreground_daemon_says_its_address_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*MESHD, "up", "--home", str(tmp_path / "home")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = [process.stderr.readline() for _ in range(4)]
    assert said[3].startswith("connect with: meshd connect /ip4/127.0.0.1/tcp/")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert "stopping" in err
    assert not (tmp_path / "home" / "api.sock").exists()
    assert_refused(meshd("down", home=tmp_path / "home"), 3, "no-daemon")


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (("--satellite", "iridium-1-1"), 2, "bad-config"),
        (("--accept-jobs", "maybe"), 2, "bad-config"),
        (("--speed", "0"), 2, "bad-config"),
        (("--constellation", "iridum"), 4, "unknown-constellation"),
        (("--constellation", "iridium", "--satellite", "iridium-9-9"), 4, "unknown-site"),
        (("--listen", "/ip4/192.0.2.1/tcp/0"), 1, "cannot-listen"),
        (("--epoch", "yesterday"), 2, "bad-time"),
    ],
)
def test_daemon_that_cannot_start_says_why(
    tmp_path: Path, flags: tuple[str, ...], code: int, word: str
) -> None:
    ran = meshd("up", *flags, home=tmp_path / "home")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.splitlines()[-1].endswith(f"[{word}]")
    assert "Traceback" not in ran.err


def test_without_a_daemon_every_command_says_how_to_start_one(tmp_path: Path) -> None:
    ran = meshd("status", home=tmp_path)
    assert_refused(ran, 3, "no-daemon")
    assert f"meshd up --detach --home {tmp_path}" in ran.err
    asked = meshd("ping", "bob", "--json", home=tmp_path)
    assert asked.code == 3
    assert asked.json["error"]["code"] == "no-daemon"


def test_interrupted_client_exits_130(daemons: Homes, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*MESHD, "ping", "dave", "-i", "30", "--home", str(daemons["dave"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "0 hops: dave" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130


# --- the mesh ---------------------------------------------------------------------------------


def test_peers_are_those_one_link_away(mesh: Homes) -> None:
    rows = meshd("peers", "--json", home=mesh["bob"]).json
    assert [row["name"] for row in rows] == ["alice", "carol"]
    assert all(row["kind"] == "standing" and row["ready"] for row in rows)
    assert all(row["direction"] == "in" and row["sent_bytes"] > 0 for row in rows)
    shown = meshd("peers", home=mesh["bob"]).out.splitlines()
    assert shown[0].split()[:4] == ["NAME", "STATE", "LINK", "WAY"]
    assert shown[1].split()[:4] == ["alice", "alive", "standing", "in"]


def test_nodes_are_the_whole_mesh_with_load(mesh: Homes) -> None:
    rows = {row["name"]: row for row in meshd("nodes", "--json", home=mesh["alice"]).json}
    assert set(rows) == {"alice", "bob", "carol"}
    assert rows["alice"]["me"]
    assert rows["alice"]["slots"] == 2
    assert rows["carol"]["delay_ms"] > rows["bob"]["delay_ms"] > 0
    assert rows["carol"]["kinds"] == ["onnx", "wasm", "command"]


def test_the_table_has_the_next_hop_to_every_node(mesh: Homes) -> None:
    answer = meshd("table", "--json", home=mesh["alice"]).json
    rows = {row["to"]: row for row in answer["entries"]}
    assert (answer["name"], set(rows), answer["unreachable"]) == ("alice", {"bob", "carol"}, [])
    assert (rows["carol"]["next"], rows["carol"]["hops"], rows["carol"]["hold_ms"]) == ("bob", 2, 0)
    assert rows["carol"]["one_way_ms"] > rows["bob"]["one_way_ms"] > 0
    assert rows["carol"]["hold_until"] == answer["at"] < rows["carol"]["arrive"]
    shown = meshd("table", home=mesh["bob"]).out.splitlines()
    assert shown[0].split() == ["TO", "NEXT", "HOLD", "ONE", "WAY", "HOPS"]
    assert [line.split()[:3] for line in shown[1:]] == [
        ["alice", "alice", "-"],
        ["carol", "carol", "-"],
    ]


def test_ping_measures_beside_the_prediction(mesh: Homes) -> None:
    ran = meshd("ping", "CAROL", "--count", "2", "--interval", "0.05", "--json", home=mesh["alice"])
    answer = ran.json
    assert (answer["sent"], answer["received"]) == (2, 2)
    for row in answer["pings"]:
        assert row["path"] == ["alice", "bob", "carol"]
        assert row["hops"] == 2
        assert row["predicted_rtt_ms"] > 0
        assert row["measured_rtt_ms"] > 0
    shown = meshd("ping", mesh.id("carol")[-8:], "--count", "1", home=mesh["alice"])
    assert "2 hops: alice > bob > carol" in shown.out


def test_trace_shows_the_way_the_answer_came(mesh: Homes) -> None:
    answer = meshd("trace", "carol", "--json", home=mesh["alice"]).json
    assert answer["direction"] == "back"
    assert [hop["name"] for hop in answer["hops"]] == ["carol", "bob", "alice"]
    measured = [hop["measured_ms"] for hop in answer["hops"]]
    assert measured == sorted(measured)
    assert measured[0] == 0 < measured[-1] < answer["measured_rtt_ms"]


def test_route_between_members(mesh: Homes) -> None:
    answer = meshd("route", "carol", "alice", "--json", home=mesh["bob"]).json
    assert answer["path"] == ["carol", "bob", "alice"]
    assert (answer["from"], answer["to"], answer["hops"]) == ("carol", "alice", 2)
    assert 0 < answer["one_way_ms"] < answer["rtt_ms"]
    assert {"at", "valid_until"} <= set(answer)


@pytest.mark.parametrize("command", ["ping", "trace", "disconnect"])
def test_unknown_names_are_answered_with_the_nearest(mesh: Homes, command: str) -> None:
    ran = meshd(command, "carl", home=mesh["alice"])
    assert_refused(ran, 4, "unknown-node")
    assert "did you mean carol?" in ran.err


def test_no_route_to_a_node_that_was_never_linked(mesh: Homes) -> None:
    assert_refused(meshd("route", "alice", "dave", home=mesh["alice"]), 4, "unknown-node")
    assert_refused(meshd("links", home=mesh["alice"]), 4, "no-site")


@pytest.mark.parametrize(
    ("address", "code", "word"),
    [
        ("nonsense", 2, "bad-address"),
        ("/ip4/127.0.0.1/udp/4001/p2p/" + STRANGER, 2, "bad-address"),
        ("/ip4/127.0.0.1/tcp/4001", 2, "address-without-id"),
        ("/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER, 1, "dial-refused"),
    ],
)
def test_bad_addresses_are_explained(daemons: Homes, address: str, code: int, word: str) -> None:
    assert_refused(meshd("connect", address, home=daemons["dave"]), code, word)


def test_another_node_at_an_address_is_refused_and_not_kept(daemons: Homes) -> None:
    address = daemons.address("bob").replace(daemons.id("bob"), STRANGER)
    assert_refused(meshd("connect", address, home=daemons["dave"]), 1, "id-mismatch")
    assert meshd("peers", "--json", home=daemons["dave"]).json == []
    own = meshd("connect", daemons.address("dave"), home=daemons["dave"])
    assert_refused(own, 2, "own-address")


def test_connect_then_disconnect(mesh: Homes, tmp_path: Path) -> None:
    home = tmp_path / "erin"
    assert meshd("up", "-d", "--name", "erin", home=home).code == 0
    try:
        linked = meshd("connect", mesh.address("alice"), "--json", home=home).json
        assert linked["name"] == "alice"
        assert linked["delay_ms"] > 0
        gone = meshd("disconnect", "alice", "--json", home=home).json
        assert (gone["was_linked"], gone["linked"]) == (True, False)
        assert meshd("peers", home=home).out == ""
    finally:
        ran = meshd("down", "--json", home=home)
    assert ran.json["stopped"] is True
    assert_refused(meshd("id", home=home), 3, "no-daemon")
    assert not (home / "api.sock").exists()


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "id",
        "peers",
        "nodes",
        "table",
        "job ls",
        "route alice bob",
        "ping bob -c 1",
        "trace bob",
    ],
)
def test_json_is_data_alone(mesh: Homes, command: str) -> None:
    ran = meshd(*command.split(), "--json", home=mesh["alice"])
    assert ran.code == 0, ran.err
    assert isinstance(json.loads(ran.out), dict | list)
    assert ran.out.count("\n") == 1
    assert ran.err == ""


def assert_answers_alike(home: Path, sky: tuple[str, ...]) -> None:
    """What a daemon tells of more than one way is what is told without it."""
    ends = ("route", "London", "Sydney", "--at", "2026-01-01T01:00:00Z")
    for wish in (
        ("--timeline", "20m"),
        ("--timeline", "3m", "--step", "1s", "--by", "stable", "--stay", "5"),
        ("--k", "2", "--disjoint", "links", "--explain"),
        ("--by", "energy"),
    ):
        ran = meshd(*ends, *wish, "--json", home=home)
        assert ran.code == 0, ran.err
        asked, alone = ran.json, meshd(*ends, *wish, *sky, "--json").json
        for answer in (asked, alone):  # a daemon's plan began before: it sees contacts begin
            answer.get("explain", {}).pop("contacts", None)
            answer.get("explain", {}).pop("ends", None)
        assert asked == {key: alone[key] for key in asked}, wish
    assert "ends first" in meshd(*ends, "--explain", home=home).out
    refused = meshd(*ends, "--timeline", "7h", home=home)
    assert_refused(refused, 2, "bad-duration")


def test_standing_links_are_known_for_now_alone(mesh: Homes) -> None:
    refused = meshd("route", "carol", "alice", "--timeline", "1h", home=mesh["bob"])
    assert_refused(refused, 4, "no-plan")
    assert "no sky to predict from" in refused.err


def test_under_a_sky_names_of_satellites_answer(tmp_path: Path) -> None:
    home = tmp_path / "sky"
    sky = ("--constellation", "iridium", "--stations", "London,Sydney", "--city", "London")
    up = meshd("up", "-d", *sky, "--epoch", "2026-01-01T00:58:00Z", "--slots", "0", home=home)
    assert up.code == 0, up.err
    try:
        status = meshd("status", "--json", home=home).json
        assert (status["site"], status["plan"]["sites"]) == ("London", 68)
        links = meshd("links", "--json", home=home).json
        assert links["node"] == "London"
        assert {row["peer"].split("-")[0] for row in links["links"]} == {"iridium"}
        assert all(row["up"] is False for row in links["links"])
        route = meshd("route", "London", "Sydney", "--json", home=home).json
        assert route["basis"] == "plan"
        assert (route["path"][0], route["path"][-1]) == ("London", "Sydney")
        later = meshd("route", "London", "Sydney", "--at", "+3h", "--json", home=home).json
        assert later["at"].startswith("2026-01-01T03:58")
        assert_answers_alike(home, sky[:2])
        assert_refused(meshd("elements", home=home), 2, "bad-elements")  # a shell has none
        assert_refused(meshd("elements", "new.tle", home=home), 2, "usage")
        absent = meshd("ping", "iridium-1-1", home=home)
        assert_refused(absent, 4, "unknown-node")
        assert "no node there has been heard of" in absent.err
        assert_refused(meshd("links", "--for", "2 hours", home=home), 2, "bad-duration")
    finally:
        assert meshd("down", home=home).code == 0
