from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meshsim` leaves its results in `runs/` where it is called: not among the sources."""
    monkeypatch.chdir(tmp_path)
