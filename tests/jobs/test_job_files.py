"""Job files: what is wrong is said all at once, each fault with its line; what is right is cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.examples import DIGITS
from meshd.jobs import checks
from meshd.jobs.building import build
from meshd.jobs.document import parse_document
from meshd.jobs.reading import read_job
from meshd.jobs.specification import FLOP_PER_S, Job, Stage
from meshd.jobs.stagelist import ordered
from protocols.cid import cid_of
from protocols.errors import InputError
from protocols.job import JobSpec, ShardSpec

PIPELINE = """\
name = "count"
deadline_s = 60
priority = 7

[stages.sum]
kind = "command"
command = ["sort", "-m"]
after = ["map"]
takes = "all"

[stages.map]
kind = "wasm"
model = "count.wasm"
input = "text.txt"
shards = 3
work_flop = 5e9
files = ["words"]
command = ["{shard}", "{shards}", "{other}"]

[stages.map.limits]
fuel = 1000
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "count.wasm").write_bytes(b"\0asm\x01\0\0\0")
    (tmp_path / "text.txt").write_text("".join(f"line {n}\n" for n in range(10)))
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "en").write_text("hello")
    return tmp_path


def write(folder: Path, text: str, name: str = "x.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def spec_of(path: Path, kept: dict[str, bytes] | None = None) -> JobSpec:
    blobs = {} if kept is None else kept

    def put(data: bytes) -> str:
        blobs[cid_of(data)] = data
        return cid_of(data)

    spec = msgspec.convert(build(read_job(path), put), JobSpec)
    assert checks.faults(spec) == []
    return spec


def faults(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_job(path)
    where = f"{path}"
    return [
        line.removeprefix(where).removeprefix(", ") for line in caught.value.message.split("\n")
    ]


def test_stages_become_shards_behind_those_they_take(folder: Path) -> None:
    blobs: dict[str, bytes] = {}
    spec = spec_of(write(folder, PIPELINE), blobs)
    assert [spec.stage_name(shard) for shard in spec.shards] == ["map"] * 3 + ["sum"]
    assert spec.shards[3] == ShardSpec(command=("sort", "-m"), stage=1, takes=(0, 1, 2))
    assert spec.shards[1].command == ("1", "3", "{other}")
    cut = [blobs[shard.input or ""] for shard in spec.shards[:3]]
    assert b"".join(cut) == (folder / "text.txt").read_bytes()
    assert (spec.kind, spec.limits.fuel, spec.stages[0].kind) == ("wasm", 1000, "command")
    assert spec.estimate_s == 5e9 / FLOP_PER_S
    assert [(file.path, blobs[file.cid]) for file in spec.files] == [("words/en", b"hello")]
    assert (spec.priority, spec.deadline_s) == (7, 60.0)


def test_toml_json_and_python_say_the_same_job(folder: Path) -> None:
    import tomllib

    from_toml = spec_of(write(folder, PIPELINE))
    text = json.dumps(tomllib.loads(PIPELINE), indent=1)
    assert spec_of(write(folder, text, "x.json")) == from_toml
    job = read_job(folder / "x.toml").job
    assert isinstance(job, Job) and isinstance(job.stages["map"], Stage)
    assert spec_of(write(folder, json.dumps(job.said()), "y.json")) == from_toml


def test_every_fault_is_told_with_its_line(folder: Path) -> None:
    text = """\
kindd = "wasm"
deadline_s = 0
priority = 10
verify = "vote:2"
[stages.a]
kind = "command"
after = ["b"]
[stages.b]
kind = "wasm"
model = "none.wasm"
after = ["a", "cc"]
files = ["/etc/passwd", "../x", "none"]
[stages.c]
kind = "onnx"
model = "count.wasm"
shards = "two"
input = "text.txt"
input_bytes = 3
[stages.c.limits]
wall_s = nan
fuel = 18446744073709551616
"""
    told = faults(write(folder, text))
    lines = [int(line.split(":")[0].removeprefix("line ")) for line in told]
    assert lines == sorted(lines)
    for line, words in (
        (1, "did you mean 'kind'"), (2, "deadline_s"), (3, "priority"), (4, "verify"),
        (5, "needs 'command'"), (7, "a -> b -> a"), (10, "none.wasm"), (11, "'cc', which there"),
        (12, "absolute"), (12, ".."), (12, "no 'none'"), (16, "shards"), (18, "not 3 as declared"),
        (20, "wall_s"), (21, "fuel"),
    ):  # fmt: skip
        assert any(one.startswith(f"line {line}: ") and words in one for one in told), (line, told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "command"\ncommand = ["x"]\ndeadline_s = 18446744073709551616', "deadline_s"),
        ('kind = "command"\ncommand = ["x"]\nrange = [5, 5]', "not after its begin"),
        ('kind = "command"\ncommand = ["x"]\nrange = [0, 3]\nshards = 4', "4 shards for a range"),
        ('kind = "command"\ncommand = ["x"]\ninputs = ["text.txt"]\nshards = 2', "for 1 inputs"),
        ('kind = "command"\ncommand = ["x"]\ninput = "text.txt"\nrange = [0, 3]', "from one of"),
        ('kind = "command"\ncommand = ["x"]\nestimate_s = 1\nwork_flop = 1e9', "twice"),
        ('kind = "command"\ncommand = ["x"]\noutput_bytes = 99999999999', "output_mb"),
        ('kind = "command"\ncommand = ["x"]\nlimits = {fuel = 3}', "wasm alone"),
        ('kind = "command"\ncommand = ["x"]\n[placement.region]\nplace = "Atlantis"', "Atlantis"),
        ('kind = "command"\ncommand = ["x"]\n[placement.region]\nlatitude_deg = 3', "around"),
        ('kind = "wasm"\nmodel = "count.wasm"\nsplit = "rows"', "not for kind wasm"),
        ("stages = {}", "no stage"),
        ("stages = 3", "stages"),
        ('kind = "wasm"\nmodel = "count.wasm"\n[stages.a]\nkind = "command"\ncommand = ["x"]',
         "'kind' belongs to a stage"),
        ('[stages.a]\nkind = "command"\ncommand = ["x"]\nshards = 2\n'
         '[stages.b]\nkind = "command"\ncommand = ["x"]\nshards = 3\nafter = ["a"]', "one by one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_said(folder: Path, text: str, words: str) -> None:
    told = faults(write(folder, text))
    assert any(words in line for line in told), told


def test_a_shard_of_ten_gigabytes_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "huge").open("wb") as file:
        file.truncate(10 << 30)
    text = 'kind = "command"\ncommand = ["x"]\ninput = "huge"\nshards = {}\n'
    assert "10737418240 bytes" in faults(write(folder, text.format(1)))[0]
    read_job(write(folder, text.format(16)))


@pytest.mark.parametrize("name", ["words/link", "away/en", "words"])
def test_a_bundle_follows_no_link(folder: Path, name: str) -> None:
    (folder / "words" / "link").symlink_to("/etc/passwd")
    (folder / "away").symlink_to(folder / "words")
    text = f'kind = "command"\ncommand = ["x"]\nfiles = ["{name}"]\n'
    assert "symbolic link" in faults(write(folder, text))[0]


def test_ranges_are_cut_without_gap_or_overlap(folder: Path) -> None:
    text = 'kind = "command"\ncommand = ["{begin}", "{end}"]\nrange = [-3, 100]\nshards = 7\n'
    pairs = [tuple(map(int, shard.command)) for shard in spec_of(write(folder, text)).shards]
    assert [n for begin, end in pairs for n in range(begin, end)] == list(range(-3, 100))


def test_conditions_that_cannot_be_kept_are_named(folder: Path) -> None:
    text = 'kind = "command"\ncommand = ["x"]\n'
    region = '[placement]\nsunlit = true\n[placement.region]\nplace = "London"\n'
    spec = spec_of(write(folder, text + region))
    refusal = checks.not_supported(spec)
    assert refusal is not None and refusal[0] == "placement-not-supported"
    assert "region, sunlit" in refusal[1]
    assert spec.placement.region is not None
    assert round(spec.placement.region.latitude_deg) == 52  # London's 51.5 degrees north
    assert checks.not_supported(spec_of(write(folder, text))) is None


def test_the_digits_are_a_job() -> None:
    assert len(spec_of(DIGITS / "digits.job.toml").shards) == 24


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True), max_size=6))
def test_order_puts_each_stage_behind_what_it_waits_for_or_names_a_cycle(
    graph: dict[str, list[str]],
) -> None:
    stages = {name: Stage(after=tuple(after)) for name, after in graph.items()}
    order, cycle = ordered(stages)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(b in stages[a].after for a, b in pairwise(cycle))
        return
    assert sorted(order) == sorted(stages)
    known = [set(order[:index]) for index in range(len(order))]
    assert all(set(graph[n]) & set(graph) <= known[i] for i, n in enumerate(order))


@given(st.recursive(
    st.none() | st.integers(-9, 9) | st.text("ab\n\"{}[]:,\\", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner,
                                                                max_size=3),
    max_leaves=12,
))  # fmt: skip
def test_lines_of_json_are_those_of_its_keys(value: Any) -> None:
    """Python's json.dumps puts each key on a line of its own."""
    text = json.dumps({"top": value}, indent=1)
    document = parse_document(text, "x")
    lines = text.split("\n")
    for place, line in document.lines.items():
        if isinstance(place[-1], str):
            assert lines[line - 1].lstrip().startswith(json.dumps(place[-1]) + ":")
