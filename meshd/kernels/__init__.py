"""Compiled code: searches and geometry over arrays of numbers, in machine code.

A kernel is a plain function of numpy arrays and numbers that Numba compiles once and keeps on disk.
Floating point is left as written (no fastmath), so that every processor decides alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile at the first call, keep the machine code on disk, and let other threads go on.

    A kernel returns numbers and arrays, a tuple of them, or one NamedTuple of them, never a tuple
    that holds a NamedTuple: making one calls Python, where Ctrl-C may raise, and Numba looks
    whether that failed only if it is the result itself. The process would crash.
    """
    return _compiled(function)


def inner(function: F) -> F:
    """A kernel that neither makes nor returns arrays: what a search does at every step.

    It does not count who uses an array. Numba counts at each call, once up and once down an array,
    with instructions that all processors must agree on: 20 cycles each, as much as a whole step.
    """
    return _compiled(function, _nrt=False)


def part(function: F) -> F:
    """A small inner kernel, put into the code of each that calls it."""
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: F, **how: bool) -> F:
    compile_as: Callable[..., Any] = njit
    written = compile_as(cache=True, nogil=True, fastmath=False, error_model="numpy", **how)
    return cast(F, written(function))


def _keep_by_sources() -> None:
    """Keep machine code in a folder named after what all kernels' sources say.

    Numba looks at a kernel's own file alone, and would go on using a caller's old code after
    what it calls in another file has changed.
    """
    here = Path(__file__).parent
    said = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        said.update(source.read_bytes())
    for home in (here / "__pycache__", Path.home() / ".cache" / "meshd" / "kernels"):
        folder = home / said.hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".keep").touch()
        except OSError:
            continue  # not ours to write
        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        return


def is_warm() -> bool:
    """Whether all kernels have been compiled here, as their sources are now."""
    folder = config.CACHE_DIR  # type: ignore[attr-defined]
    return bool(folder) and (Path(folder) / _WARM).exists()


def mark_warm() -> None:
    """All kernels have been compiled; who cannot keep them cannot keep this either."""
    folder = config.CACHE_DIR  # type: ignore[attr-defined]
    if folder:
        (Path(folder) / _WARM).touch()


_WARM = "warm"

_keep_by_sources()
