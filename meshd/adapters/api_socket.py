"""Where a daemon's control socket is. Imports little, for the client reads it too.

`HOME/api.sock`, unless that is longer than a socket's path may be: then a short private folder
has it, and `HOME/api.path` says where.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from protocols.errors import MeshError

SOCKET = "api.sock"
POINTER = "api.path"

PATH_BYTES_MAX = 107
"""sockaddr_un of Linux has 108 bytes, the last of them 0; macOS has 4 fewer."""


def find_socket(home: Path) -> Path:
    """The socket of the daemon at home there, whether it runs or not."""
    with contextlib.suppress(OSError):
        return Path((home / POINTER).read_text(encoding="utf-8").strip())
    return home / SOCKET


def choose_socket(home: Path) -> Path:
    """A path to bind: nothing is there. Only the holder of the home's lock may call this.

    Raises MeshError "bad-runtime-folder".
    """
    path = home / SOCKET
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        path = _runtime_folder() / f"{name}.sock"
        (home / POINTER).write_text(f"{path}\n", encoding="utf-8")
    else:
        (home / POINTER).unlink(missing_ok=True)
    path.unlink(missing_ok=True)  # left by a daemon that was killed: the lock says it is gone
    return path


def drop_socket(home: Path, path: Path) -> None:
    """Remove what `choose_socket` led to."""
    for leftover in (path, home / POINTER):
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)


def _runtime_folder() -> Path:
    """A short folder that is ours alone: in /tmp anyone may have made it before us."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    short = given and len(os.fsencode(given)) < PATH_BYTES_MAX - 32
    folder = Path(given) / "meshd" if short else Path(f"/tmp/meshd-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        message = f"cannot make {folder} for the control socket: {error.strerror}; use a short home"
        raise MeshError("bad-runtime-folder", message) from error
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.getuid():
        message = f"{folder} is not a private folder of this user; remove it, or use a short home"
        raise MeshError("bad-runtime-folder", message)
    return folder
