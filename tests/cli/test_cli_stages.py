"""Jobs of stages and of WebAssembly through real daemons, by command and by program."""

from __future__ import annotations

from pathlib import Path

import pytest
from magika import Magika
from wasmtime import wat2wasm

import meshd as meshd_package
from meshd.client import Job, Mesh, Stage
from meshd.examples.filetypes import files_below
from protocols.errors import InputError, MeshError
from tests.cli.conftest import Homes, meshd

CAT = """
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (loop $more
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $more))))))
"""

SORTED = """
[stages.pass]
kind = "wasm"
model = "cat.wasm"
input = "words.txt"
shards = 3
estimate_s = 0.1
[stages.pass.limits]
fuel = 10_000_000

[stages.sort]
kind = "command"
command = ["sort"]
after = ["pass"]

[stages.merge]
kind = "command"
command = ["sh", "-c", "sort -m in/0 in/1 in/2"]
after = ["sort"]
takes = "all"
"""
SPIN = '(module (func (export "_start") (loop $on (br $on))))'
WORDS = [f"word {number * 7919 % 1000:03}\n" for number in range(300)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cat.wasm").write_bytes(wat2wasm(CAT))
    (tmp_path / "words.txt").write_text("".join(WORDS))
    return tmp_path


def test_stages_sort_a_text_and_only_the_last_is_the_result(mesh: Homes, folder: Path) -> None:
    (folder / "sorted.toml").write_text(SORTED)
    ran = meshd("job", "submit", str(folder / "sorted.toml"), "--json", home=mesh["bob"])
    assert (ran.code, ran.json["status"]) == (0, "completed"), ran
    assert ran.json["counts"]["delivered"] == 7
    job = ran.json["job"]
    assert meshd("job", "result", job, home=mesh["bob"]).out == "".join(sorted(WORDS))
    rows = meshd("job", "show", job, "--json", home=mesh["bob"]).json["shard_list"]
    assert [row["stage"] for row in rows] == ["pass"] * 3 + ["sort"] * 3 + ["merge"]
    assert "sort" in meshd("job", "show", job, home=mesh["bob"]).out


def test_a_program_submits_waits_and_reads(mesh: Homes, folder: Path) -> None:
    bob = Mesh(mesh["bob"])
    twice = Stage(kind="command", command=("sh", "-c", "cat in/0 in/1"), after=("a", "b"))
    cat = Stage(kind="wasm", model="cat.wasm", input="words.txt", split="whole")
    job = Job(name="twice", stages={"both": twice, "a": cat, "b": cat})
    name = bob.submit(job, "twice-1", folder)
    assert bob.wait(name)["status"] == "completed"
    assert bob.result(name) == ["".join(WORDS).encode() * 2]
    assert bob.submit(job, "twice-1", folder) == name
    with pytest.raises(MeshError) as other:
        bob.submit(Job(kind="wasm", model="cat.wasm"), "twice-1", folder)
    assert other.value.code == "job-exists"
    with pytest.raises(InputError) as refused:
        bob.submit(Job(kind="wasm", command=("x",), deadline_s=-1), None, folder)
    assert refused.value.message.count("\n") == 1  # two faults


@pytest.mark.parametrize(
    ("wat", "code"),
    [
        ('(module (func (export "_start") (loop $on (br $on))))', "fuel-limit"),
        ('(module (memory 65536) (func (export "_start")))', "memory-limit"),
        ('(module (import "env" "f" (func)) (func (export "_start")))', "unknown-import"),
    ],
)
def test_a_module_that_may_not_fails_its_job_with_the_code(
    mesh: Homes, tmp_path: Path, wat: str, code: str
) -> None:
    (tmp_path / "m.wasm").write_bytes(wat2wasm(wat))
    (tmp_path / "m.toml").write_text('kind = "wasm"\nmodel = "m.wasm"\nlimits = {fuel = 1000000}\n')
    ran = meshd("job", "submit", str(tmp_path / "m.toml"), "--json", home=mesh["bob"])
    assert (ran.code, ran.json["status"], ran.json["code"]) == (6, "failed", code)


def test_conditions_nobody_can_keep_are_refused(mesh: Homes, folder: Path) -> None:
    text = 'kind = "wasm"\nmodel = "cat.wasm"\n'
    (folder / "s.toml").write_text(text + "[placement]\nsunlit = true\n")
    refused = meshd("job", "submit", str(folder / "s.toml"), home=mesh["bob"])
    assert (refused.code, "[placement-not-supported]" in refused.err) == (2, True)
    (folder / "v.toml").write_text(text + 'verify = "vote:3"\n')
    refused = meshd("job", "submit", str(folder / "v.toml"), home=mesh["bob"])
    assert (refused.code, "[verify-not-supported]" in refused.err) == (2, True)


def test_a_job_file_is_validated_without_a_daemon(folder: Path) -> None:
    (folder / "sorted.toml").write_text(SORTED)
    ran = meshd("job", "validate", str(folder / "sorted.toml"), "--json")
    assert ran.json["stages"] == {"pass": 3, "sort": 3, "merge": 1}
    (folder / "bad.toml").write_text(SORTED + 'shards = 0\nafte = "x"\n')
    bad = meshd("job", "validate", str(folder / "bad.toml"))
    assert (bad.code, bad.err.count("\n")) == (2, 2)
    assert "line 22: unknown key 'stages.merge.afte'; did you mean 'after'?" in bad.err


def test_logs_are_followed_from_afar(mesh: Homes, folder: Path) -> None:
    text = (
        'kind = "command"\nshards = 2\ncommand = ["sh", "-c", "echo {shard} says >&2; sleep 1"]\n'
    )
    (folder / "talk.toml").write_text(text)
    file = str(folder / "talk.toml")
    job = meshd("job", "submit", file, "--detach", "--json", home=mesh["bob"]).json["job"]
    ran = meshd("job", "logs", "-f", job, home=mesh["bob"])
    assert sorted(line.split(" shard ")[1] for line in ran.out.splitlines()) == [
        "0: 0 says", "1: 1 says",
    ]  # fmt: skip
    again = list(Mesh(mesh["bob"]).logs(job))
    assert {line["node_name"] for line in again} <= {"alice", "carol"}
    assert meshd("job", "logs", "nothing", home=mesh["bob"]).code == 4


def test_links_are_answered_while_every_worker_spins(mesh: Homes, tmp_path: Path) -> None:
    """Shards that never end are still at work when all pings have come back: nothing waits."""
    (tmp_path / "spin.wasm").write_bytes(wat2wasm(SPIN))
    text = (
        'kind = "wasm"\nmodel = "spin.wasm"\nshards = 12\nestimate_s = 9\nlimits = {wall_s = 300}\n'
    )
    (tmp_path / "spin.toml").write_text(text)
    bob = mesh["bob"]
    file = str(tmp_path / "spin.toml")
    job = meshd("job", "submit", file, "--detach", "--json", home=bob).json["job"]
    for _ in range(60):
        shown = meshd("job", "show", job, "--json", home=bob).json
        holders = {row["holder_name"] for row in shown["shard_list"] if row["phase"] == "held"}
        if shown["counts"]["held"] == 12:
            break
    assert holders == {"alice", "bob", "carol"}
    for name in ("alice", "carol"):
        ping = meshd("ping", name, "-c", "20", "--json", home=bob)
        assert ping.code == 0 and ping.json["received"] == 20, ping
    after = meshd("job", "show", job, "--json", home=bob).json
    assert (after["counts"]["held"], after["replaced"]) == (12, 0)  # no lease has ended meanwhile
    assert meshd("job", "cancel", job, "--json", home=bob).json["status"] == "cancelled"
    for name in ("alice", "bob", "carol"):  # and the cancellation reaches every shard
        for _ in range(40):
            nodes = meshd("nodes", "--json", home=mesh[name]).json
            row = next(row for row in nodes if row["name"] == name)
            if not row["running"] and not row["queued"]:
                break
        assert (row["running"], row["queued"]) == (0, 0), row


def test_magikas_model_labels_a_folder_on_the_mesh_as_the_package_does(mesh: Homes) -> None:
    folder = Path(meshd_package.__file__).parent / "examples"
    paths = files_below(folder)
    labels = [str(found.output.label) for found in Magika().identify_paths(paths)]
    for split in ("1", "2"):
        ran = meshd("example", "magika", str(folder), "--split", split, "--json", home=mesh["bob"])
        assert ran.code == 0, ran
        assert [row["label"] for row in ran.json] == labels
