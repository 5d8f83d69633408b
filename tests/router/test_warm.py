"""Kernels that are kept: compiled once, found by the next process, and forgotten by no change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import meshd

ROOT = Path(meshd.__file__).parents[1]


def kernels(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=True, cwd=folder,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_change_in_any_kernel_asks_for_new_machine_code(tmp_path: Path) -> None:
    """A kernel is compiled into those that call it, wherever it stands."""
    for package in ("meshd", "protocols"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    look = "from meshd.kernels import is_warm, mark_warm; print(is_warm())"
    assert kernels(tmp_path, look) == "False"
    kernels(tmp_path, f"{look}; mark_warm()")
    assert kernels(tmp_path, look) == "True"
    with (tmp_path / "meshd" / "kernels" / "visibility.py").open("a") as source:
        source.write("# another thought\n")
    assert kernels(tmp_path, look) == "False"
