"""Fetching ahead: a hint to the processor that a place in memory will soon be read.

A search over a million sites waits for memory at nearly every step, since what it reads next is
known only when it gets there. It does know whose turn comes a few steps later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FAR_APART = 1 << 15
"""Sites from which on arrays outgrow the cache of a core; below, hints cost more than they save."""


def _fetch(_context: Any, array: Any, index: Any) -> Any:
    locate: Callable[..., Any] = cgutils.get_item_pointer

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, place = signature.args[0], arguments[1]
        column = context.make_array(kind)(context, builder, arguments[0])
        place = context.cast(builder, place, signature.args[1], types.intp)
        places = [place] + [cgutils.intp_t(0)] * (kind.ndim - 1)
        entry = locate(context, builder, kind, column, places, wraparound=False)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [byte], shape)
        entry = builder.bitcast(entry, byte)
        for line in range(kind.ndim):  # a row of a table lies in two lines of the cache
            place = builder.gep(entry, [cgutils.intp_t(64 * line)])
            # To read, kept as close as can be, as data.
            builder.call(hint, (place, number(0), number(3), number(1)))
        return context.get_dummy_value()

    return types.void(array, index), generate


_made_by: Callable[..., Any] = intrinsic

fetch: Callable[[Any, int], None] = _made_by(_fetch)
"""Bring an entry of a column, or a row of a table, into the cache: no harm where there is none."""
