"""`meshd export`: files whole or not at all, folders new, and refusals that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import meshd

SKY = ("--constellation", "iridium", "--stations", "London,Sydney", "--for", "2m")
AT = ("--from", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("format_", "word"),
    [
        ("ion", "a contact +"),
        ("czml", '"id": "document"'),
        ("graphml", "<graphml"),
        ("gexf", "<spell start="),
    ],
)
def test_a_format_goes_to_a_file_or_to_stdout(tmp_path: Path, format_: str, word: str) -> None:
    out = meshd("export", format_, *SKY, *AT)
    assert out.code == 0 and word in out.out
    place = tmp_path / "file"
    told = meshd("export", format_, *SKY, *AT, "-o", str(place), "--json").json
    assert place.read_text() == out.out
    assert (told["format"], told["bytes"]) == (format_, place.stat().st_size)
    assert told["contacts"] > 100
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_plan_of_ion_comes_back_as_a_route(tmp_path: Path) -> None:
    place = str(tmp_path / "iridium.ionrc")
    assert meshd("export", "ion", *SKY, *AT, "-o", place).code == 0
    direct = meshd("route", "London", "Sydney", "--constellation", "iridium", "--at",
                   "2026-01-01T00:01:00Z", "--json").json  # fmt: skip
    given = meshd("route", "67", "68", "--plan", place, "--at", "2026-01-01T00:01:00Z", "--json")
    assert given.json["hops"] == direct["hops"]
    # A minute's range lines: half a minute of a few km/s on seven links.
    assert given.json["rtt_ms"] == pytest.approx(direct["rtt_ms"], abs=2.0)


def test_a_folder_of_hypatias_is_written_and_never_over_another(tmp_path: Path) -> None:
    place = tmp_path / "kuiper"
    wish = (
        "export",
        "hypatia",
        "--constellation",
        "hypatia:kuiper_630",
        "--for",
        "2s",
        "--step",
        "1s",
    )
    told = meshd(*wish, "-o", str(place), "--json").json
    assert told["files"] == sum(path.is_file() for path in place.rglob("*")) == 10
    again = meshd(*wish, "-o", str(place), "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "bad-output")
    route = meshd("route", "Manila", "Dalian", "--catalog", str(place), "--json").json
    assert [name.split()[-1] for name in route["path"][1:-1]] == ["184", "183", "217"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("pdf", *SKY), "bad-format"),
        (("hypatia", *SKY, "-o", "x"), "not-hypatia"),
        (("hypatia", "--constellation", "hypatia:kuiper_630"), "usage"),
        (("ion",), "usage"),
        (("ion", *SKY, "-o", "/nowhere/file"), "bad-output"),
        (("ion", *SKY, "--for", "2d"), "bad-duration"),
    ],
)
def test_exports_that_cannot_be(arguments: tuple[str, ...], word: str) -> None:
    ran = meshd("export", *arguments, "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["error"]["code"] == word
