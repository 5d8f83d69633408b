"""The command without a daemon: routes from a sky, files and their joining, and what it costs."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meshd.cli import results, talk
from meshd.jobs import cutting
from protocols.errors import InputError, MeshError, NotFound
from tests.cli.conftest import meshd

AT = "2026-01-01T00:00:00Z"
HEAVY = ("trio", "libp2p", "onnxruntime", "starlette", "hypercorn")


def run_inside(*arguments: str) -> tuple[int, str]:
    """Exit code and modules after one command, told by the process itself."""
    script = (
        "import sys\n"
        f"sys.argv = ['meshd', *{list(arguments)!r}]\n"
        "import meshd.cli\n"
        "before = set(sys.modules)\n"
        "try:\n    meshd.cli.main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.stderr.write(f'{code} {heavy}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    code, _, heavy = done.stderr.rpartition("\n")[2].partition(" ")
    return int(code), heavy


@pytest.mark.parametrize(
    "arguments",
    [
        ("version",),
        ("--help",),
        ("route", "London", "Sydney", "--constellation", "iridium", "--at", AT, "--json"),
        ("constellations",),
    ],
)
def test_commands_without_a_daemon_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert run_inside(*arguments) == (0, "[]")


def test_naming_a_sky_needs_no_compiler() -> None:
    script = "import sys, meshd.ephemeris; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_client_commands_load_nothing_heavy(tmp_path: Path) -> None:
    assert run_inside("status", "--home", str(tmp_path)) == (3, "[]")


def test_version() -> None:
    assert meshd("version").out == "meshd 0.1.0\n"
    assert meshd("version", "--json").json == {"version": "0.1.0"}


def test_offline_route_has_the_promised_shape() -> None:
    ran = meshd("route", "London", "Sydney", "--constellation", "starlink-1", "--at", AT, "--json")
    answer = ran.json
    assert (ran.code, ran.err) == (0, "")
    assert (answer["from"], answer["to"]) == ("London", "Sydney")
    assert answer["at"] == "2026-01-01T00:00:00.000Z"
    assert answer["rtt_ms"] == pytest.approx(2 * answer["one_way_ms"])
    assert answer["rtt_ms"] > answer["great_circle_rtt_ms"]
    assert (answer["path"][0], answer["path"][-1]) == ("London", "Sydney")
    assert answer["hops"] == len(answer["path"]) - 1 == len(answer["legs"])
    assert answer["valid_until"] > answer["at"]
    light_ms = sum(leg["light_ms"] for leg in answer["legs"])
    assert light_ms == pytest.approx(answer["one_way_ms"], abs=1e-4)


def test_offline_route_between_satellite_and_city() -> None:
    ran = meshd("route", "iridium-1-1", "sao paulo", "--constellation", "iridium", "--at", AT)
    assert ran.code == 0
    assert "iridium-1-1 > " in ran.out
    assert "light over ground" in ran.out


def test_no_route_gives_the_physical_reason() -> None:
    ends = ("Reykjavik", "London")
    ran = meshd("route", *ends, "--constellation", "kuiper-1", "--at", AT, "--json")
    assert ran.code == 5
    assert ran.json["error"]["code"] == "no-route"
    assert "no satellite is above the minimum elevation at Reykjavik" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("route", "London", "Sidney", "--constellation", "iridium"), 4, "unknown-site"),
        (("route", "London", "Sydney", "--constellation", "iridum"), 4, "unknown-constellation"),
        (("route", "London", "Sydney", "--catalog", "/none.tle"), 2, "unreadable-file"),
        (("route", "A", "B", "--catalog", "x", "--constellation", "y"), 2, "usage"),
        (
            ("route", "London", "Sydney", "--constellation", "iridium", "--at", "noon"),
            2,
            "bad-time",
        ),
        (("links", "--constellation", "iridium"), 2, "usage"),
        (("links", "London", "--constellation", "iridium", "--for", "9d"), 2, "bad-duration"),
        (("ping",), 2, "usage"),
        (("pin", "x"), 2, "usage"),
        (("ping", "x", "--count", "none"), 2, "usage"),
        (("job", "submti"), 2, "usage"),
    ],
)
def test_failures_have_a_code_and_an_exit_code(
    arguments: tuple[str, ...], code: int, word: str
) -> None:
    ran = meshd(*arguments, "--json")
    assert ran.code == code
    assert ran.json["error"]["code"] == word
    assert ran.err.startswith("meshd: ")
    assert ran.err.endswith(f"[{word}]\n")


def test_suggestions_are_made() -> None:
    assert (
        "did you mean Sydney"
        in meshd("route", "London", "Sidney", "--constellation", "iridium").err
    )
    assert "Did you mean 'ping'?" in meshd("pin", "x").err


def test_offline_links_of_a_city() -> None:
    span = ("--from", AT, "--for", "10m")
    answer = meshd("links", "London", "--constellation", "iridium", *span, "--json").json
    assert (answer["node"], answer["from"]) == ("London", "2026-01-01T00:00:00.000Z")
    assert answer["links"]
    for row in answer["links"]:
        assert row["peer"].startswith("iridium-")
        assert row["begin"] < row["finish"]
        assert 780 < row["range_km"] < 3_000


def test_every_command_shows_an_example() -> None:
    from meshd.cli import app, job

    for command in (*app.registered_commands, *job.app.registered_commands):
        assert command.callback is not None
        assert "Example: meshd " in (command.callback.__doc__ or ""), command.name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MeshError("anything", ""), 1),
        (InputError("anything", ""), 2),
        (MeshError("no-daemon", ""), 3),
        (NotFound("anything", ""), 4),
        (MeshError("no-route", ""), 5),
        (MeshError("no-candidates", ""), 5),
        (MeshError("job-failed", ""), 6),
        (MeshError("time-out", ""), 7),
    ],
)
def test_exit_codes(error: MeshError, code: int) -> None:
    assert talk.exit_code(error) == code


# --- job files and results --------------------------------------------------------------------


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_rows_split_and_joined_are_the_same_rows(tmp_path: Path, shards: int) -> None:
    images = np.arange(7 * 4, dtype=np.float32).reshape(7, 4)
    (tmp_path / "x.npy").write_bytes(npy(images))
    parts = cutting.split_rows(tmp_path / "x.npy", shards)
    assert len(parts) == shards
    outputs = [npz(out=np.load(io.BytesIO(part))) for part in parts]
    with np.load(io.BytesIO(results.join(outputs))) as joined:
        assert np.array_equal(joined["out"], images)


def test_named_arrays_are_split_together(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(npz(a=np.arange(5), b=np.arange(10).reshape(5, 2)))
    first, second = cutting.split_rows(tmp_path / "x.npz", 2)
    with np.load(io.BytesIO(first)) as one, np.load(io.BytesIO(second)) as two:
        assert [len(one["a"]), len(one["b"]), len(two["a"]), len(two["b"])] == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("data", "shards", "code"),
    [
        (npy(np.arange(3)), 4, "too-many-shards"),
        (npy(np.float32(3)), 1, "bad-input"),
        (npz(a=np.arange(3), b=np.arange(4)), 2, "bad-input"),
        (b"not arrays", 2, "bad-input"),
    ],
)
def test_inputs_that_cannot_be_split(tmp_path: Path, data: bytes, shards: int, code: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError) as caught:
        cutting.split_rows(tmp_path / "x", shards)
    assert caught.value.code == code


def test_lines_are_never_cut() -> None:
    text = b"a\nbb\nccc\ndddd"
    for shards in (1, 2, 3, 4):
        parts = cutting.split_lines(text, shards)
        assert len(parts) == shards
        assert b"".join(parts) == text
        assert all(part.endswith(b"\n") for part in parts[:-1])


def test_outputs_that_do_not_fit_are_not_joined() -> None:
    for odd in (npz(b=np.arange(2)), npz(a=np.zeros((2, 2)))):
        with pytest.raises(MeshError) as caught:
            results.join([npz(a=np.arange(2)), odd])
        assert caught.value.code == "cannot-join"
    scalars = results.join([npz(loss=np.float64(1)), npz(loss=np.float64(2))])
    with np.load(io.BytesIO(scalars)) as joined:
        assert joined["loss"].tolist() == [1.0, 2.0]


def test_a_file_takes_the_contacts_that_hold_it() -> None:
    route = ("route", "London", "Sydney", "--constellation", "starlink-1", "--at", AT)
    ran = meshd(*route, "--size", "10GB", "--json")
    transfer = ran.json["transfer"]
    assert transfer["size_bytes"] == 10**10
    spent = sum(h["wait_s"] + h["sending_s"] + h["light_ms"] / 1e3 for h in transfer["hops"])
    assert transfer["takes_s"] == pytest.approx(spent, abs=1e-4)
    assert transfer["hops"][0]["sending_s"] == pytest.approx(8.0)  # 10 Gb/s from the ground
    assert "10.0 GB are there at 2026-01-01T00:00:" in meshd(*route, "--size", "10GB").out
    narrow = meshd(*route, "--size", "1TB", "--json")
    assert narrow.code == 0 and "no contact of London" in narrow.json["transfer"]["why"]
    assert "[bad-size]" in meshd(*route, "--size", "10 gb").err
