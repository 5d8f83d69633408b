"""Contact plans of ION (NASA's DTN): read into a ContactPlan, and written from one.

`a contact START STOP FROM TO BYTES_PER_S [CONFIDENCE]` is one way; `a range START STOP N1 N2
SECONDS` is both ways when N1 < N2, one way otherwise. The second time is a stop, not a duration.
Times are `yyyy/mm/dd-hh:mm:ss`, or `+s` after the reference that `@` sets. A link here goes both
ways, so a contact is taken for the time that both ways and a range are given (ionrc(5)).
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from meshd.ephemeris.elements import Refused
from meshd.ephemeris.sky import Kind
from meshd.ephemeris.timescale import calendar_instant, format_time
from meshd.topology.plan import Columns, ContactPlan, Header, assemble
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND, Duration, Instant

LINES_MAX = 2_000_000
RANGE_STEP_NS = 60 * SECOND
"""A range line holds for so long: a link's light time changes by at most 3 ms in a minute."""

_TIME = re.compile(r"(\d{4})/(\d{2})/(\d{2})-(\d{2}):(\d{2}):(\d{2})", re.ASCII)


class Row(NamedTuple):
    """A `contact` or `range` line: bytes a second, or seconds of light."""

    begin: Instant
    finish: Instant
    a: int
    b: int
    value: float


_Table: TypeAlias = Mapping[tuple[int, int], list[Row]]


@dataclass(frozen=True, slots=True)
class GivenPlan:
    """A plan that was read, and the lines that were not taken, each with its reason."""

    plan: ContactPlan
    refused: tuple[Refused, ...]


