"""Blobs through the command: put, fetched whole or not at all, and listed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from protocols.cid import cid_of
from tests.cli.conftest import MESHD, Homes, meshd

NOWHERE = cid_of(b"nobody put this")


@pytest.mark.parametrize("data", [b"", b"orbit", bytes(range(256)) * 12_000])
def test_file_comes_back_by_its_name(daemons: Homes, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in").write_bytes(data)
    put = meshd("blob", "put", str(tmp_path / "in"), home=daemons["dave"])
    assert (put.code, put.out) == (0, cid_of(data) + "\n"), put.err
    again = meshd("blob", "put", str(tmp_path / "in"), "--json", home=daemons["dave"])
    assert again.json == {"cid": cid_of(data), "bytes": len(data)}
    out = tmp_path / "out"
    out.write_text("what was there before")
    got = meshd("blob", "get", cid_of(data), "-o", str(out), "--json", home=daemons["dave"])
    assert got.json == {"cid": cid_of(data), "bytes": len(data), "file": str(out)}
    assert out.read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    rows = meshd("blob", "ls", "--json", home=daemons["dave"]).json
    assert {"cid": cid_of(data), "bytes": len(data), "kept": True} in rows


def test_blob_goes_through_pipes(daemons: Homes) -> None:
    data = os.urandom(700_000)
    home = ("--home", str(daemons["dave"]))
    put = subprocess.run(
        [*MESHD, "blob", "put", "-", *home], input=data, capture_output=True, check=True
    )
    cid = put.stdout.decode().strip()
    assert cid == cid_of(data)
    got = subprocess.run([*MESHD, "blob", "get", cid, *home], capture_output=True, check=True)
    assert got.stdout == data
    assert f"{cid}  700.0 kB  yes" in meshd("blob", "ls", home=daemons["dave"]).out


def test_damaged_blob_is_not_taken_for_the_file(daemons: Homes, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"true")
    cid = meshd("blob", "put", str(tmp_path / "in"), home=daemons["dave"]).out.strip()
    (daemons["dave"] / "blobs" / cid).write_bytes(b"fals")
    out = tmp_path / "out"
    out.write_text("what was there before")
    got = meshd("blob", "get", cid, "-o", str(out), home=daemons["dave"])
    assert (got.code, got.err.endswith("[hash-mismatch]\n")) == (1, True)
    assert out.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("get", NOWHERE, "-o", "{}/x"), 4, "blob-missing"),
        (("get", "Qm" + "x" * 44, "-o", "{}/x"), 2, "bad-cid"),
        (("get", NOWHERE, "--json"), 2, "usage"),
        (("put", "{}/none"), 2, "unreadable-file"),
        (("put", "{}"), 2, "unreadable-file"),
    ],
)
def test_what_cannot_be_done_is_explained(
    daemons: Homes, tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
) -> None:
    given = [argument.format(tmp_path) for argument in arguments]
    ran = meshd("blob", *given, home=daemons["dave"])
    assert (ran.code, ran.err.endswith(f"[{word}]\n")) == (code, True), ran.err
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_written_is_told(daemons: Homes, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"orbit")
    cid = meshd("blob", "put", str(tmp_path / "in"), home=daemons["dave"]).out.strip()
    nowhere = meshd("blob", "get", cid, "-o", f"{tmp_path}/no/x", home=daemons["dave"])
    assert (nowhere.code, nowhere.err.endswith("[unwritable-file]\n")) == (1, True)
    device = meshd("blob", "get", cid, "-o", "/dev/null", home=daemons["dave"])
    assert device.code == 0
    assert Path("/dev/null").is_char_device()
    assert meshd("blob", "ls", home=tmp_path).code == 3


def test_blob_is_fetched_over_two_hops_and_kept(mesh: Homes, tmp_path: Path) -> None:
    data = os.urandom(500_000)
    (tmp_path / "in").write_bytes(data)
    cid = meshd("blob", "put", str(tmp_path / "in"), home=mesh["alice"]).out.strip()
    out = tmp_path / "out"
    words = ("blob", "get", cid, "--from", "alice", "-o", str(out), "--json")
    got = meshd(*words, home=mesh["carol"]).json
    assert (got["bytes"], got["from"], got["resumed_bytes"]) == (len(data), "alice", 0)
    assert out.read_bytes() == data
    kept = meshd("blob", "keep", cid, "--json", home=mesh["carol"]).json
    assert kept == {"cid": cid, "kept": True, "here": True}
    assert meshd("blob", "keep", cid, "--drop", home=mesh["carol"]).code == 0


def test_blob_that_its_source_does_not_have_is_told_by_name(mesh: Homes) -> None:
    missing = meshd("blob", "get", NOWHERE, "--from", "alice", home=mesh["carol"])
    assert (missing.code, missing.err.endswith("[blob-missing]\n")) == (4, True)
    stranger = meshd("blob", "get", NOWHERE, "--from", "nobody", home=mesh["carol"])
    assert stranger.code == 4 and "nobody" in stranger.err
