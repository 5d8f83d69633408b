"""A heap of four children a parent, whose entries compare by two numbers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshd.kernels import part

Heap: TypeAlias = NDArray[np.int64]
"""Entries (when, rank) as rows, the first of them on top; how many there are the caller counts."""


@part
def before(heap: Heap, one: int, when: int, rank: int) -> bool:
    """Whether an entry of the heap comes before another."""
    return bool(heap[one, 0] < when or (heap[one, 0] == when and heap[one, 1] < rank))


@part
def push(heap: Heap, size: int, when: int, rank: int) -> int:
    """Add an entry to `size` others; how many there are now."""
    place = size
    while place > 0:
        parent = (place - 1) >> 2
        if before(heap, parent, when, rank):
            break
        heap[place, 0] = heap[parent, 0]
        heap[place, 1] = heap[parent, 1]
        place = parent
    heap[place, 0] = when
    heap[place, 1] = rank
    return size + 1


@part
def drop(heap: Heap, size: int) -> int:
    """Take away the first of `size` entries; how many are left."""
    size -= 1
    when, rank, place = heap[size, 0], heap[size, 1], 0
    while 4 * place + 1 < size:
        least = 4 * place + 1
        for other in range(least + 1, min(least + 4, size)):
            if before(heap, other, heap[least, 0], heap[least, 1]):
                least = other
        if not before(heap, least, when, rank):
            break
        heap[place, 0] = heap[least, 0]
        heap[place, 1] = heap[least, 1]
        place = least
    heap[place, 0] = when
    heap[place, 1] = rank
    return size
