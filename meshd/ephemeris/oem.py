"""Orbit ephemeris messages (CCSDS 502.0, OEM) in key = value notation to tables of states."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from meshd.ephemeris.elements import Refused
from meshd.ephemeris.frames import to_teme, to_utc
from meshd.ephemeris.tables import Method, Segment, Tabulated, check_table
from meshd.ephemeris.timescale import parse_ccsds_time
from protocols.errors import InputError

HERMITE_DEGREE = 7
"""Taken where a file names no interpolation: an OEM always has velocities."""

_METHODS: dict[str, tuple[Method, int]] = {
    "HERMITE": ("hermite", HERMITE_DEGREE),
    "LAGRANGE": ("lagrange", 5),
    "LINEAR": ("lagrange", 1),
}
_KEY = re.compile(r"([A-Z][A-Z0-9_]*)\s*=\s*(.*)", re.ASCII)
_MARKS = ("META_STOP", "DATA_START", "DATA_STOP")


@dataclass(slots=True)
class Block:
    """One segment as it stands: where its metadata begin, and its lines of states with numbers."""

    line: int
    meta: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[int, str]] = field(default_factory=list)


def parse_oem(text: str) -> Tabulated:
    """The segments of an OEM. One that cannot be used is refused with its line; the rest loads.

    Codes: "bad-oem", "bad-number", "bad-time", "bad-table", "bad-frame", "bad-time-system",
    "underground". Accelerations and covariances are read over. Raises InputError
    "empty-ephemeris" when nothing is usable.
    """
    return tabulated(_blocks(text))


def tabulated(blocks: Iterable[Block]) -> Tabulated:
    """The segments of blocks, in whichever notation they stood; see `parse_oem`."""
    segments, refused = [], []
    for block in blocks:
        at = [block.line]
        try:
            segments.append(_segment(block, at))
        except InputError as error:
            name = block.meta.get("OBJECT_NAME", "")
            refused.append(Refused(at[0], name, error.code, error.message))
    if not segments:
        first = f"; line {refused[0].line}: {refused[0].reason}" if refused else ""
        raise InputError("empty-ephemeris", f"no usable segment in this file{first}")
    return Tabulated(tuple(segments), tuple(refused))


def _blocks(text: str) -> Iterator[Block]:
    """Cut at META_START; covariances end where the next segment begins, at the latest."""
    block: Block | None = None
    skipping = False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line == "META_START":
            if block is not None:
                yield block
            block, skipping = Block(number), False
        elif line in ("COVARIANCE_START", "COVARIANCE_STOP"):
            skipping = line.endswith("START")
        elif block is None or skipping or not line or line.startswith("COMMENT") or line in _MARKS:
            continue
        elif match := _KEY.fullmatch(line):
            block.meta[match[1]] = match[2].strip()
        else:
            block.rows.append((number, line))
    if block is not None:
        yield block


def _segment(block: Block, at: list[int]) -> Segment:
    """The segment of a block; `at` is left holding the line that was being read."""
    meta = block.meta
    for key in ("OBJECT_NAME", "REF_FRAME", "TIME_SYSTEM"):
        if not meta.get(key):
            raise InputError("bad-oem", f"{key} is missing")
    if meta.get("CENTER_NAME", "EARTH").upper() != "EARTH":
        raise InputError("bad-oem", f"an orbit around {meta['CENTER_NAME']} is none of ours")
    method, degree = _interpolation(meta)
    times, rows = [], []
    for number, line in block.rows:
        at[0] = number
        time, state = _row(line)
        times.append(time)
        rows.append(state)
    at[0] = block.line
    written, states = np.array(times, dtype=np.int64), np.array(rows, dtype=np.float64)
    check_table(written, states.reshape(-1, 6))
    system, frame = meta["TIME_SYSTEM"], meta["REF_FRAME"]
    instants = to_utc(system, written)
    positions, velocities = to_teme(frame, instants, states[:, :3], states[:, 3:])
    ends = [_time_of(meta, "START", written[0]), _time_of(meta, "STOP", written[-1])]
    begin, finish = to_utc(system, np.array(ends, dtype=np.int64)).tolist()
    if not begin < finish:
        raise InputError("bad-oem", "the usable time ends before it begins")
    text = f"{meta['OBJECT_NAME']}|{system}|{frame}|{method}|{degree}|{ends}"
    digest = hashlib.sha256(text.encode() + written.tobytes() + states.tobytes()).hexdigest()
    return Segment(
        name=meta["OBJECT_NAME"],
        instants=instants,
        states=np.hstack([positions, velocities]),
        begin=max(begin, int(instants[0])),
        finish=min(finish, int(instants[-1])),
        method=method,
        degree=degree,
        digest=digest,
    )


def _interpolation(meta: dict[str, str]) -> tuple[Method, int]:
    word = meta.get("INTERPOLATION", "HERMITE").upper()
    if word not in _METHODS:
        raise InputError("bad-oem", f"interpolation {word!r} is not known: HERMITE or LAGRANGE")
    method, degree = _METHODS[word]
    told = meta.get("INTERPOLATION_DEGREE")
    if told is None:
        return method, degree
    if not told.isdigit() or not 1 <= int(told) <= 15:
        raise InputError("bad-oem", f"interpolation degree {told!r} is not 1 to 15")
    return method, int(told)


def _row(line: str) -> tuple[int, list[float]]:
    words = line.split()
    if len(words) not in (7, 10):
        raise InputError("bad-oem", f"{len(words)} words where a state has 7, or 10: {line[:60]!r}")
    try:
        return parse_ccsds_time(words[0]), [float(word) for word in words[1:7]]
    except ValueError:
        raise InputError("bad-number", f"not a state: {line[:80]!r}") from None


def _time_of(meta: dict[str, str], end: str, default: int) -> int:
    """The usable time where it is told, else the whole table's."""
    word = meta.get(f"USEABLE_{end}_TIME") or meta.get(f"USABLE_{end}_TIME")
    return parse_ccsds_time(word) if word else int(default)
