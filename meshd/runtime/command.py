"""A command as a shard: argv without a shell, input on stdin, output from stdout."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from meshd.runtime import limits
from meshd.runtime.room import Room
from meshd.seam import RunShard
from protocols.errors import MeshError

_SWEEPS_MAX = 500
_SWEEP_S = 0.002


def run(shard: RunShard, room: Room, target: Path) -> None:
    """Run it in its room, its output into `target`, and leave none of its processes.

    Raises MeshError "command-failed", with the last lines of stderr, or "output-limit". No file it
    writes may be larger than its output may be.
    """
    if not shard.command:
        raise MeshError("bad-input", "a command shard needs a command")
    try:
        with (
            room.stdin.open("rb") as stdin,
            target.open("wb") as stdout,
            room.stderr.open("wb") as stderr,
        ):
            status = _spawn(shard, room.work, stdin.fileno(), stdout.fileno(), stderr.fileno())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        message = f"cannot run {shard.command[0]!r}: {error}"
        raise MeshError("command-failed", message) from None
    finally:
        kill_descendants()
    if target.stat().st_size > shard.output_bytes_max or status == -signal.SIGXFSZ:
        message = f"the command wrote more than its limit of {shard.output_bytes_max} bytes"
        raise MeshError("output-limit", message)
    if status:
        raise MeshError("command-failed", _reason(status) + room.last_words())


def kill_descendants() -> None:
    """Kill and reap all that this process started, and all that they did: it adopts orphans."""
    me = psutil.Process()
    for _ in range(_SWEEPS_MAX):
        below = me.children(recursive=True)
        if not below:
            return
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_SWEEP_S)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _spawn(shard: RunShard, folder: Path, stdin: int, stdout: int, stderr: int) -> int:
    rlimits = limits.for_command(shard)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    process = subprocess.Popen(
        shard.command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=folder,
        env=environment,
        process_group=0,
        # Safe here: the only other thread of this process waits in read(2).
        preexec_fn=lambda: limits.apply(rlimits),
    )
    return process.wait()


def _reason(status: int) -> str:
    how = f"exit code {status}" if status > 0 else f"signal {-status}, {signal.strsignal(-status)}"
    return f"the command ended with {how}"
