"""What differs between two plans of the same sites, row by row."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from meshd.topology.plan import ContactPlan
from protocols.errors import InputError
from protocols.types import Instant

Row: TypeAlias = tuple[Instant, int, int, Instant]
"""(begin, a, b, finish) of a contact, clipped to where both plans look."""


class Changes(NamedTuple):
    """Contacts of the old plan alone, and of the new alone, in order. One whose edge moved is in
    both."""

    gone: tuple[Row, ...]
    fresh: tuple[Row, ...]


def changes_between(old: ContactPlan, new: ContactPlan) -> Changes:
    """How two plans differ in the time that both cover.

    Raises InputError "other-sites" for plans of other sites, "bad-window" for plans that do not
    overlap.
    """
    if old.names != new.names:
        raise InputError("other-sites", "plans are compared site by site; these two differ in them")
    window = (max(old.start, new.start), min(old.end, new.end))
    if window[0] >= window[1]:
        raise InputError("bad-window", "these two plans look at different times")
    before, after = _rows(old, window), _rows(new, window)
    return Changes(tuple(sorted(before - after)), tuple(sorted(after - before)))


def _rows(plan: ContactPlan, window: tuple[Instant, Instant]) -> set[Row]:
    columns = (plan.begin.tolist(), plan.a.tolist(), plan.b.tolist(), plan.finish.tolist())
    clipped = (
        (max(begin, window[0]), a, b, min(finish, window[1]))
        for begin, a, b, finish in zip(*columns, strict=True)
    )
    return {row for row in clipped if row[0] < row[3]}