def read_ion(text: str, reference: Instant) -> GivenPlan:
    """The plan of ION's commands; node numbers become names, in their order.

    `reference` is what `+s` counts from until an `@` line. Raises InputError "empty-plan" when no
    contact is usable.
    """
    refused: list[Refused] = []
    contacts: dict[tuple[int, int], list[Row]] = {}
    ranges: dict[tuple[int, int], list[Row]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if number > LINES_MAX:
            raise InputError("plan-too-large", f"more than {LINES_MAX} lines of contacts")
        words = line.split("#")[0].split()
        try:
            if words[:1] == ["@"]:
                reference = _instant(words[1], reference)
            elif words[:2] in (["a", "contact"], ["a", "range"]):
                table = contacts if words[1] == "contact" else ranges
                _take(table, _row(words[2:], reference))
        except (InputError, IndexError) as error:
            reason = error.message if isinstance(error, InputError) else "too few words"
            refused.append(Refused(number, " ".join(words[:6]), "bad-line", reason))
    pieces = list(_usable(contacts, ranges, refused))
    if not pieces:
        first = f"; line {refused[0].line}: {refused[0].reason}" if refused else ""
        raise InputError("empty-plan", f"no contact goes both ways and has a range{first}")
    return GivenPlan(_plan(pieces, ranges), tuple(refused))


def _row(words: list[str], reference: Instant) -> Row:
    begin, finish = _instant(words[0], reference), _instant(words[1], reference)
    if not (words[2].isdigit() and words[3].isdigit()):
        raise InputError("bad-line", f"nodes are numbers: {words[2]} {words[3]}")
    try:
        value = float(words[4])
    except ValueError:
        raise InputError("bad-line", f"{words[4]!r} is no number") from None
    if not (0 <= value < 1e18):
        raise InputError("bad-line", f"{words[4]} is out of range")
    if not begin < finish:
        raise InputError("bad-line", "it does not stop after it starts (the second time is a stop)")
    return Row(begin, finish, int(words[2]), int(words[3]), value)


def _instant(word: str, reference: Instant) -> Instant:
    if word.startswith("+") and word[1:].isdigit():
        return reference + int(word[1:]) * SECOND
    match = _TIME.fullmatch(word)
    if match is None:
        raise InputError("bad-line", f"{word!r} is no time; write +60 or 2026/06/28-12:00:00")
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        clock = hour * HOUR + minute * MINUTE + second * SECOND
        return calendar_instant(year, month, day, clock)
    except ValueError:
        raise InputError("bad-line", f"no such day: {word}") from None


def _take(table: dict[tuple[int, int], list[Row]], row: Row) -> None:
    """Into the rows of its pair, in time order; those of one pair do not overlap."""
    rows = table.setdefault((row.a, row.b), [])
    if any(other.begin < row.finish and row.begin < other.finish for other in rows[-64:]):
        raise InputError("bad-line", "it overlaps another line of the same two nodes")
    rows.append(row)


def _usable(contacts: _Table, ranges: _Table, refused: list[Refused]) -> Iterator[Row]:
    """For every pair a < b the times when both ways and a range are given; the lower rate."""
    for a, b in sorted({(min(pair), max(pair)) for pair in contacts if pair[0] != pair[1]}):
        there, back, known = contacts.get((a, b)), contacts.get((b, a)), ranges.get((a, b))
        found = list(_meet(_meet(there or [], back or []), known or [], lambda rate, light: rate))
        if not found:
            lacks = f"a contact from {b} to {a}" if not back else f"a contact from {a} to {b}"
            lacks = f"a range {a} {b}" if there and back else lacks
            reason = f"links go both ways at once: there is no time with {lacks}"
            refused.append(Refused(0, f"contacts of {a} and {b}", "one-way", reason))
        yield from (row._replace(a=a, b=b) for row in found)


def _meet(
    one: Iterable[Row], other: Iterable[Row], value: Callable[[float, float], float] = min
) -> Iterator[Row]:
    """What two lists of rows have in common, piece by piece."""
    others = sorted(other)
    for row in sorted(one):
        for mate in others:
            begin, finish = max(row.begin, mate.begin), min(row.finish, mate.finish)
            if begin < finish:
                yield Row(begin, finish, row.a, row.b, value(row.value, mate.value))


def _plan(pieces: Sequence[Row], ranges: _Table) -> ContactPlan:
    nodes = sorted({node for row in pieces for node in (row.a, row.b)})
    site = {node: place for place, node in enumerate(nodes)}
    light = {
        (site[a], site[b]): (
            [row.begin for row in rows],
            [round(row.value * SECOND) for row in rows],
        )
        for (a, b), rows in sorted((pair, sorted(rows)) for pair, rows in ranges.items())
        if a in site and b in site
    }

    def light_time_ns(a: int, b: int, at: Instant) -> Duration:
        """The range line of this way, or of both, that holds at an instant or was the last."""
        begins, values = light.get((a, b)) or light[min(a, b), max(a, b)]
        return values[max(0, bisect_right(begins, at) - 1)]

    columns = Columns(
        np.array([site[row.a] for row in pieces], dtype=np.int64),
        np.array([site[row.b] for row in pieces], dtype=np.int64),
        np.array([row.begin for row in pieces], dtype=np.int64),
        np.array([row.finish for row in pieces], dtype=np.int64),
        np.array([8 * row.value for row in pieces]),
    )
    digest = hashlib.sha256(repr((pieces, sorted(light.items()))).encode()).hexdigest()
    kinds: tuple[Kind, ...] = tuple("satellite" for _ in nodes)
    window = int(columns.begin.min()), int(columns.finish.max())
    header = Header("given", "given", digest, tuple(map(str, nodes)), kinds, *window)
    return assemble(header, columns, None, light_time_ns)


def write_ion(plan: ContactPlan) -> Iterator[str]:
    """A plan as ION's commands, line by line; site s is node s + 1.

    ION counts whole seconds, so contacts begin up to one later and finish up to one earlier than
    they do. A range line has the light time of its middle, and holds for a minute at most.
    """
    reference = plan.start // SECOND * SECOND
    yield f"# meshd {plan.digest}"
    yield from (f"# node {site + 1}: {name}" for site, name in enumerate(plan.names))
    yield f"@ {_written(reference)}"
    rows = zip(plan.a.tolist(), plan.b.tolist(), plan.begin.tolist(), plan.finish.tolist(),
               plan.rate_bps.tolist(), strict=True)  # fmt: skip
    for a, b, begin, finish, rate_bps in rows:
        first, last = -(-(begin - reference) // SECOND), (finish - reference) // SECOND
        if first >= last:
            continue
        for one, other in ((a + 1, b + 1), (b + 1, a + 1)):
            yield f"a contact +{first} +{last} {one} {other} {round(rate_bps / 8)}"
        edges = [*range(first, last, RANGE_STEP_NS // SECOND), last]
        for start, stop in pairwise(edges):
            middle = reference + (start + stop) * SECOND // 2
            light = plan.light_time_ns(a, b, middle) / SECOND
            yield f"a range +{start} +{stop} {a + 1} {b + 1} {light:.9f}"


def _written(at: Instant) -> str:
    """`2026/06/28-12:00:00`."""
    return format_time(at)[:19].replace("-", "/").replace("T", "-")
