"""Compiled code: searches and geometry over arrays of numbers, in machine code.

A kernel is a plain function of numpy arrays and numbers that Numba compiles once and keeps on disk.
Floating point is left as written (no fastmath), so that every processor decides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile at the first call, keep the machine code on disk, and let other threads go on."""
    compiled = njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return cast(F, compiled)
