"""Fetching ahead: a hint to the processor that a place in memory will soon be read.

A search over a million sites waits for memory at nearly every step, since what it reads next is
known only when it gets there. It does know whose turn comes a few steps later.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FAR_APART = 1 << 15
"""Sites from which on arrays outgrow the cache of a core; below, hints cost more than they save."""


@intrinsic  # type: ignore[untyped-decorator]
def fetch(_context: Any, array: Any, index: Any) -> Any:
    """Bring an entry of a column into the cache; nothing happens where there is no such place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, place = signature.args[0], arguments[1]
        column = context.make_array(kind)(context, builder, arguments[0])
        place = context.cast(builder, place, signature.args[1], types.intp)
        entry = cgutils.get_item_pointer(context, builder, kind, column, [place], wraparound=False)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [byte], shape)
        # To read, kept as close as can be, as data.
        words = (builder.bitcast(entry, byte), number(0), number(3), number(1))
        builder.call(hint, words)
        return context.get_dummy_value()

    return types.void(array, index), generate
