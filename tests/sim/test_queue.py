"""Two queues, one order: by instant, then by sequence of pushing; and so one trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshes import iridium
from test_world import busy

from protocols.types import SECOND
from sim.queue import BUCKET_BITS, CalendarQueue, HeapQueue, Queue

WIDTH = 1 << BUCKET_BITS
AHEAD = st.one_of(
    st.just(0),
    st.integers(0, 3),
    st.integers(0, 3 * WIDTH),
    st.integers(-2, 2).map(lambda by: max(0, WIDTH + by)),
    st.integers(0, 1_000 * WIDTH),
)
"""How far ahead of the present something is pushed: at it, in its bucket, at an edge, far off."""

PLANS = st.lists(st.tuples(AHEAD, st.lists(AHEAD, max_size=4)), max_size=30)
STOPS = st.lists(AHEAD, max_size=6)


def order(queue: Queue, plan: list[tuple[int, list[int]]], stops: list[int]) -> list[object]:
    """All that comes out: each entry pushes others when its turn comes, and the run is cut up."""
    out: list[object] = []
    now = 0
    waiting = [more for _, more in plan]

    def nothing() -> None: ...

    for ahead, _ in plan:
        queue.push(ahead, nothing, ())
    for stop in [*stops, 10_000 * WIDTH]:
        until = now + stop
        for now, sequence, _, _ in queue.due(until):
            out.append((now, sequence))
            for ahead in waiting.pop() if waiting else ():
                queue.push(now + ahead, nothing, ())
        now = until
        out.append(len(queue))
        queue.push(now, nothing, ())
    return out


@given(PLANS, STOPS)
def test_both_queues_give_the_same_order(
    plan: list[tuple[int, list[int]]], stops: list[int]
) -> None:
    said = order(HeapQueue(), plan, stops)
    assert order(CalendarQueue(), plan, stops) == said
    entries = [entry for entry in said if isinstance(entry, tuple)]
    assert entries == sorted(entries)


@pytest.mark.parametrize("kind", [HeapQueue, CalendarQueue])
def test_what_is_pushed_at_the_present_instant_comes_behind_what_stands_there(
    kind: Callable[[], Queue],
) -> None:
    queue, said = kind(), []
    queue.push(5, said.append, ("first",))
    queue.push(5, said.append, ("second",))
    for _, _, action, arguments in queue.due(5):
        action(*arguments)
        if len(said) < 3:
            queue.push(5, said.append, (f"after {said[-1]}",))
    assert said == ["first", "second", "after first", "after second"]
    assert len(queue) == 0


def test_the_trace_does_not_depend_on_the_queue() -> None:
    said = set()
    for kind in (HeapQueue, CalendarQueue):
        small, large = busy(7, kind()), iridium(3, queue=kind())
        large.run_for(2 * SECOND)
        said.add((small.trace.hash, small.events, large.trace.hash, large.events))
    assert len(said) == 1
