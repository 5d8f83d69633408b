"""A daemon's folder: private, and one daemon's at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from protocols.errors import MeshError


class HomeLock:
    """Holds `home` for one daemon, by flock: the kernel lets go when the process dies, however."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Make the folder 0700 and take it. Raises MeshError "home-in-use" or "bad-home"."""
        assert self._descriptor is None
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.home.chmod(0o700)
            descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            message = f"cannot use {self.home} as a home: {error.strerror}; choose another folder"
            raise MeshError("bad-home", message) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            message = (
                f"{self.home} is in use by another daemon, process {holder}; "
                f"stop it (kill {holder}) or give this one a home of its own (--home)"
            )
            raise MeshError("home-in-use", message) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. The lock file stays: removing it would let two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> HomeLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
