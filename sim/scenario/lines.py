"""Lines: where in a TOML text a key stands, so that an error can name its line."""

from __future__ import annotations

import re
from collections import Counter

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+|\"[^\"]*\")\s*=")
_LAST_PART = re.compile(r"(\.[^.\[\]]+|\[\d+\])$")


def lines_of(text: str) -> dict[str, int]:
    """Path to line number (from 1): `duration`, `link.loss`, `timeline[2]`, `timeline[2].at`."""
    found: dict[str, int] = {}
    counts: Counter[str] = Counter()
    table, quoted = "", False
    for number, line in enumerate(text.splitlines(), 1):
        inside, quoted = quoted, quoted ^ (line.count('"""') % 2 == 1)
        if inside:
            continue  # within a text of several lines
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = header[2]
            if header[1] == "[[":
                table = f"{table}[{counts[header[2]]}]"
                counts[header[2]] += 1
            found.setdefault(table, number)
        elif key:
            word = key[1].strip('"')
            found.setdefault(f"{table}.{word}" if table else word, number)
    return found


def line_of(lines: dict[str, int], where: str) -> int | None:
    """The line of a path, or of the nearest that encloses it."""
    while where:
        if where in lines:
            return lines[where]
        shorter = _LAST_PART.sub("", where)
        where = shorter if shorter != where else ""
    return None
