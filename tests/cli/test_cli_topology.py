"""`meshd topology`: figures, a saved plan, and what differs from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshd.cli import main

KEYS = {
    "shells", "planes", "strays", "largest_component", "degree",
    "acquisitions_per_satellite_hour", "contacts", "plan_bytes", "seconds",
}  # fmt: skip


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["meshd", "topology", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    assert stop.value.code == 0, captured.err
    return captured.out


def test_a_sky_is_told_in_figures_and_compared_with_a_saved_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    saved = tmp_path / "iridium.plan"
    sky = ("--constellation", "iridium", "--stations", "London", "--from", "2026-06-28T12:00:00Z")
    words = (*sky, "--for", "1h", "--json", "--save", str(saved))
    first = json.loads(told(monkeypatch, capsys, *words))
    assert first.keys() >= KEYS
    assert first["satellites"] == 66 and first["plan_bytes"] == saved.stat().st_size
    assert 2.5 < first["degree"] < 4
    again = told(monkeypatch, capsys, *sky, "--for", "1h", "--json", "--against", str(saved))
    assert json.loads(again)["changes"] == {"gone": 0, "fresh": 0}
    fewer = told(monkeypatch, capsys, *sky, "--for", "1h", "--ground", "highest", "--against",
                 str(saved), "--json")  # fmt: skip
    assert json.loads(fewer)["changes"]["gone"] > 0


def test_people_get_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--constellation", "starlink-3", "--policy", "fitted", "--for", "20m")
    text = told(monkeypatch, capsys, *words, "--from", "2026-06-28T12:10:00Z")
    assert "hang together" in text and "acquisitions" in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "usage"),
        (("--constellation", "iridium", "--policy", "best"), "bad-policy"),
        (("--constellation", "iridium", "--against", "/nowhere"), "missing-file"),
        (("/nowhere",), "unreadable-file"),
        (("--constellation", "iridium", "--for", "40d"), "bad-duration"),
    ],
)
def test_what_cannot_be_done_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["meshd", "topology", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code != 0
    assert f"[{code}]" in capsys.readouterr().err
