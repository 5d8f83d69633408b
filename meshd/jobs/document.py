"""Documents: a job file's text as TOML or JSON, and the line that each of its keys stands on."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any, TypeAlias

from protocols.errors import InputError

Place: TypeAlias = tuple[str | int, ...]
"""Keys from the outside in, and indices of lists."""

DOCUMENT_BYTES_MAX = 8 << 20

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_PAIR = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=[ \t]*(\"\"\"|''')?")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|\n|[^\s{}\[\],:"]+')


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says; `lines` is empty for a document that is no text."""

    said: dict[str, Any]
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of this key, or of the nearest one around it."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None


def parse_document(text: str, name: str) -> Document:
    """Read a job file: JSON if it begins with a brace, else TOML. Raises "bad-job-file"."""
    if len(text) > DOCUMENT_BYTES_MAX:
        raise InputError("bad-job-file", f"{name} is longer than {DOCUMENT_BYTES_MAX} characters")
    if text.lstrip().startswith("{"):
        try:
            said = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError("bad-job-file", f"{name}: it is not JSON: {error}") from None
        return Document(said, _lines_of_json(text))
    try:
        return Document(tomllib.loads(text), _lines_of_toml(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError("bad-job-file", f"{name}: it is not TOML: {error}") from None


def _lines_of_toml(text: str) -> dict[Place, int]:
    """By headers and keys at the beginning of lines; what stands in a list has the line of that."""
    found: dict[Place, int] = {}
    table: Place = ()
    counts: dict[Place, int] = {}
    until = ""
    for number, line in enumerate(text.splitlines(), 1):
        if until:  # inside a text of several lines
            until = "" if until in line else until
        elif header := _HEADER.match(line):
            table = _names(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found.setdefault(table, number)
        elif pair := _PAIR.match(line):
            place = table + _names(pair[1])
            for end in range(len(table) + 1, len(place) + 1):
                found.setdefault(place[:end], number)
            quotes = pair[2] or ""
            until = quotes if quotes and quotes not in line[pair.end() :] else ""
    return found


def _names(dotted: str) -> Place:
    return tuple(name.strip("\"'") for name in re.findall(_KEY, dotted))


def _lines_of_json(text: str) -> dict[Place, int]:
    """One walk over the tokens of a text that is known to be JSON."""
    found: dict[Place, int] = {}
    stack: list[str | int] = []
    line = 1
    word = ""
    for token in _TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token == ":":
            stack[-1] = json.loads(word)
            found.setdefault(tuple(stack), line)
        elif token in ("{", "["):
            stack.append("" if token == "{" else 0)
            if token == "[":
                found.setdefault(tuple(stack), line)
        elif token in ("}", "]"):
            stack.pop()
        elif token == "," and isinstance(stack[-1], int):
            stack[-1] += 1
            found.setdefault(tuple(stack), line)
        else:
            word = token
    return found
