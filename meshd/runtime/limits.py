"""What a worker may use: memory beyond what it held before the shard, and a low priority."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshd.seam import RunShard
from protocols.types import SECOND

FILES_MAX = 256
_NICE = 10
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_STATUS = Path("/proc/self/status")


def settle() -> None:
    """Make this process a modest one: nice, first to go when memory is short, without cores.

    On Linux it adopts its orphaned descendants, so that a command cannot leave one behind.
    """
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


@contextmanager
def memory(size: int) -> Iterator[None]:
    """Let this process take `size` bytes more than it has; beyond, allocations fail.

    RLIMIT_DATA counts private writable memory (getrlimit(2), since Linux 4.7), not reservations of
    address space as RLIMIT_AS does. Elsewhere than on Linux only the pool's watch of resident
    memory holds.
    """
    held = _data_bytes()
    if held is None:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = held + size
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard < 0 else min(soft, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


@contextmanager
def file_size(size: int) -> Iterator[None]:
    """No file that this process writes grows beyond `size`, and one byte that shows it would."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    soft = size + 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft if hard < 0 else min(soft, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def for_command(shard: RunShard) -> dict[int, int]:
    """The rlimits of a command, soft and hard alike, inherited by all it starts.

    Processes are not limited: RLIMIT_NPROC counts all of the user's, the daemon's included.
    """
    cores = os.cpu_count() or 1
    return {
        resource.RLIMIT_DATA: shard.memory_bytes,
        resource.RLIMIT_FSIZE: shard.output_bytes_max + 1,  # one more shows that it was too much
        resource.RLIMIT_CPU: (shard.wall_ns * cores) // SECOND + 1,
        resource.RLIMIT_NOFILE: FILES_MAX,
    }


def apply(rlimits: dict[int, int]) -> None:
    """Set soft and hard limits of this process, none above the hard limit it has."""
    for name, value in rlimits.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard < 0 else min(value, hard)
        resource.setrlimit(name, (value, value))


def out_of_memory(size: int) -> tuple[str, str]:
    """The code and message of a shard that wanted more than `size` bytes."""
    return "memory-limit", f"it needs more than its limit of {size / 1e6:.0f} MB of memory"


def _data_bytes() -> int | None:
    if sys.platform != "linux":
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return None
