"""Jobs through the command: submitted, run on other nodes, and their results brought home."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meshd.examples import DIGITS
from tests.cli.conftest import Homes, meshd

ECHO = """
name = "echo"
kind = "command"
command = ["echo", "shard {shard} of {shards}"]
shards = 3
"""

UPPER = """
name = "upper"
kind = "command"
command = ["tr", "a-z", "A-Z"]
input = "words.txt"
shards = 2
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_command_job_runs_where_it_is_allowed(mesh: Homes, tmp_path: Path) -> None:
    file = write(tmp_path / "echo.toml", ECHO)
    ran = meshd("job", "submit", file, "--json", home=mesh["bob"])
    job = ran.json
    assert ran.code == 0, ran
    assert (job["event"], job["status"], job["counts"]["delivered"]) == ("ended", "completed", 3)
    result = meshd("job", "result", job["job"][:6], home=mesh["bob"])
    assert result.out == "shard 0 of 3\nshard 1 of 3\nshard 2 of 3\n"
    shown = meshd("job", "show", job["job"], "--json", home=mesh["bob"]).json
    assert {row["holder_name"] for row in shown["shard_list"]} <= {"alice", "carol"}
    listed = meshd("job", "ls", home=mesh["bob"]).out
    assert f"{job['job']}  echo  command  completed  3/3" in listed
    over = meshd("job", "cancel", job["job"], home=mesh["bob"])
    assert (over.code, over.err.endswith("[not-running]\n")) == (1, True)
    watched = meshd("job", "watch", job["job"], home=mesh["bob"])
    assert "3 shards in" in watched.out


def test_lines_of_a_text_are_split_and_joined(mesh: Homes, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("moon\nlight\nmesh\n")
    file = write(tmp_path / "upper.toml", UPPER)
    assert meshd("job", "submit", file, "--id", "upper-1", home=mesh["bob"]).code == 0
    again = meshd("job", "submit", file, "--id", "upper-1", "--detach", home=mesh["bob"])
    assert (again.code, again.out) == (0, "upper-1\n")
    assert "accepted before" in again.err
    other = meshd("job", "submit", file, "--id", "upper-1", "--shards", "1", home=mesh["bob"])
    assert (other.code, "[job-exists]" in other.err) == (1, True)
    joined = meshd("job", "result", "upper", "-o", str(tmp_path / "out"), home=mesh["bob"])
    assert joined.code == 0
    assert (tmp_path / "out").read_text() == "MOON\nLIGHT\nMESH\n"
    apart = meshd("job", "result", "upper", "-o", f"{tmp_path}/apart/", home=mesh["bob"])
    assert apart.code == 0
    assert sorted(path.read_text() for path in (tmp_path / "apart").iterdir()) == [
        "LIGHT\nMESH\n",
        "MOON\n",
    ]


def test_model_runs_on_the_mesh_and_its_labels_come_to_the_sink(
    mesh: Homes, tmp_path: Path
) -> None:
    file = str(DIGITS / "digits.job.toml")
    ran = meshd("job", "submit", file, "--shards", "4", "--sink", "carol", home=mesh["alice"])
    assert ran.code == 0, ran.err
    assert "results at carol" in ran.err
    job = ran.out.split()[0]
    elsewhere = meshd("job", "result", job, home=mesh["alice"])
    assert elsewhere.code == 4
    assert "delivered to carol" in elsewhere.err
    out = tmp_path / "labels.npz"
    fetched = meshd("job", "result", job, "-o", str(out), "--json", home=mesh["carol"])
    assert [row["shard"] for row in fetched.json["shards"]] == [0, 1, 2, 3]
    with np.load(out) as arrays:
        right = arrays["label"] == np.load(DIGITS / "labels.npy")
    assert right.mean() > 0.97


def test_command_is_refused_where_no_node_allows_it(daemons: Homes, tmp_path: Path) -> None:
    ran = meshd("job", "submit", write(tmp_path / "e.toml", ECHO), home=daemons["dave"])
    assert ran.code == 5
    assert ran.err.endswith("start one with --allow-command [no-candidates]\n")
    assert meshd("job", "ls", "--json", home=daemons["dave"]).json == []


def test_failed_job_says_why(mesh: Homes, tmp_path: Path) -> None:
    text = 'kind = "command"\ncommand = ["sh", "-c", "echo no fuel >&2; exit 3"]\n'
    file = write(tmp_path / "fails.toml", text)
    ran = meshd("job", "submit", file, home=mesh["bob"])
    assert (ran.code, ran.out) == (6, "")
    assert "exit code 3: no fuel" in ran.err
    assert ran.err.endswith("[job-failed]\n")
    asked = meshd("job", "submit", file, "--json", home=mesh["bob"])
    assert (asked.code, asked.json["status"]) == (6, "failed")
    lost = meshd("job", "result", asked.json["job"], home=mesh["bob"])
    assert lost.code == 6


def test_running_job_can_be_cancelled(mesh: Homes, tmp_path: Path) -> None:
    text = 'kind = "command"\ncommand = ["sleep", "30"]\n'
    file = write(tmp_path / "sleeps.toml", text)
    job = meshd("job", "submit", file, "--detach", "--json", home=mesh["bob"]).json["job"]
    assert meshd("job", "result", job, home=mesh["bob"]).err.endswith("[not-finished]\n")
    cancelled = meshd("job", "cancel", job, "--json", home=mesh["bob"])
    assert cancelled.json["status"] == "cancelled"
    assert meshd("job", "watch", job, home=mesh["bob"]).code == 6


@pytest.mark.parametrize(
    ("text", "said", "word"),
    [
        (
            'kind = "command"\ncomand = ["x"]\n',
            "line 2: unknown key 'comand'; did you mean 'com",
            "",
        ),
        ("[limits]\nwall = 3\n", "line 2: unknown key 'limits.wall'; did you mean 'wall_s'", ""),
        ('kind = "command"\nshards = "two"\n', "line 2: ", ""),
        ('kind = "onnx"\ninput = "x.npy"\n', "needs 'model'", ""),
        ("kind = \n", "not TOML", ""),
        ('model = "no.onnx"\ninput = "x.npy"\n', "no.onnx", "missing-file"),
    ],
)
def test_bad_job_files_are_explained(
    daemons: Homes, tmp_path: Path, text: str, said: str, word: str
) -> None:
    ran = meshd("job", "submit", write(tmp_path / "bad.toml", text), home=daemons["dave"])
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.endswith(f"[{word or 'bad-job-file'}]\n")


def test_unknown_things_are_not_found(daemons: Homes, tmp_path: Path) -> None:
    assert meshd("job", "show", "feed", home=daemons["dave"]).code == 4
    missing = meshd("job", "submit", str(tmp_path / "none.toml"), home=daemons["dave"])
    assert (missing.code, missing.err.endswith("[unreadable-file]\n")) == (2, True)
    file = write(tmp_path / "echo.toml", ECHO)
    nobody = meshd("job", "submit", file, "--sink", "nobody", home=daemons["dave"])
    assert (nobody.code, nobody.err.endswith("[unknown-node]\n")) == (4, True)
