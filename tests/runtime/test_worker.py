"""The worker process by itself: what it imports, how it speaks, when it leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKER = [sys.executable, "-P", "-m", "meshd.runtime.worker"]


def test_a_worker_imports_no_network_and_no_keys() -> None:
    program = "import sys, meshd.runtime.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"trio", "libp2p", "cryptography", "asyncio", "sqlite3", "meshd.driver"}


def test_a_worker_leaves_when_its_daemon_is_gone(tmp_path: Path) -> None:
    done = subprocess.run(WORKER, input=b"", capture_output=True, timeout=20, cwd=tmp_path)
    assert done.returncode == 0
    assert b"ready" in done.stdout


def test_nonsense_on_its_pipe_ends_a_worker(tmp_path: Path) -> None:
    nonsense = b"\x00\x00\x00\x03abc"
    done = subprocess.run(WORKER, input=nonsense, capture_output=True, timeout=20, cwd=tmp_path)
    assert done.returncode != 0
    assert b"an assignment makes no sense" in done.stderr
